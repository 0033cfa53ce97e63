"""Editions of the notebooks: for Google Colab, and for graded work."""
