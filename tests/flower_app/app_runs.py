"""Runs of the app in this process, on images of noise."""

import tomllib
from pathlib import Path

from workbook_app import client_app as client_module
from workbook_app import task
from workbook_app.client_app import app as client_app
from workbook_app.server_app import app as server_app

from fedlearn_helpers.simulation import simulate

FLOWER_APP = Path(__file__).parents[2] / "flower_app"
NUM_CLIENTS = 4
DEFAULTS = tomllib.loads((FLOWER_APP / "pyproject.toml").read_text())["tool"]["flwr"]["app"]["config"]


def run(run_config=None, *, clients=client_app, server=server_app, workers=1, **options):
    run_config = DEFAULTS | (run_config or {})
    options = {"num_clients": NUM_CLIENTS, "seed": run_config["seed"]} | options
    return simulate(server, clients, run_config=run_config, workers=workers, **options)


def forget_data():
    task.load_images.cache_clear()
    client_module._new_client.cache_clear()
