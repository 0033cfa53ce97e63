"""The parts of `speed.py`: the contestants, what measures them, and what reports on them."""
