"""The lesson of notebook 11."""
