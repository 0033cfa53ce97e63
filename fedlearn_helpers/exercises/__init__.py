"""Exercises that answer back: one module per notebook, named after it."""
