"""Real numbers as whole numbers of steps: what makes a sum over sites the same in any order.

    q = x / step, rounded to nearest, half to even          |q step - x| <= step / 2

The sum of q is exact, so the sum over sites equals the sum over pooled data to the last bit. Floats are not like that:
(a + b) + c and a + (b + c) may differ.
"""

import numpy as np

from fedlearn_helpers.errors import InputError, check_number

MOST_STEPS = 2**53
"""Beyond it a float64 does not know its last whole number."""


def in_steps(name: str, values: np.ndarray, step: float) -> np.ndarray:
    """Return numbers as whole numbers of steps.

    Args:
        name: of the values, for messages.
        values: real numbers of any shape.
        step: > 0, in the unit of the values.

    Returns:
        int64, of the same shape; each at most 2^53 in size. Many of them may still overflow as a sum.

    Raises:
        InputError: a step that is no finite number > 0, or values that are no real numbers, not finite, or more than
            2^53 steps.
    """
    check_number("step", step, "a finite number > 0", lambda number: number > 0)
    values = np.asarray(values)
    if values.dtype.kind not in "iuf":
        raise InputError(f"{name} must be real numbers, got {values.dtype}")
    if not (finite := np.isfinite(values)).all():
        raise InputError(f"{name} must be finite, got {values[~finite].flat[0]}")
    with np.errstate(over="ignore"):
        steps = np.rint(values.astype(np.float64) / step)
    if (large := np.abs(steps) > MOST_STEPS).any():
        raise InputError(f"{name} must be at most 2^53 steps of {step:g}, got {values[large].flat[0]:g}")
    return steps.astype(np.int64)
