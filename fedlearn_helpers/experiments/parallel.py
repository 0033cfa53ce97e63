"""Independent tasks spread over workers: each is a "client" of a federation that never averages."""

from collections.abc import Callable, Mapping
from typing import Any

from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from fedlearn_helpers.errors import check_whole_number
from fedlearn_helpers.simulation.position import client_of
from fedlearn_helpers.simulation.simulate import simulate
from fedlearn_helpers.simulation.workers import Workers

Numbers = Mapping[str, Any]
"""Numbers, or lists of numbers, by name."""


def run_in_parallel(
    task: Callable[[int], Numbers], count: int, *, seed: int, workers: Workers = "auto", label: str | None = "Tasks"
) -> list[Numbers]:
    """Return `[task(0), …, task(count - 1)]`, computed in the workers of `simulate`.

    What `simulate` promises holds here: the same numbers for any number of workers, a task's exception is raised with
    its own traceback, an interrupt leaves no process. A task may itself call `simulate(..., workers=1)`.

    Args:
        task: gets a number in [0, count) and returns numbers, or lists of numbers, by name.
        count: how many tasks there are, >= 1. Put long ones first, so that no worker ends alone.
        seed: seeds the global random generators before each task.
        workers: as in `simulate`.
        label: what the progress line counts; None for no such line.

    Raises:
        InputError: an argument out of range.
    """
    check_whole_number("count", count, 1)
    client_app, server_app = ClientApp(), ServerApp()
    replies: list[Message] = []

    @client_app.query()
    def do_task(message: Message, context: Context) -> Message:
        numbers = task(client_of(context))
        return Message(RecordDict({"numbers": MetricRecord(dict(numbers))}), reply_to=message)

    @server_app.main()
    def ask_all(grid: Grid, context: Context) -> None:
        messages = [grid.create_message(RecordDict(), "query", node, group_id="") for node in grid.get_node_ids()]
        replies.extend(grid.send_and_receive(messages))

    simulate(server_app, client_app, num_clients=count, seed=seed, workers=workers, label=label)
    return [dict(reply.content.metric_records["numbers"]) for reply in replies]
