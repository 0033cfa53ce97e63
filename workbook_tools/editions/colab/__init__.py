"""Editions of the notebooks for Google Colab: one file each, which brings the helper modules that it needs."""

from workbook_tools.editions.colab.edition import build_edition, write_edition

__all__ = ["build_edition", "write_edition"]
