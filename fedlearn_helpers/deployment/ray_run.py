"""`run_on_ray`: `flwr run` on Ray, from start to finish, and nothing of it left behind.

What it takes with Flower 1.41: a SuperLink of one's own, because the one that `flwr run` starts by itself stays
for ever; a status that is asked for, because `flwr run` also succeeds when the run has failed; and a look at
the clients' failures, because a run whose clients all fail counts as completed.
"""

import importlib.util
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from fedlearn_helpers.deployment.commands import Commands, RunConfig, checked_app, failure, toml, write_toml
from fedlearn_helpers.deployment.listings import ListedRun, RunStatus, runs_in
from fedlearn_helpers.deployment.ports import is_healthy
from fedlearn_helpers.deployment.processes import OwnProcesses, free_port
from fedlearn_helpers.deployment.ray_node import start_ray_node
from fedlearn_helpers.errors import InputError

_CONNECTION = """[superlink]
default = "own"

[superlink.own]
address = "127.0.0.1:{port}"
insecure = true
"""


def run_on_ray(
    app: Path,
    *,
    run_config: RunConfig,
    num_supernodes: int,
    client_cpus: int = 1,
    ray_address: str | None = None,
    timeout: float = 600,
) -> dict[str, Any]:
    """Run a Flower app on Ray with `flwr run`, and return what its ServerApp wrote.

    The app must have a key `results-path` in its run-config, and its ServerApp must write JSON to that file with
    at least `status` ("completed" at the end) and `rounds`, a list of objects with `failures`: how many clients
    failed, by phase; and, if it likes, `errors`: why. The app in `flower_app` does.

    Args:
        app: folder with the app's pyproject.toml.
        run_config: overrides of the app's run-config. `results-path` is set by this function.
        num_supernodes: number of clients, >= 1.
        client_cpus: cores of one client, >= 1, a whole number because Flower takes no other. As many clients run
            in parallel as fit on the machine or cluster.
        ray_address: "host:port" of a running Ray cluster that this machine belongs to; None starts Ray here, and
            stops it at the end.
        timeout: seconds after which the run is given up, > 0.

    Returns:
        The parsed results file.

    Raises:
        InputError: an argument out of range, or Ray is not installed.
        RuntimeError: something did not start, the run or a client failed, or the time was up; the message ends
            with the last lines of the log.
    """
    if importlib.util.find_spec("ray") is None:
        raise InputError("flwr run needs Ray, which is not installed: pip install 'flwr[simulation]'")
    app = checked_app(app, run_config)
    _check(num_supernodes, client_cpus, timeout)
    deadline = time.monotonic() + timeout
    short = "/tmp" if os.path.isdir("/tmp") else None  # see `start_ray_node`
    with (
        tempfile.TemporaryDirectory(prefix="fedflwr-", dir=short, ignore_cleanup_errors=True) as name,
        OwnProcesses() as processes,
    ):
        folder = Path(name)
        commands = Commands(processes, folder)
        commands.env["RAY_USAGE_STATS_ENABLED"] = "0"
        commands.env["RAY_ADDRESS"] = ray_address or start_ray_node(processes, folder, env=commands.env)
        _start_superlink(commands, deadline)
        results = folder / "results.json"
        federation = {
            "num-supernodes": num_supernodes,
            "client-resources-num-cpus": client_cpus,
            "init-args-log-to-driver": False,
        }
        log, run = _run(commands, app, {**run_config, "results-path": str(results)}, federation, deadline)
        ended = RunStatus.of(run, results, log)
        if ended.problem:
            raise failure(ended.problem, log)
        return dict(ended.results or {})


def _check(num_supernodes: int, client_cpus: int, timeout: float) -> None:
    for name, count in (("num_supernodes", num_supernodes), ("client_cpus", client_cpus)):
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise InputError(f"{name} must be a whole number >= 1, got {count!r}")
    if not timeout > 0:
        raise InputError(f"timeout must be > 0, got {timeout!r}")


def _start_superlink(commands: Commands, deadline: float) -> None:
    """Start Flower's server that takes runs, and wait until it listens."""
    port = free_port()
    (commands.folder / "config.toml").write_text(_CONNECTION.format(port=port))
    superlink, log = commands.start(
        "flower-superlink", "--insecure", "--simulation", "--host", "127.0.0.1", "--port", str(port)
    )
    while not is_healthy(port):
        if superlink.poll() is not None or time.monotonic() > deadline:
            raise failure("the SuperLink did not start", log)
        time.sleep(0.2)


def _run(
    commands: Commands, app: Path, run_config: RunConfig, federation: RunConfig, deadline: float
) -> tuple[Path, ListedRun]:
    """Run the app to its end, and return its log, and what Flower says of it."""
    run_toml = commands.folder / "run_config.toml"
    write_toml(run_toml, run_config)
    federation_config = " ".join(f"{key}={toml(value)}" for key, value in federation.items())
    command = ["flwr", "run", str(app), "--stream", "--run-config", str(run_toml)]
    log = commands.finish(*command, "--federation-config", federation_config, seconds=_left(deadline))
    while not (run := _only_run(commands, deadline)).is_over:  # what streams the log was cut off
        time.sleep(1)
    return log, run


def _only_run(commands: Commands, deadline: float) -> ListedRun:
    """Ask the SuperLink about its only run."""
    (run,) = runs_in(commands.ask("flwr", "ls", seconds=_left(deadline)))
    return run


def _left(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0)
