"""Stopping a cell, as a learner does with the stop button: the workers go, and the kernel goes on."""

import time
from pathlib import Path

import pytest
from jupyter_client.manager import start_new_kernel

FEDERATION = """
import time
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
from flwr.serverapp.strategy import FedAvg
import numpy as np
from fedlearn_helpers.simulation import keep_result, simulate

seconds_a_turn = 600
client_app, server_app = ClientApp(), ServerApp()

@client_app.train()
def train(message, context):
    print("a turn begins")
    time.sleep(seconds_a_turn)
    metrics = MetricRecord({"num-examples": 1})
    return Message(RecordDict({"arrays": message.content["arrays"], "metrics": metrics}), reply_to=message)

@server_app.main()
def main(grid, context):
    strategy = FedAvg(fraction_evaluate=0)
    keep_result(strategy.start(grid, ArrayRecord({"w": Array(np.ones(2))}), num_rounds=1), context)

def federation():
    return simulate(server_app, client_app, num_clients=4, seed=0, workers=2)
print("ready")
"""


@pytest.fixture
def kernel():
    manager, client = start_new_kernel()
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def run(client, code: str) -> tuple[str, str]:
    """Run a cell; return what it printed, and the name of the error that ended it, or an empty string."""
    printed, errors = [], []

    def collect(message):
        if message["msg_type"] == "stream":
            printed.append(message["content"]["text"])
        elif message["msg_type"] == "error":
            errors.append(message["content"]["ename"])

    client.execute_interactive(code, output_hook=collect, timeout=120)
    return "".join(printed), "".join(errors)


def children_of(pid: int) -> set[int]:
    """Return the processes whose parent is `pid`."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    return {child for child, parent in parents.items() if parent == pid}


def wait_until(condition, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="forked workers need Linux")
def test_an_interrupted_cell_leaves_no_process_and_a_kernel_that_works(kernel):
    manager, client = kernel
    assert run(client, FEDERATION) == ("ready\n", "")
    pid = int(run(client, "import os; print(os.getpid())")[0])
    before = children_of(pid)

    request = client.execute("federation()")
    wait_until(lambda: len(children_of(pid) - before) == 2)
    manager.interrupt_kernel()
    reply = client.get_shell_msg(timeout=30)
    assert reply["parent_header"]["msg_id"] == request
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    assert children_of(pid) == before

    printed, error = run(client, "seconds_a_turn = 0; print(federation().rounds['clients'].tolist())")
    assert (printed.splitlines()[-1], error) == ("[4]", "")
    assert children_of(pid) == before
