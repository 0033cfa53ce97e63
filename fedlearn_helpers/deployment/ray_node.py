"""A Ray node of one's own, that also starts on a slow or busy machine."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

from fedlearn_helpers.deployment.processes import OwnProcesses, free_port, last_lines

STARTS_WITHIN = 180.0  # seconds
_STARTED = "Ray runtime started"

# A node gives up when it has to wait 15 seconds until its agents have chosen their ports, and starting them can
# take longer than that on two busy cores (https://github.com/ray-project/ray/issues/65983). So they are told.
_AGENT_PORTS = (
    "--dashboard-agent-grpc-port",
    "--dashboard-agent-listen-port",
    "--metrics-export-port",
    "--runtime-env-agent-port",
)
_SETTINGS = {
    "RAY_agent_register_timeout_ms": f"{1000 * STARTS_WITHIN:.0f}",
    "RAY_prestart_worker_first_driver": "0",  # Flower's clients could not use these workers: their paths differ
}


def start_ray_node(
    processes: OwnProcesses,
    folder: Path,
    *,
    address: str | None = None,
    num_cpus: int | None = None,
    env: Mapping[str, str] | None = None,
) -> str:
    """Start a Ray node on this machine, wait until it is up, and return the address of its cluster.

    Args:
        processes: what the node belongs to, and ends with.
        folder: for the log, and, of a new cluster, for Ray's files; its path must be short, because Ray puts sockets
            there, and their paths may have 107 characters.
        address: "host:port" of the cluster to join; None starts a new one.
        num_cpus: how many cores the node offers, >= 1; None means all.
        env: the environment of the node, and of the clients that run on it; this process's by default.

    Raises:
        RuntimeError: the node did not start; the message ends with the last lines of its log.
    """
    ports = [f"{option}={free_port()}" for option in _AGENT_PORTS]
    command = ["ray", "start", "--block", "--node-ip-address=127.0.0.1", "--include-log-monitor=false", *ports]
    if num_cpus is not None:
        command.append(f"--num-cpus={num_cpus}")
    if address is None:
        port = free_port()
        command += ["--head", f"--port={port}", f"--temp-dir={folder / 'ray'}"]
        command += ["--include-dashboard=false", "--no-monitor", f"--ray-client-server-port={free_port()}"]
        joined = f"127.0.0.1:{port}"
    else:
        command.append(f"--address={address}")
        joined = address
    log = folder / f"ray_node_{uuid4().hex}.log"
    node = processes.start(command, log=log, env={**(os.environ if env is None else env), **_SETTINGS})
    give_up = time.monotonic() + STARTS_WITHIN
    while _STARTED not in log.read_text(errors="replace"):
        if node.poll() is not None or time.monotonic() > give_up:
            raise RuntimeError(f"a Ray node did not start\n{last_lines(log)}")
        time.sleep(0.2)
    return joined
