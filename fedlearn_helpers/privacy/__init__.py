"""Attacks on the privacy of a federation, and defences."""
