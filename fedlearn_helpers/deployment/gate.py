"""The gate of a hospital: a SuperNode that runs approved apps alone, and writes down what leaves.

Flower has an option for the first, `--trusted-entities`, for which the SuperLink must be one that keeps signatures of
apps; Flower's own does not. So this program is Flower's SuperNode with two of its private functions wrapped:

- `_pull_and_store_message` gets a message, and for the first one of a run also the app. The gate computes the app's
  hash of its bytes. Where it is not approved the message is answered with an error that names it, before anything
  is unpacked. It asks again for every message, so an approval can be withdrawn in the middle of a run.
- `_push_messages` sends replies. The gate writes each down first; one that it cannot read does not leave.

Both are in the SuperNode's process. The app runs in another one, which talks to the server through this one alone.

What the gate does not do: code that is approved runs with all rights of its user. It may read files, open connections
of its own, change the files of approvals and of replies, or hide an image in numbers that look masked. Against that
help reading, and what the operating system offers: a user of its own for the node, a container without other network.
"""

import inspect
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from flwr.app import Error, Message, RecordDict

from fedlearn_helpers.deployment.approval import Approvals
from fedlearn_helpers.deployment.outgoing import describe, write_down

try:
    from flwr.common.config import get_fused_config_from_fab
    from flwr.common.constant import ErrorCode
    from flwr.supercore.inflatable.inflatable_object import iterate_object_tree
    from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
    from flwr.supernode import start_client_internal as supernode
    from flwr.supernode.cli import flower_supernode
except ImportError as error:
    raise ImportError(f"the gate needs flwr >= 1.41, < 1.43: {error}") from error

# What is wrapped, with the parameters that it must have: a gate around something else would stand open.
WRAPPED = {
    "_pull_and_store_message": (
        "state",
        "object_store",
        "node_config",
        "receive",
        "get_run",
        "get_fab",
        "pull_object",
        "confirm_message_received",
        "trusted_entities",
    ),
    "_push_messages": ("state", "object_store", "send", "push_object"),
    "_insert_message": ("msg", "state", "store"),
}
_CONTENT_WITHIN = 600.0  # seconds, from the ClientApp to the SuperNode


class _NotApproved(Exception):
    pass


class Gate:
    """Stands between the server and what runs here.

    Args:
        approvals: which apps may run.
        log: the file for what leaves.
    """

    def __init__(self, approvals: Approvals, log: Path) -> None:
        self._approvals, self._log = approvals, log
        self._runs: dict[int, tuple[str, dict[str, Any]]] = {}  # hash and run-config, by run

    def check(self, run_id: int) -> None:
        """Raise `_NotApproved` for a run that is not approved, or not any more."""
        if refusal := self._approvals.refusal(*self._runs[run_id]):
            raise _NotApproved(refusal)

    def pulling(self, pull: Callable[..., int | None], insert: Callable[..., None]) -> Callable[..., int | None]:
        """Return Flower's function that gets a message, with the gate around what it gets."""

        def pull_if_approved(
            *, state: Any, object_store: Any, receive: Any, get_run: Any, get_fab: Any, **others: Any
        ) -> int | None:
            received: list[Message] = []
            runs: dict[int, Any] = {}

            def receive_checked() -> Any:
                if (got := receive()) is not None:
                    received.append(got[0])
                    run_id = got[0].metadata.run_id
                    if run_id in self._runs:
                        self.check(run_id)
                    elif state.get_run(run_id) is not None:
                        raise _NotApproved(f"the app of run {run_id} has not been checked")
                return got

            def get_run_remembered(run_id: int) -> Any:
                runs[run_id] = get_run(run_id)
                return runs[run_id]

            def get_fab_checked(fab_hash: str, run_id: int) -> Any:
                fab = get_fab(fab_hash, run_id)
                app_hash = sha256(fab.content).hexdigest()
                if refusal := self._approvals.refusal(app_hash):  # before anything of it is read
                    raise _NotApproved(refusal)
                if {fab_hash, fab.hash_str} != {app_hash}:
                    raise _NotApproved(f"the app with hash {app_hash} was announced with another one, {fab_hash}")
                self._runs[run_id] = app_hash, dict(get_fused_config_from_fab(fab.content, runs[run_id]))
                self.check(run_id)
                return fab

            try:
                return pull(
                    state=state,
                    object_store=object_store,
                    receive=receive_checked,
                    get_run=get_run_remembered,
                    get_fab=get_fab_checked,
                    **others,
                )
            except _NotApproved as refusal:
                message = received[-1]
                print(f"Refused: {refusal}", flush=True)
                insert(Message(Error(ErrorCode.INVALID_FAB, str(refusal)), reply_to=message), state, object_store)
                return message.metadata.run_id

        return pull_if_approved

    def pushing(self, push: Callable[..., None]) -> Callable[..., None]:
        """Return Flower's function that sends replies, with the gate around what it sends."""

        def push_written_down(*, state: Any, object_store: Any, send: Any, push_object: Any) -> None:
            def send_written_down(message: Message, tree: Any, seconds: float) -> Any:
                contents = _contents(object_store, tree)
                size = sum(len(content) for content in contents.values())
                content = None if message.has_error() else _inflated(tree, contents)
                write_down(self._log, describe(message, content, size))
                return send(message, tree, seconds)

            push(state=state, object_store=object_store, send=send_written_down, push_object=push_object)

        return push_written_down


def _contents(object_store: Any, tree: Any) -> dict[str, bytes]:
    """Return all objects of a message by id, as soon as the ClientApp has handed them over."""
    deadline = time.monotonic() + _CONTENT_WITHIN
    contents = {}
    for one in iterate_object_tree(tree):
        while not (content := object_store.get(one.object_id)):
            if content is None or time.monotonic() > deadline:
                raise RuntimeError(f"a part of the reply is missing, {one.object_id}, so it does not leave")
            time.sleep(0.1)
        contents[one.object_id] = content
    return contents


def _inflated(tree: Any, contents: dict[str, bytes]) -> RecordDict:
    """Return the content of a reply; the SuperNode itself moves it without looking."""
    whole: Any = inflate_object_from_contents(tree.object_id, dict(contents))
    return whole.content


def unlike_what_is_wrapped() -> list[str]:
    """Return what of Flower's private functions is not as this file knows it, in sentences."""
    found = []
    for name, expected in WRAPPED.items():
        function = getattr(supernode, name, None)
        got = tuple(inspect.signature(function).parameters) if callable(function) else ()
        if got != expected:
            found.append(f"{name} must have the parameters {', '.join(expected)}, got {', '.join(got) or 'none'}")
    return found


def main(arguments: Sequence[str]) -> None:
    """Run the SuperNode; what stands after `--` are its own arguments.

    Raises:
        SystemExit: Flower is another one than this gate is made for.
    """
    parser = ArgumentParser(prog="gate", description="A SuperNode that runs approved apps alone.")
    parser.add_argument("--approved", type=Path, required=True)
    parser.add_argument("--log", type=Path, required=True)
    split = list(arguments).index("--")
    own = parser.parse_args(arguments[:split])
    if wrong := unlike_what_is_wrapped():
        raise SystemExit("the gate does not fit this Flower, so no node is started: " + "; ".join(wrong))
    gate = Gate(Approvals(own.approved), own.log)
    internal: Any = supernode
    internal._pull_and_store_message = gate.pulling(internal._pull_and_store_message, internal._insert_message)
    internal._push_messages = gate.pushing(internal._push_messages)
    sys.argv = ["flower-supernode", *arguments[split + 1 :]]
    flower_supernode()


if __name__ == "__main__":
    main(sys.argv[1:])
