"""Which servers a secure sum is enough for: those that need nothing but the weighted mean of the clients' models."""

from flwr.serverapp.strategy import FedAdagrad, FedAdam, FedAvg, FedAvgM, FedProx, FedYogi, Strategy

from fedlearn_helpers.algorithms.aggregation import Averaging, weighted_mean
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.simulation.replies import NUM_EXAMPLES

_MAKE_A_MEAN = {kind for known in (FedAdagrad, FedAdam, FedAvg, FedAvgM, FedProx, FedYogi) for kind in known.__mro__}
_READ_REPLIES = ("aggregate_train", "combine", "_read", "_take_extras")
_NEEDS_MORE = ("extra_records", "extra_metrics", "needed_metrics", "model_record")  # of `Averaging`


def check_needs_only_the_mean(strategy: Strategy) -> None:
    """Check that a strategy needs nothing but the weighted mean: the replies themselves are never seen.

    Raises:
        InputError: it needs more, or does something with replies that is not known here; the message says what.
    """
    if reason := _needs_more(strategy):
        raise InputError(
            f"SecureAggregation must have a server that needs nothing but the weighted mean of the clients' models, "
            f"got {type(strategy).__name__}, {reason}"
        )


def _needs_more(strategy: Strategy) -> str | None:
    if not isinstance(strategy, FedAvg):
        return "which is not made of FedAvg"
    for kind in type(strategy).__mro__:
        if kind in _MAKE_A_MEAN or kind.__module__ == Averaging.__module__:  # also what `averaging` makes
            continue
        if own := [name for name in _READ_REPLIES if name in vars(kind)]:
            return f"which has a rule of its own for replies, {own[0]!r}"
    if isinstance(strategy, Averaging):
        if strategy.aggregator is not weighted_mean:
            return f"whose aggregator is {getattr(strategy.aggregator, '__name__', strategy.aggregator)!r}"
        if needs := [name for name in _NEEDS_MORE if getattr(strategy, name)]:
            return f"which needs more of each reply, {needs[0]}={getattr(strategy, needs[0])!r}"
    if strategy.weighted_by_key != NUM_EXAMPLES:
        return f"which weighs by {strategy.weighted_by_key!r} and not by {NUM_EXAMPLES!r}"
    if strategy.train_metrics_aggr_fn.__module__.partition(".")[0] != "flwr":
        return "which has a train_metrics_aggr_fn of its own"
    return None
