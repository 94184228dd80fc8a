"""HTTP in, HTTP out: a few lines each."""
