"""What a client's reply is an update of: one of the models that it has received, or nothing."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fedlearn_helpers.communication.wire import Arrays, description, floats_in, zeros, zeros_like


def reference_of(record: str, arrays: Arrays, received: Mapping[str, Arrays]) -> dict[str, Any]:
    """Return where the base of a reply's record is, as words for the record's head.

    That is the record of the same name and with the same arrays. A record of another name may be one of several models
    that were sent in one record, behind a common prefix ("1/fc.weight"), as IFCA's are: then it is the one that is
    closest. All else, such as a change of control variates, is its own update, and its base is zero.
    """
    if record in received and _alike(arrays, received[record]):
        return {"of": [record, ""]}
    bases = [[name, prefix] for name, sent in received.items() for prefix in _prefixes(arrays, sent)]
    behind_a_prefix = [base for base in bases if base[1]]
    if behind_a_prefix:
        return {"of": min(behind_a_prefix, key=lambda base: _distance(arrays, _behind(base[1], received[base[0]])))}
    same_names = [base for base in bases if list(received[base[0]]) == list(arrays)]
    return {"like": same_names[0]} if same_names else {"new": description(arrays)}


def base_of(head: Mapping[str, Any], received: Mapping[str, Arrays]) -> Arrays:
    """Return the arrays that these words mean."""
    if "new" in head:
        return zeros(head["new"])
    name, prefix = head.get("of") or head["like"]
    base = _behind(prefix, received[name])
    return base if "of" in head else zeros_like(base)


def _prefixes(arrays: Arrays, sent: Arrays) -> list[str]:
    if not arrays:
        return []
    first = next(iter(arrays))
    found = [key.removesuffix(first) for key in sent if key.endswith(first)]
    return [prefix for prefix in found if _alike(arrays, _behind(prefix, sent))]


def _alike(arrays: Arrays, others: Arrays) -> bool:
    return list(arrays) == list(others) and all(
        array.shape == others[name].shape and array.dtype == others[name].dtype for name, array in arrays.items()
    )


def _behind(prefix: str, arrays: Arrays) -> Arrays:
    return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}


def _distance(arrays: Arrays, others: Arrays) -> float:
    return sum(float(np.sum(np.square(arrays[name] - others[name], dtype=np.float64))) for name in floats_in(arrays))
