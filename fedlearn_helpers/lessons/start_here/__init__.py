"""The lesson of notebook 00."""
