"""Notebooks executed, rendered and repeated."""
