"""The same federation outside a notebook: Flower's own runtime, on one machine or on a cluster."""

from workbook_tools.flower.deploy_run import deploy_app
from workbook_tools.flower.flower_run import run_app

__all__ = ["deploy_app", "run_app"]
