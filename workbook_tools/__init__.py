"""What runs, publishes and grades the notebooks; no notebook imports it."""
