"""Whole experiments: one federation, comparisons of many, and what they are measured against."""
