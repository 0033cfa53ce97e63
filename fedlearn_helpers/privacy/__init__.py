"""Privacy: what updates give away, and what is done about it."""
