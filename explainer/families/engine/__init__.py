"""Exact Shapley values on plain arrays; knows no model library."""
