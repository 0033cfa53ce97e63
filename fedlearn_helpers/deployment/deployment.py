"""`Deployment`: a SuperLink and SuperNodes on this machine, each in processes of its own, as if on several machines.

What is hidden in it: `flwr run` also succeeds when the run has failed, so the status is asked for; a run whose clients
all fail counts as completed, so the failures that the ServerApp wrote down are counted; and what a SuperNode starts
outlives it when it is killed, so all processes are marked, and found by that mark.
"""

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from fedlearn_helpers.deployment.commands import (
    Commands,
    RunConfig,
    checked_app,
    failure,
    private_environment,
    toml,
    write_toml,
)
from fedlearn_helpers.deployment.credential_checks import check_credentials, check_node_key, check_public_key
from fedlearn_helpers.deployment.credentials import Credentials, public_key_of
from fedlearn_helpers.deployment.house import (
    LOOKS_FOR_WORK,
    ONE_THREAD,
    House,
    check_seconds,
    ends_at_interrupt,
    node_arguments,
)
from fedlearn_helpers.deployment.listings import (
    ListedNode,
    ListedRun,
    RunStatus,
    nodes_in,
    results_in,
    runs_in,
)
from fedlearn_helpers.deployment.ports import is_free, is_healthy
from fedlearn_helpers.deployment.processes import free_port
from fedlearn_helpers.deployment.programs import Node, Program
from fedlearn_helpers.errors import InputError, check_whole_number

_ANSWERS_WITHIN = 60.0  # seconds, of a command that asks the SuperLink
_CONNECTION = """[superlink]
default = "own"

[superlink.own]
address = "127.0.0.1:{port}"
{trust}
"""


class Deployment(House):
    """A federation of programs on this machine; a context manager, at whose end nothing of it is left.

    It also ends with this process, however that ends, and when an interrupt reaches one of its methods.

    Args:
        folder: new or empty; logs, the SuperLink's database, and Flower's own files go there.
        credentials: for TLS and for authentication; with None all connections are in plain text, and every node that
            connects takes part.
        database: whether the SuperLink keeps its state in a file, so that it can be started again.
        port: of the SuperLink; None takes a free one.
        host: from where it can be reached: this machine alone, or with "0.0.0.0" all others, too.

    Raises:
        InputError: a value that cannot work; programs cannot be started on this machine (see `why_not`); the
            credentials cannot be used (see `check_credentials`); the port is in use.
    """

    def __init__(
        self,
        folder: Path,
        *,
        credentials: Credentials | None = None,
        database: bool = True,
        port: int | None = None,
        host: Literal["127.0.0.1", "0.0.0.0"] = "127.0.0.1",
    ) -> None:
        if port is not None:
            check_whole_number("port", port, 1)
        if host not in ("127.0.0.1", "0.0.0.0"):
            raise InputError(f"host must be '127.0.0.1' or '0.0.0.0', got {host!r}")
        if port is not None:
            _check_free(port)
        self._host, self._credentials, self._database = host, credentials, database
        self._check_credentials()
        super().__init__(folder)
        self.port = free_port() if port is None else port
        self._link: Program | None = None
        self._registered: set[Path] = set()
        self._results: dict[int, Path] = {}
        home = self._folder("home")
        trust = "insecure = true" if credentials is None else f"root-certificates = {toml(str(credentials.ca))}"
        (home / "config.toml").write_text(_CONNECTION.format(port=self.port, trust=trust))
        self._commands = Commands(self._asking, self._logs, private_environment(home))

    # The SuperLink ------------------------------------------------------------------------

    @ends_at_interrupt
    def start_link(self, timeout: float = 60) -> Program:
        """Start the SuperLink, or start it again, and wait until it answers.

        Args:
            timeout: seconds to wait, > 0.

        Raises:
            InputError: it runs already, its port is in use, or the credentials do not count any more.
            RuntimeError: it does not answer in time; the message ends with its log.
        """
        check_seconds(timeout)
        if self._link is not None and self._link.exit_code is None:
            raise InputError("the SuperLink must be started once, and it runs already")
        self._check_credentials()
        _check_free(self.port)
        command = ["flower-superlink", "--host", self._host, "--port", str(self.port)]
        command += ["--disable-runtime-dependency-installation", *self._for_link()]
        if self._database:
            command += ["--database", str(self.folder / "state.db")]
        link = self._link = self._start(Program, "link", command, LOOKS_FOR_WORK)
        deadline = time.monotonic() + timeout
        ca = None if self._credentials is None else self._credentials.ca
        while not is_healthy(self.port, ca):
            if link.exit_code is not None or time.monotonic() > deadline:
                link.kill()
                raise failure("the SuperLink did not start", link.log)
            time.sleep(0.1)
        return link

    def kill_link(self) -> None:
        """End the SuperLink and what it started at once, as a power cut would."""
        self._running_link().kill()

    def _running_link(self) -> Program:
        if self._link is None:
            raise InputError("the SuperLink must run for this, call start_link first")
        if self._link.exit_code is not None:
            raise failure(f"the SuperLink has ended with {self._link.exit_code}", self._link.log)
        return self._link

    def _for_link(self) -> list[str]:
        """Return the options about who may talk to it."""
        if self._credentials is None:
            return ["--insecure"]
        return [
            f"--ssl-ca-certfile={self._credentials.ca}",
            f"--ssl-certfile={self._credentials.certificate}",
            f"--ssl-keyfile={self._credentials.key}",
            "--enable-supernode-auth",
        ]

    # Nodes --------------------------------------------------------------------------------

    @ends_at_interrupt
    def start_node(
        self,
        partition_id: int,
        *,
        num_partitions: int,
        key: Path | Literal["own"] | None = "own",
        root: Path | None = None,
        plain: bool = False,
        retries: int | None = None,
    ) -> Node:
        """Start a SuperNode; `wait_for_nodes` waits until it is connected.

        Args:
            partition_id: which part of the data it holds, 0 to num_partitions - 1.
            num_partitions: how many parts there are, >= 1.
            key: its private key. "own" is the one of the credentials, whose public key the SuperLink is told here;
                of another one the SuperLink is told nothing. None is no key.
            root: certificate of the authority that it trusts; by default that of the credentials.
            plain: whether it talks in plain text, and thus without a key; always so without credentials.
            retries: how often it tries to connect, >= 1; None is for ever.

        Raises:
            InputError: a value that cannot work, or the SuperLink does not run.
            RuntimeError: the SuperLink does not take the key.
        """
        arguments = node_arguments(f"127.0.0.1:{self.port}", partition_id, num_partitions, retries)
        self._running_link()
        command = ["flower-supernode", *arguments]
        if self._credentials is None or plain:
            command += ["--insecure"]
        else:
            command += ["--root-certificates", str(root or self._credentials.ca)]
            if (path := self._register(partition_id) if key == "own" else key) is not None:
                command += ["--auth-supernode-private-key", str(path)]
        return self._start(Node, f"node-{partition_id}", command, LOOKS_FOR_WORK | ONE_THREAD)

    def _register(self, partition_id: int) -> Path:
        """Tell the SuperLink the public key of a node, once, and return its private key."""
        keys = () if self._credentials is None else self._credentials.nodes
        if partition_id >= len(keys):
            raise InputError(f"partition_id must have a key, and there are {len(keys)}, got {partition_id}")
        key = keys[partition_id]
        check_node_key(key)
        self.register(public_key_of(key))
        return key

    @ends_at_interrupt
    def register(self, public_key: Path) -> None:
        """Tell the SuperLink the public key of a node, wherever that is; once is enough.

        Args:
            public_key: a file in OpenSSH's form.

        Raises:
            InputError: it is no such key, or the SuperLink does not run.
            RuntimeError: the SuperLink does not take it.
        """
        check_public_key(public_key)
        self._running_link()
        if public_key not in self._registered:
            self._commands.finish("flwr", "supernode", "register", str(public_key), seconds=_ANSWERS_WITHIN)
            self._registered.add(public_key)

    def nodes(self) -> tuple[ListedNode, ...]:
        """Ask the SuperLink which nodes it knows.

        Raises:
            RuntimeError: it does not answer.
        """
        return nodes_in(self._ask("flwr", "supernode", "list"))

    @ends_at_interrupt
    def wait_for_nodes(self, count: int, timeout: float = 120) -> None:
        """Wait until so many nodes are connected.

        Args:
            count: number of nodes, >= 1.
            timeout: seconds to wait, > 0.

        Raises:
            RuntimeError: they are not connected in time; the message ends with the log of one that ended, if any.
        """
        count = check_whole_number("count", count, 1)
        check_seconds(timeout)
        deadline = time.monotonic() + timeout
        while (online := self._online()) < count:
            if time.monotonic() > deadline:
                sentence = f"of {count} nodes, {online} are connected after {timeout:g} seconds"
                logs = [node.log for node in self._programs if isinstance(node, Node) and node.exit_code is not None]
                raise failure(sentence, logs[-1]) if logs else RuntimeError(sentence)
            time.sleep(0.2)

    def _online(self) -> int:
        """Return how many nodes are connected: by the SuperLink's list and, of this machine's, by their connections."""
        online = sum(node.status == "online" for node in self.nodes())
        own = [program for program in self._programs if isinstance(program, Node)]
        return min(online, sum(node.is_connected(self.port) for node in own)) if own else online

    # Runs ---------------------------------------------------------------------------------

    @ends_at_interrupt
    def run(self, app: Path, run_config: RunConfig, *, timeout: float, failures_expected: bool = False) -> RunStatus:
        """Start an app and wait until it has ended; see `start_run` and `wait`."""
        check_seconds(timeout)
        return self.wait(self.start_run(app, run_config), timeout=timeout, failures_expected=failures_expected)

    @ends_at_interrupt
    def start_run(self, app: Path, run_config: RunConfig) -> int:
        """Start an app and return the number of the run.

        The app must have a key `results-path` in its run-config, and its ServerApp must write JSON to that file:
        `status` ("completed" at the end), `error`, and `rounds`, a list of objects with `failures`, how many clients
        failed, by phase, and `errors`, why. The workbook's app does.

        Args:
            app: folder with the app's pyproject.toml.
            run_config: overrides of the app's run-config. `results-path` is set by this method.

        Raises:
            InputError: a value that cannot work, or the SuperLink does not run.
            RuntimeError: the SuperLink does not take the app.
        """
        app = checked_app(app, run_config)
        self._running_link()
        results = self.folder / f"results-{len(self._results) + 1}.json"
        changes = {**run_config, "results-path": str(results)}
        file = self.folder / "home" / "run_config.toml"
        write_toml(file, changes)
        run_id = int(self._ask("flwr", "run", str(app), "--run-config", str(file))["run-id"])
        self._results[run_id] = results
        return run_id

    @ends_at_interrupt
    def wait(self, run_id: int, *, timeout: float, failures_expected: bool = False) -> RunStatus:
        """Wait until a run has ended.

        Args:
            run_id: as `start_run` returned it.
            timeout: seconds to wait, > 0; then the run is stopped.
            failures_expected: whether a run that failed, or whose clients failed, is returned, and not raised.

        Raises:
            InputError: there is no such run.
            RuntimeError: the time is up, or there was a failure that was not expected; the message ends with the log.
        """
        check_seconds(timeout)
        results_path = self._results_path(run_id)
        deadline = time.monotonic() + timeout
        name = results_path.stem.replace("results", "run")
        stream, log = self._commands.start("flwr", "log", str(run_id), "--stream", log=name)
        while stream.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        while not (run := self._listed(run_id)).is_over:  # the stream may have been cut off
            if time.monotonic() > deadline:
                stream.terminate()
                with contextlib.suppress(RuntimeError):  # it may have ended just now
                    self.stop_run(run_id)
                raise failure(f"the run did not end within {timeout:g} seconds", log)
            time.sleep(0.5)
        ended = RunStatus.of(run, results_path, log)
        if ended.problem and not failures_expected:
            raise failure(ended.problem, log)
        return ended

    @ends_at_interrupt
    def wait_for_round(self, run_id: int, number: int, timeout: float = 300) -> float:
        """Wait until the ServerApp has written down a round, and return the time of `time.monotonic` then.

        Args:
            run_id: as `start_run` returned it.
            number: of the round, >= 0; 0 is the measure of the first model.
            timeout: seconds to wait, > 0.

        Raises:
            InputError: there is no such run, or a value that cannot work.
            RuntimeError: the run ended before that, or the time is up; the message ends with the SuperLink's log.
        """
        number = check_whole_number("number", number, 0)
        check_seconds(timeout)
        path, link = self._results_path(run_id), self._running_link()
        deadline = time.monotonic() + timeout
        while not _has_round(results := results_in(path), number):
            if results is not None and results.get("status") != "running":
                raise failure(f"the run ended before round {number}: {results.get('error')}", link.log)
            if time.monotonic() > deadline:
                raise failure(f"round {number} was not over within {timeout:g} seconds", link.log)
            time.sleep(0.1)
        return time.monotonic()

    def _results_path(self, run_id: int) -> Path:
        if run_id not in self._results:
            raise InputError(f"run_id must be a run of this deployment, got {run_id!r}")
        return self._results[run_id]

    @ends_at_interrupt
    def stop_run(self, run_id: int) -> None:
        """Stop a run that has not ended.

        Raises:
            RuntimeError: the SuperLink does not know it, or it has ended.
        """
        self._ask("flwr", "stop", str(run_id))

    def runs(self) -> tuple[ListedRun, ...]:
        """Ask the SuperLink which runs there were, the latest first.

        Raises:
            RuntimeError: it does not answer.
        """
        return runs_in(self._ask("flwr", "ls"))

    def _listed(self, run_id: int) -> ListedRun:
        (run,) = runs_in(self._ask("flwr", "ls", "--run-id", str(run_id)))
        return run

    # What all have in common --------------------------------------------------------------

    @ends_at_interrupt
    def _ask(self, *command: str) -> dict[str, Any]:
        self._running_link()
        return self._commands.ask(*command, seconds=_ANSWERS_WITHIN)

    def _check_credentials(self) -> None:
        if self._credentials is not None:
            check_credentials(self._credentials)


def _has_round(results: Mapping[str, Any] | None, number: int) -> bool:
    return any(entry["round"] >= number for entry in (results or {}).get("rounds", []))


def _check_free(port: int) -> None:
    if not is_free(port):
        raise InputError(f"port must be free, and another program listens on it, got {port}")
