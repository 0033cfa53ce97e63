"""The edition for graded work."""
