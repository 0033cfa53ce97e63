"""Exercise 5 of notebook 11: inputs from rows."""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fedlearn_helpers.lessons.common.exercise import Exercise, NotYet, call

_SAME = 1e-4  # as far as inputs may be off: they may be float32


_Parts = tuple[list[np.ndarray], list[np.ndarray]]


def _hospitals(rng: np.random.Generator, sizes: Sequence[int]) -> list[np.ndarray]:
    """Return rows (n_k, 3) of hospitals that differ, a fifth of the values missing."""
    rows = []
    for place, size in enumerate(sizes):
        mean, deviation = (
            np.array([50, 130, 2]) + place * np.array([6, -9, 3]),
            np.array([9, 20, 1.5]) / (1 + place / 3),
        )
        values = mean + deviation * rng.normal(size=(size, 3))
        values[rng.random(values.shape) < 0.2] = math.nan
        values[:3] = mean + deviation * np.array([[-1.0, 0.4, 1.2], [0.3, -1.1, -0.7], [1.3, 1.4, 0.2]])
        values[[3, 4, 5], [0, 1, 2]] = math.nan
        rows.append(values)
    return rows


def _measured(rows: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the measured values of each column."""
    return [column[~np.isnan(column)] for column in np.vstack(list(rows)).T]


def _by_column(function: Callable[[np.ndarray], Any], rows: Sequence[np.ndarray]) -> np.ndarray:
    return np.array([function(column) for column in _measured(rows)], dtype=float)


def _right_inputs(train: Sequence[np.ndarray], test: Sequence[np.ndarray]) -> _Parts:
    mean, deviation = _by_column(np.mean, train), _by_column(np.std, train)
    deviation = np.where(deviation > 0, deviation, 1.0)
    prepared = [[np.nan_to_num((rows - mean) / deviation, nan=0.0) for rows in part] for part in (train, test)]
    return prepared[0], prepared[1]


def _prepared(answer: Callable[..., Any], train: Sequence[np.ndarray], test: Sequence[np.ndarray]) -> _Parts:
    """Return the inputs that an answer makes, as float arrays of the right shapes, or say what is wrong with them."""
    given = [[rows.copy() for rows in part] for part in (train, test)]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # means of nothing are told in a sentence
        result = call(answer, *given)
    for part, rows_before in zip(given, (train, test), strict=True):
        if len(part) != len(rows_before) or not all(
            now.shape == before.shape and np.array_equal(now, before, equal_nan=True)
            for now, before in zip(part, rows_before, strict=True)
        ):
            raise NotYet("prepare must leave the lists and arrays that it gets as they are: fill in a copy.")
    try:
        train_inputs, test_inputs = result
    except (TypeError, ValueError):
        raise NotYet("prepare must return two lists: train_inputs, test_inputs.") from None
    return (
        _arrays(train_inputs, train, "train_inputs", "training"),
        _arrays(test_inputs, test, "test_inputs", "test"),
    )


def _arrays(inputs: Any, rows: Sequence[np.ndarray], name: str, kind: str) -> list[np.ndarray]:
    try:
        arrays = [np.asarray(one, dtype=float) for one in inputs]
    except (TypeError, ValueError):
        raise NotYet(f"{name} must be a list of arrays of numbers, one for each hospital.") from None
    if len(arrays) != len(rows):
        raise NotYet(f"{name} must have an array for each of {len(rows)} hospitals, and has {len(arrays)}.")
    for place, (array, before) in enumerate(zip(arrays, rows, strict=True)):
        n, d = before.shape
        if array.ndim != 2:
            raise NotYet(f"{name}[{place}] must have the shape {(n, d)}, and has {array.shape}.")
        if len(array) != n:
            raise NotYet(
                f"Hospital {place} has {n} {kind} rows and gets {len(array)} inputs. No row is left out: what is missing "
                "is filled in."
            )
        if array.shape[1] > d:
            extra = array[:, d:]
            if (extra == extra[0]).all():
                raise NotYet(
                    f"A row of {d} values becomes {array.shape[1]} inputs: what is added is the same for all of a hospital. "
                    "So a model knows where a patient comes from, and for a hospital that is new it has no number."
                )
            raise NotYet(f"A row of {d} values must become {d} inputs, and becomes {array.shape[1]}.")
        if array.shape[1] < d:
            raise NotYet(f"A row of {d} values must become {d} inputs, and becomes {array.shape[1]}.")
    return arrays


def _test_prepare(answer: Callable[..., Any]) -> str:
    rng = np.random.default_rng(0)
    train, test = _hospitals(rng, (15, 9, 7)), _hospitals(rng, (8, 7, 8))
    inputs = _prepared(answer, train, test)
    for part, rows in zip(inputs, (train, test), strict=True):
        if np.isnan(np.vstack(part)[~np.isnan(np.vstack(rows))]).any():
            raise NotYet("Where a column has missing values, measured ones become NaN, too: np.mean of a NaN is NaN.")
        if not np.isfinite(np.vstack(part)).all():
            raise NotYet("Missing values are still NaN, or something else that is not finite.")
    _test_leaks(answer, train, test, inputs)
    _test_statistics(inputs, train, test)
    _test_gaps(answer, train, test)
    _test_other_hospitals(answer, train, test)
    return (
        "Averaged deviations show in a sum, a hospital's number in a shape. Test rows among those that fill in show in no "
        "accuracy: only a test that changes a test row, and looks at a training input, finds them."
    )


def _test_leaks(answer: Callable[..., Any], train: list[np.ndarray], test: list[np.ndarray], inputs: _Parts) -> None:
    """Change one test row: no other row's input may change."""
    changed = [rows.copy() for rows in test]
    changed[0][0] = [400.0, -700.0, 90.0]
    after = _prepared(answer, train, changed)
    before, now, rows = (np.vstack(part) for part in (inputs[0], after[0], train))
    moved = ~np.isclose(before, now, rtol=_SAME, atol=_SAME)
    if moved.any():
        if moved[~np.isnan(rows)].any():
            raise NotYet(
                "A test row changes, and with it measured training inputs: test rows decide how it is scaled. They must "
                "decide nothing."
            )
        raise NotYet(
            "A test row changes, and with it training inputs where a value was missing: what is filled in knows the test "
            "rows. They must decide nothing."
        )
    if not np.allclose(np.vstack(inputs[1])[1:], np.vstack(after[1])[1:], rtol=_SAME, atol=_SAME):
        raise NotYet(
            "A test row changes, and with it other test rows' inputs. A patient's input must not depend on who else is "
            "tested: prepare test rows with the training rows' numbers."
        )


def _line(values: np.ndarray, inputs: np.ndarray) -> tuple[float, float]:
    """Return c and s of inputs that are (values - c) / s at one hospital; a NotYet if they are not."""
    measured = ~np.isnan(values)
    x, z = values[measured], inputs[measured]
    slope = (z[x.argmax()] - z[x.argmin()]) / np.ptp(x)
    centre, scale = x[0] - z[0] / (slope or math.nan), 1 / (slope or math.nan)
    if not np.allclose(z, (x - centre) / scale, rtol=_SAME, atol=_SAME):
        raise NotYet("A measured value must become (value - mean) / deviation, with two numbers for each column.")
    return centre, scale


def _near(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.allclose(one, other, rtol=10 * _SAME, atol=_SAME))


def _test_statistics(inputs: _Parts, train: list[np.ndarray], test: list[np.ndarray]) -> None:
    """Read from the inputs what was subtracted, divided by and filled in, and say what it is if it is wrong."""
    lines = np.array(
        [
            [
                [_line(x, z) for x, z in zip(rows.T, array.T, strict=True)]
                for rows, array in zip(part, made, strict=True)
            ]
            for part, made in ((train, inputs[0]), (test, inputs[1]))
        ]
    )  # (train and test, hospitals, columns, c and s)
    centres, scales = lines[..., 0], lines[..., 1]
    _refuse_scales(scales, train)
    _refuse_centres(centres, train)
    fills = np.array(
        [
            [
                _filled(rows, array) * scale + centre
                for rows, array, scale, centre in zip(part, made, scales_of, centres_of, strict=True)
            ]
            for part, made, scales_of, centres_of in zip((train, test), inputs, scales, centres, strict=True)
        ]
    )
    _refuse_fills(fills, train)


def _filled(rows: np.ndarray, array: np.ndarray) -> np.ndarray:
    """Return the input in place of what is missing in each column; a NotYet if there are several."""
    fills = []
    for x, z in zip(rows.T, array.T, strict=True):
        made = z[np.isnan(x)]
        if np.ptp(made) > _SAME:
            raise NotYet("Missing values of one column and one hospital become different inputs. It is one number.")
        fills.append(made[0])
    return np.array(fills)


def _by_hospital(function: Callable[[np.ndarray], Any], train: Sequence[np.ndarray]) -> np.ndarray:
    return np.array([_by_column(function, [rows]) for rows in train])


def _refuse_scales(scales: np.ndarray, train: list[np.ndarray]) -> None:
    right, own = _by_column(np.std, train), _by_hospital(np.std, train)
    if _near(scales, right):
        return
    if _near(scales[0], own):
        raise NotYet(
            "Each hospital divides by its own standard deviation: the same patient gets other inputs elsewhere. It is one "
            "for each column, that of all training rows."
        )
    if not _near(scales[0], scales[0][0]):
        raise NotYet("The hospitals divide by different numbers. It is one for each column.")
    if not _near(scales[1], scales[0][0]):
        raise NotYet("Test rows are not divided by what training rows are.")
    counts = np.array([[len(column) for column in _measured([rows])] for rows in train])
    mean, given = _by_column(np.mean, train), scales[0][0]
    filled = [np.where(np.isnan(rows), mean, rows) for rows in train]
    average = (
        "You divide by the average of the hospitals' standard deviations. That misses how far their means are apart: look at "
        "exercise 1."
    )
    for wrong, sentence in (
        (own.mean(axis=0), average),
        (np.average(own, axis=0, weights=counts), average),
        (np.average(own, axis=0, weights=[len(rows) for rows in train]), average),
        (
            np.sqrt(np.average(own**2, axis=0, weights=counts)),
            "You divide by the root of the mean variance. That is only what is within the hospitals: look at exercise 1.",
        ),
        (
            _by_column(np.std, filled),
            "You divide by the standard deviation after filling in. The mean was filled in where nobody measured: so the column "
            "looks less spread than what was measured. Take measured values alone.",
        ),
        (
            _by_column(lambda column: np.std(column, ddof=1), train),
            "You divide by n - 1 in the variance. Wanted is n, as np.nanstd does it.",
        ),
        (right**2, "You divide by the variance."),
        (np.ones(len(right)), "The values are not divided by anything."),
        (own[0], "You divide by the first hospital's standard deviation. It is that of all training rows."),
    ):
        if _near(given, wrong):
            raise NotYet(sentence)
    raise NotYet(
        f"Column 0 is divided by {given[0]:.3g}. The standard deviation of its measured training values, of all hospitals "
        f"together, is {right[0]:.3g}."
    )


def _refuse_centres(centres: np.ndarray, train: list[np.ndarray]) -> None:
    right, own = _by_column(np.mean, train), _by_hospital(np.mean, train)
    if _near(centres, right):
        return
    if _near(centres[0], own):
        raise NotYet(
            "Each hospital subtracts its own mean. That takes away how the hospitals differ: it is one mean for all."
        )
    if not _near(centres[0], centres[0][0]):
        raise NotYet("The hospitals subtract different numbers. It is one for each column.")
    given = centres[0][0]
    if not _near(centres[1], given):
        raise NotYet("From test rows something else is subtracted than from training rows.")
    if _near(given, own.mean(axis=0)):
        raise NotYet(
            "What is subtracted is the mean of the hospitals' means. Large hospitals have more rows: weigh them."
        )
    if _near(given, np.zeros(len(right))):
        raise NotYet("Nothing is subtracted: the mean of the training inputs is not 0.")
    raise NotYet(
        f"From column 0, {given[0]:.4g} is subtracted. The mean of its measured training values, of all hospitals together, "
        f"is {right[0]:.4g}."
    )


def _refuse_fills(fills: np.ndarray, train: list[np.ndarray]) -> None:
    right, own = _by_column(np.mean, train), _by_hospital(np.mean, train)
    if _near(fills, right):
        return
    if _near(fills[0], own):
        raise NotYet(
            "A missing value becomes the hospital's own mean. It is one number for all: the mean of all training rows."
        )
    if not _near(fills[0], fills[0][0]):
        raise NotYet("What is filled in is not the same at all hospitals.")
    given = fills[0][0]
    if not _near(fills[1], given):
        raise NotYet("In test rows something else is filled in than in training rows.")
    if _near(given, own.mean(axis=0)):
        raise NotYet(
            "What is filled in is the mean of the hospitals' means. Large hospitals have more rows: weigh them."
        )
    if _near(given, np.zeros(len(right))):
        raise NotYet("A missing value becomes the value 0, before it is scaled. Nobody has a blood pressure of 0.")
    if _near(given, _by_column(np.median, train)):
        raise NotYet("What is filled in is the median. Here it is the mean.")
    raise NotYet(
        f"In column 0, {given[0]:.4g} is filled in. The mean of its measured training values, of all hospitals together, is "
        f"{right[0]:.4g}."
    )


def _test_gaps(answer: Callable[..., Any], train: list[np.ndarray], test: list[np.ndarray]) -> None:
    """A column that one hospital has never measured, and one that is the same everywhere."""
    train, test = ([rows.copy() for rows in part] for part in (train, test))
    train[1][:, 2] = test[1][:, 2] = math.nan
    inputs = _prepared(answer, train, test)
    if not all(np.isfinite(np.vstack(part)).all() for part in inputs):
        raise NotYet(
            "A column that one hospital has never measured becomes NaN. Its own mean does not exist; that of all does."
        )
    if not _all_near(inputs, _right_inputs(train, test)):
        raise NotYet(
            "If one hospital has never measured a column, its inputs there must be 0, and the others' mean and deviation "
            "count. Something else comes out."
        )
    for part in (train, test):
        for rows in part:
            rows[:, 1] = np.where(np.isnan(rows[:, 1]), math.nan, 3.0)
    test[0][0, 1] = 5.0
    inputs = _prepared(answer, train, test)
    if not all(np.isfinite(np.vstack(part)).all() for part in inputs):
        raise NotYet("A column that is the same in all training rows is divided by 0. Divide by 1 there.")
    if not _all_near(inputs, _right_inputs(train, test)):
        raise NotYet(
            "A column is 3 in all training rows, and 5 in a test row. Divided by 1 the test row's input is 2, and it is "
            f"{inputs[1][0][0, 1]:.3g}."
        )


def _all_near(inputs: _Parts, right: _Parts) -> bool:
    return all(
        np.allclose(np.vstack(made), np.vstack(wanted), rtol=_SAME, atol=_SAME)
        for made, wanted in zip(inputs, right, strict=True)
    )


def _test_other_hospitals(answer: Callable[..., Any], train: list[np.ndarray], test: list[np.ndarray]) -> None:
    """Split one hospital in two, turn the list round, and take other numbers of hospitals."""
    rng = np.random.default_rng(1)
    for rows, tested, what in (
        (
            [train[0][:6], train[0][6:], *train[1:]],
            [test[0][:3], test[0][3:], *test[1:]],
            "one hospital's rows are split in two",
        ),
        (train[::-1], test[::-1], "the hospitals come in another order"),
        (_hospitals(rng, (9,)), _hospitals(rng, (7,)), "there is one hospital"),
        (_hospitals(rng, (8, 9, 30, 7, 12)), _hospitals(rng, (7, 8, 9, 7, 7)), "there are five hospitals"),
    ):
        if not _all_near(_prepared(answer, rows, tested), _right_inputs(rows, tested)):
            raise NotYet(f"The inputs are right for three hospitals. They are wrong if {what}.")


bug_hunt = Exercise(
    name="bug_hunt",
    kind="code",
    difficulty="hard",
    minutes=12,
    hints=(
        "Ask of each line: whose rows decide here? And would another input come out if one hospital's rows were two "
        "hospitals' rows?",
        "np.nanmean and np.nanstd of np.vstack(train) are all that is needed, and what is missing becomes the mean. Where "
        "the deviation is 0 divide by 1.",
    ),
    solution_code="""
        def prepare(train, test):
            rows = np.vstack(train)
            mean, deviation = np.nanmean(rows, axis=0), np.nanstd(rows, axis=0)
            deviation = np.where(deviation > 0, deviation, 1.0)

            def inputs(part):
                return [(np.where(np.isnan(x), mean, x) - mean) / deviation for x in part]

            return inputs(train), inputs(test)
    """,
    test=_test_prepare,
)
