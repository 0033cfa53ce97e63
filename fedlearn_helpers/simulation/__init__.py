"""A Flower federation inside this process: `simulate` runs a ServerApp and a ClientApp, and returns a History."""

from fedlearn_helpers.simulation.history import History, keep_result
from fedlearn_helpers.simulation.simulate import simulate

__all__ = ["History", "keep_result", "simulate"]
