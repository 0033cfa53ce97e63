"""The experiment as the app of Flower's PyTorch quickstart is written, with the same division into files.

What differs from the quickstart, and why, is in `benchmarks/README.md`.
"""
