"""The web around the explainer: people, pages, records."""
