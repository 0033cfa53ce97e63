"""`deploy_app`: an app on a SuperLink and SuperNodes of this machine, and nothing of them left behind."""

import tempfile
from pathlib import Path
from typing import Any

from fedlearn_helpers.deployment import Deployment, make_credentials
from fedlearn_helpers.deployment.deployment import RunConfig
from fedlearn_helpers.errors import check_whole_number


def deploy_app(app: Path, *, run_config: RunConfig, num_nodes: int, timeout: float) -> dict[str, Any]:
    """Run an app once, with TLS and a key per node, and return what its ServerApp wrote.

    Args:
        app: folder with the app's pyproject.toml; see `Deployment.start_run` for what it must write.
        run_config: overrides of the app's run-config.
        num_nodes: number of SuperNodes, >= 1, each with one part of the data.
        timeout: seconds for the run, > 0.

    Raises:
        InputError: a value that cannot work, or programs cannot be started here.
        RuntimeError: something did not start, the run or a client failed, or the time was up.
    """
    num_nodes = check_whole_number("nodes", num_nodes, 1)
    with tempfile.TemporaryDirectory(prefix="feddeploy-", ignore_cleanup_errors=True) as name:
        credentials = make_credentials(Path(name) / "credentials", num_nodes)
        with Deployment(Path(name) / "federation", credentials=credentials) as federation:
            federation.start_link()
            for node in range(num_nodes):
                federation.start_node(node, num_partitions=num_nodes)
            federation.wait_for_nodes(num_nodes)
            run = federation.run(app, run_config, timeout=timeout)
            return dict(run.results or {})
