"""The same federation outside a notebook: Flower's own runtime, on one machine or on a cluster."""

from fedlearn_helpers.deployment.flower_run import run_app

__all__ = ["run_app"]
