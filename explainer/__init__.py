"""Warum without a web: load an agency's model, explain one case, put it into words.

The straight path is one page long and stands in `explainer.pipeline`.
"""
