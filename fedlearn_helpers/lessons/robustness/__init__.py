"""The lesson of notebook 09: its parameters, exercises, figures and recall questions."""
