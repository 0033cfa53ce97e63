"""`Hospital`: the other side of a deployment, on a machine that has no SuperLink of its own."""

import sys
from pathlib import Path

from fedlearn_helpers.deployment.approval import Approvals
from fedlearn_helpers.deployment.credentials import make_node_key
from fedlearn_helpers.deployment.house import LOOKS_FOR_WORK, ONE_THREAD, House, ends_at_interrupt, node_arguments
from fedlearn_helpers.deployment.outgoing import SentReply, read_sent
from fedlearn_helpers.deployment.ports import is_healthy
from fedlearn_helpers.deployment.programs import Node
from fedlearn_helpers.errors import InputError


class Hospital(House):
    """A key pair, approvals, and a SuperNode behind a gate (see `gate`); a context manager, at whose end it is stopped.

    Args:
        folder: new or empty; keys, approvals, logs and Flower's own files go there.

    Attributes:
        public_key: the half of the key that the server is given.
        approvals: which apps may run here; empty at first.

    Raises:
        InputError: programs cannot be started on this machine (see `why_not`), or the folder has something in it.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._key = self._folder("keys") / "node"
        self.public_key = make_node_key(self._key)
        self.approvals = Approvals(self.folder / "approved.json")
        self._sent = self.folder / "sent.jsonl"

    @ends_at_interrupt
    def start_node(
        self, address: str, ca: Path, *, partition_id: int, num_partitions: int, retries: int | None = None
    ) -> Node:
        """Start the SuperNode; it asks the server for messages, runs approved apps, and writes down what leaves.

        Args:
            address: "host:port" of the SuperLink.
            ca: certificate of the authority that signed the server's.
            partition_id: which part of the data it holds, 0 to num_partitions - 1.
            num_partitions: how many parts there are, >= 1.
            retries: how often it tries to connect, >= 1; None is for ever.

        Raises:
            InputError: a value that cannot work.
        """
        if not Path(ca).is_file():
            raise InputError(f"ca must be the certificate of the authority, and there is no file {str(ca)!r}")
        arguments = node_arguments(address, partition_id, num_partitions, retries)
        arguments += ["--root-certificates", str(ca), "--auth-supernode-private-key", str(self._key)]
        gate = [sys.executable, "-P", "-m", "fedlearn_helpers.deployment.gate"]
        gate += ["--approved", str(self.approvals.path), "--log", str(self._sent)]
        return self._start(Node, "node", [*gate, "--", *arguments], LOOKS_FOR_WORK | ONE_THREAD)

    @staticmethod
    def reaches(address: str, ca: Path) -> bool:
        """Return whether the server at an address answers, with a certificate of this authority.

        Args:
            address: "host:port".
            ca: certificate of the authority.

        Raises:
            InputError: it is no such address.
        """
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise InputError(f"address must be host:port, got {address!r}")
        return is_healthy(int(port), ca, host=host)

    def sent(self) -> tuple[SentReply, ...]:
        """Return what has left so far, the oldest first."""
        return read_sent(self._sent)
