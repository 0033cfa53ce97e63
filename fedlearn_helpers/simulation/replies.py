"""Which replies of clients a server cannot use: what is not a number would spread to the models of all clients."""

import functools
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from fedlearn_helpers.errors import InputError

NUM_EXAMPLES = "num-examples"
NEEDED_METRICS = "needed-metrics"  # in a message's config: names of the numbers that the server computes with
NEEDED_RECORDS = "needed-records"  # in a message's config: names of further arrays that it computes with
MODEL_PREFIX = "model-prefix"  # in a message's config: needed arrays are like those sent whose keys begin with this
_BYTES = "uint8"  # an array of these is a file in disguise, such as the trees of Flower's XGBoost
_Form = dict[tuple[str, str], str]  # by kind of record, its name or that and a key of it: what is there


class FaultyReply(InputError):
    """A client's reply that the server cannot use; the message names the client, the round and the reason."""


def refusal(client: int, server_round: int, fault: str) -> FaultyReply:
    """Return the error for a reply with a fault."""
    return FaultyReply(f"the reply of client {client} in round {server_round} cannot be used: {fault}")


def fault_of(phase: str, request: RecordDict, reply: RecordDict) -> str | None:
    """Return why a server cannot use a reply, or None if it can.

    After a training, arrays under the name under which a model was sent must have its keys and shapes, and finite
    numbers. A number of examples must be finite and >= 0, after an evaluation, too. A server that computes with more
    than that names it in the message's config, under `NEEDED_METRICS` (finite numbers >= 0) and `NEEDED_RECORDS`. If
    the number of examples is among them, it must be > 0: a server that does not weigh by it would let a model in that
    was trained on nothing. With a `MODEL_PREFIX`, which may be empty, needed arrays must have all the keys and shapes
    of those that were sent under that prefix.
    Whatever else is in a reply is the app's own affair, and so are replies to queries.

    Args:
        phase: Flower's type of the message, such as "train", or "train.name".
        request: what the client was sent.
        reply: what it sent back.
    """
    kind = phase.partition(".")[0]
    if kind not in ("train", "evaluate"):
        return None
    config = {name: value for record in _records(request, ConfigRecord).values() for name, value in record.items()}
    metrics = {name: value for record in _records(reply, MetricRecord).values() for name, value in record.items()}
    needed = list(config.get(NEEDED_METRICS, [])) if kind == "train" else []
    for name in (NUM_EXAMPLES, *needed):
        if (name in metrics or name in needed) and not _is_amount(value := metrics.get(name)):
            return f"{name} must be a finite number >= 0, got {'none' if value is None else repr(value)}"
    if NUM_EXAMPLES in needed and not metrics[NUM_EXAMPLES]:
        return f"{NUM_EXAMPLES} must be > 0 for a model that is to count, got 0"
    if kind == "evaluate":
        return None
    models, replied = _records(request, ArrayRecord), _records(reply, ArrayRecord)
    for record, sent in models.items():
        if record in replied and (fault := _unlike(sent, replied[record]) or _not_finite(sent, replied[record])):
            return f"{record!r} {fault}"
    for record in config.get(NEEDED_RECORDS, []):
        if record not in replied:
            return f"{record!r} must be among its arrays, got {sorted(replied)}"
        if record in models:  # it has been looked at
            continue
        every = {key: array for model in models.values() for key, array in model.items()}
        prefix = config.get(MODEL_PREFIX, "")
        alike = {key.removeprefix(prefix): array for key, array in every.items() if key.startswith(prefix)}
        differs = _unlike if MODEL_PREFIX in config and alike else _unlike_where_shared
        if fault := differs(alike, replied[record]) or _not_finite({}, replied[record]):
            return f"{record!r} {fault}"
    return None


def unlike_most(phase: str, server_round: int, replies: Mapping[int, RecordDict]) -> dict[int, str]:
    """Return why replies cannot be averaged with most others of their round, by client; the others are not in it.

    Flower's strategies average replies that have the same metrics in the same records and, after a training, the same
    arrays, and stop the run where one differs. So a reply that differs from more than half of them is a fault. After a
    training, a metric that is not finite is one, too, if others have it finite: it would make their average so. If none
    has, or in an evaluation, where it may be what the server's model has earned, the average is as it is.

    Args:
        phase: Flower's type of the messages.
        server_round: for the error.
        replies: by client, those that have no fault of their own.

    Raises:
        InputError: more than one kind of reply, and none of them that of more than half.
    """
    kind = phase.partition(".")[0]
    if kind not in ("train", "evaluate") or len(replies) < 2:
        return {}
    forms = {client: _form(reply, with_arrays=kind == "train") for client, reply in replies.items()}
    groups: dict[frozenset[Any], list[int]] = defaultdict(list)
    for client, form in forms.items():
        groups[frozenset(form.items())].append(client)
    largest = max(groups.values(), key=len)
    if 2 * len(largest) <= len(replies):
        first, *others = groups.values()
        got = [f"those of {_clients(first)}"]
        got += [f"those of {_clients(group)} with {_difference(forms[first[0]], forms[group[0]])}" for group in others]
        raise InputError(
            f"more than half of the replies to {phase!r} in round {server_round} must have the same records and "
            f"metrics, got {', and '.join(got)}"
        )
    usual = forms[largest[0]]
    faults = {
        client: f"unlike most replies of the round, it has {_difference(usual, form)}"
        for client, form in forms.items()
        if form != usual
    }
    return faults | (_not_finite_metrics({client: replies[client] for client in largest}) if kind == "train" else {})


def nobody_has_examples(examples: Sequence[int | float | None]) -> str | None:
    """Return the sentence for replies whose numbers of examples are all 0, of which no average can be made."""
    if not examples or any(number is None or number != 0 for number in examples):
        return None
    return f"{NUM_EXAMPLES} must be > 0 for at least one client in a round, got 0 from all {len(examples)}"


def _records(content: RecordDict, kind: type) -> dict[str, Any]:
    """Return the records of a kind, as plain dictionaries: Flower's own views of them take longer than all the rest."""
    return {name: dict(record.items()) for name, record in content.items() if isinstance(record, kind)}


def _form(reply: RecordDict, *, with_arrays: bool) -> _Form:
    """Return what must be alike in replies that are averaged."""
    form: _Form = {}
    for name, arrays in _records(reply, ArrayRecord).items() if with_arrays else ():
        form[f"ArrayRecord {name!r}", ""] = ""
        form |= dict.fromkeys(((f"ArrayRecord {name!r}", key) for key in arrays), "an array")
    for name, metrics in _records(reply, MetricRecord).items():
        form[f"MetricRecord {name!r}", ""] = ""
        for key, value in metrics.items():
            form[f"MetricRecord {name!r}", key] = f"a list of {len(value)}" if isinstance(value, list) else "a number"
    return form


def _difference(usual: _Form, form: _Form) -> str:
    """Return the first thing in which a reply differs from the usual ones."""
    for part, content in usual.items():
        if part not in form:
            return f"no {_name_of(part)}"
        if form[part] != content:
            return f"{form[part]} and not {content} as {_name_of(part)}"
    return f"an additional {_name_of(next(part for part in form if part not in usual))}"


def _name_of(part: tuple[str, str]) -> str:
    record, key = part
    return f"{key!r} in its {record}" if key else record


def _clients(numbers: Sequence[int]) -> str:
    few = ", ".join(map(str, numbers[:5])) + (f" and {len(numbers) - 5} more" if len(numbers) > 5 else "")
    return f"client{'s' if len(numbers) > 1 else ''} {few}"


def _not_finite_metrics(replies: Mapping[int, RecordDict]) -> dict[int, str]:
    """Return which metric of a reply is not finite where that of another is; all have the same metrics."""
    faults: dict[int, str] = {}
    metrics = {client: _records(reply, MetricRecord) for client, reply in replies.items()}
    for record, names in next(iter(metrics.values())).items():
        for name in names:
            values = {client: of_client[record][name] for client, of_client in metrics.items()}
            wrong = {client: value for client, value in values.items() if not _all_finite(value)}
            if len(wrong) < len(values):
                faults |= {
                    client: f"{name} must be finite, as in other replies of the round, got {wrong[client]}"
                    for client in wrong
                }
    return faults


def _all_finite(value: float | Sequence[float]) -> bool:
    numbers = value if isinstance(value, Sequence) else [value]
    return all(isinstance(number, int) or math.isfinite(number) for number in numbers)


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value < math.inf


def _unlike(sent: Mapping[str, Array], replied: Mapping[str, Array]) -> str | None:
    """Return in what arrays differ from those that were sent."""
    if missing := [key for key in sent if key not in replied]:
        return f"must have the arrays that were sent, and {missing[0]!r} is missing"
    if added := [key for key in replied if key not in sent]:
        return f"must have the arrays that were sent, and {added[0]!r} is not one of them"
    return _unlike_where_shared(sent, replied)


def _unlike_where_shared(sent: Mapping[str, Array], replied: Mapping[str, Array]) -> str | None:
    for key, array in replied.items():
        if key not in sent or sent[key].dtype == _BYTES:
            continue
        if tuple(array.shape) != tuple(sent[key].shape):
            return f"must have the shapes that were sent, {tuple(sent[key].shape)} for {key!r}, got {array.shape}"
        if _is_numeric(sent[key]) and not _is_numeric(array):
            return f"must have numbers, got the dtype {array.dtype} for {key!r}"
    return None


@functools.cache
def _kind_of(dtype: str) -> str:
    """Return NumPy's letter for a kind of dtype, or none for a dtype that NumPy does not know."""
    try:
        return np.dtype(dtype).kind
    except TypeError:
        return ""


def _is_numeric(array: Array) -> bool:
    return _kind_of(array.dtype) in ("b", "i", "u", "f")


def _not_finite(sent: Mapping[str, Array], replied: Mapping[str, Array]) -> str | None:
    for key, array in replied.items():
        if not _is_finite(array):
            if key in sent and not _is_finite(sent[key]):
                return f"has numbers that are not finite in {key!r}, as has the model that was sent"
            return f"has numbers that are not finite (nan or infinite) in {key!r}: its training may have diverged"
    return None


def _is_finite(array: Array) -> bool:
    """Tell whether all numbers of an array are finite.

    It looks at the bytes where they are, behind NumPy's header. A sum is finite only if all its terms are, and takes a
    fraction of the time of looking at each; that of finite ones can be too large for its dtype, so then each is looked
    at.
    """
    if array.stype != "numpy.ndarray" or _kind_of(array.dtype) != "f":
        return True
    dtype, count = np.dtype(array.dtype), math.prod(array.shape)
    if count == 0:
        return True
    numbers = np.frombuffer(array.data, dtype, count, offset=len(array.data) - count * dtype.itemsize)
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(numbers.sum()) or np.isfinite(numbers).all())
