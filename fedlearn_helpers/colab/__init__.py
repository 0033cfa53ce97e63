"""Editions of the notebooks for Google Colab: one file each, which brings the helper modules that it needs."""

from fedlearn_helpers.colab.edition import build_edition, write_edition

__all__ = ["build_edition", "write_edition"]
