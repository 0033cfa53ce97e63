"""The lesson of notebook 03."""
