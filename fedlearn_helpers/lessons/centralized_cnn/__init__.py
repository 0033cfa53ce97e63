"""The lesson of notebook 01."""
