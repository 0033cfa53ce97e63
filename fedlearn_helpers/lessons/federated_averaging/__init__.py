"""The lesson of notebook 02."""
