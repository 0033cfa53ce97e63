"""The contestant of Flower: the quickstart's apps under `run_simulation`, one Ray actor per core."""

import importlib.util
import os
import sys
import traceback

from contest.marks import START, Marks
from contest.settings import BATCH_SIZE, Task, start

NEEDED = ("flwr", "ray", "datasets", "flwr_datasets")


def run(task: Task) -> None:
    """Run the experiment."""
    from flwr.simulation import run_simulation

    from contest.flower_tutorial.client_app import app
    from contest.flower_tutorial.server_app import make_server_app

    marks = Marks(task.marks)
    marks.write(START)
    backend_config = {
        "client_resources": {"num_cpus": 1},
        "init_args": {"num_cpus": len(os.sched_getaffinity(0))},  # as many actors as the other side has workers
    }
    try:
        run_simulation(make_server_app(task.rounds, task.clients, marks), app, task.clients, "ray", backend_config)
    except Exception:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)  # the server's thread would wait for clients, and this process for it, without end


def prepare(task: Task) -> None:
    """Convert the data to the `datasets` library's cache, as the quickstart's first run does."""
    from contest.flower_tutorial.task import load_data, load_test_data

    load_data(0, task.clients, BATCH_SIZE)
    load_test_data()


if __name__ == "__main__":
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        sys.exit(f"missing packages: {', '.join(missing)}; run: pip install -r benchmarks/requirements.txt")
    start(prepare=prepare, run=run)
