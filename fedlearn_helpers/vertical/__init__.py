"""Vertical federated learning: two parties with other columns of the same patients find them, and train one model."""
