"""The lesson of notebook 04."""
