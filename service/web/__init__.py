"""What the routes share: people, languages, pages, problems, guards."""
