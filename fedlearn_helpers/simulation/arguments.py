"""What `simulate` is given: checked before anything runs, one sentence for each mistake."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp

from fedlearn_helpers.errors import InputError

NodeConfig = Callable[[int], Mapping[str, Any]] | Sequence[Mapping[str, Any]]


def check_kind(argument: str, value: object, kind: type | tuple[type, ...], words: str) -> None:
    """Raise an InputError in these words if a value is of another kind."""
    if not isinstance(value, kind):
        shown = repr(value)
        raise InputError(f"{argument} must be {words}, got {shown if len(shown) < 80 else type(value).__name__}")


def check_apps(server_app: object, client_app: object) -> None:
    """Raise an InputError if the apps are none, or the server's is of Flower's old form."""
    check_kind("server_app", server_app, ServerApp, "a ServerApp, in whose main function the strategy starts")
    if getattr(server_app, "_main", ...) is None:
        raise InputError(
            "server_app must have a main function (@server_app.main() above def main(grid, context): …, where "
            "strategy.start(grid=grid, …) is called), which an app made with server_fn= has not"
        )
    check_kind("client_app", client_app, ClientApp, "a ClientApp, whose functions stand below @client_app.train() …")


def flat_config(argument: str, config: Any) -> dict[str, Any]:
    """Return a config as apps see it: `{"a.b": 1}` for `{"a": {"b": 1}}`; an InputError if no app could have it."""
    flat: dict[str, Any] = {}
    tables = [("", config)]
    for prefix, table in tables:
        for name, value in table.items() if isinstance(table, Mapping) else [(None, None)]:
            if isinstance(value, Mapping) and isinstance(name, str):
                tables.append((f"{prefix}{name}.", value))
            elif isinstance(value, bool | int | float | str) and isinstance(name, str):
                flat[prefix + name] = value
            else:
                words = "a dictionary of numbers, strings and such dictionaries, with strings as keys"
                raise InputError(f"{argument} must be {words}, got {config!r}")
    return flat


def node_configs(node_config: NodeConfig | None, num_clients: int) -> dict[int, dict[str, Any]]:
    """Return what each client finds in its `node_config` besides its number; an InputError if not one per client."""
    if node_config is None:
        return {}
    given = [node_config(client) for client in range(num_clients)] if callable(node_config) else node_config
    check_kind("node_config", given, (list, tuple), "a list of dictionaries, or a function of the client's number")
    if len(given) != num_clients:
        raise InputError(f"node_config must have one entry per client ({num_clients}), got {len(given)}")
    return {client: flat_config(f"node_config of client {client}", config) for client, config in enumerate(given)}
