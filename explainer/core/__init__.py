"""What the words mean: frozen types of the straight path; standard library only."""
