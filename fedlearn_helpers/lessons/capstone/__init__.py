"""The lesson of notebook 12: its exercises and recall questions."""
