"""The lesson of notebook 06."""
