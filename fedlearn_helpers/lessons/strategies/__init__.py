"""The lesson of notebook 05."""
