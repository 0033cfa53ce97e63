"""Graded work: an edition without solutions, and the grading of what comes back."""
