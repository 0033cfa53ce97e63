"""Exercise 5 of notebook 12: a fair comparison."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fedlearn_helpers.lessons.capstone.exercises.answers import refuse_near, same
from fedlearn_helpers.lessons.common.exercise import Exercise, NotYet, call, number

_CLOSE = 1e-6  # as far as weights and means may be off


_Part = tuple[np.ndarray, np.ndarray]
_Parts = list[_Part]


def _five_steps(weights: np.ndarray, x: np.ndarray, y: np.ndarray, rate: float) -> np.ndarray:
    for _ in range(5):
        weights = weights - rate * x.T @ (1 / (1 + np.exp(-x @ weights)) - y) / len(y)
    return weights


def _hits(models: Sequence[np.ndarray], parts: _Parts) -> list[np.ndarray]:
    return [(x @ weights > 0) == (y == 1) for weights, (x, y) in zip(models, parts, strict=True)]


def _share_right(models: Sequence[np.ndarray], parts: _Parts) -> float:
    return float(np.concatenate(_hits(models, parts)).mean())


def _mean_share(models: Sequence[np.ndarray], parts: _Parts) -> float:
    return float(np.mean([hits.mean() for hits in _hits(models, parts)]))


def _sizes(parts: _Parts) -> np.ndarray:
    return np.array([len(y) for _, y in parts])


def _history(train: _Parts, rounds: int, rate: float, shares: np.ndarray) -> list[np.ndarray]:
    """Return the global model after each round."""
    weights, found = np.zeros(train[0][0].shape[1]), []
    for _ in range(rounds):
        weights = np.average([_five_steps(weights, x, y, rate) for x, y in train], axis=0, weights=shares)
        found.append(weights)
    return found


def _alone(train: _Parts, rounds: int, rate: float, start: np.ndarray | None = None) -> list[np.ndarray]:
    """Return a model for each client that trains by itself."""
    models = []
    for x, y in train:
        weights = np.zeros(x.shape[1]) if start is None else start
        for _ in range(rounds):
            weights = _five_steps(weights, x, y, rate)
        models.append(weights)
    return models


def _pooled(*groups: _Parts) -> _Parts:
    """Put rows of the same client together."""
    return [
        (np.vstack([x for x, _ in parts]), np.concatenate([y for _, y in parts])) for parts in zip(*groups, strict=True)
    ]


def _right_comparison(train: _Parts, validation: _Parts, test: _Parts, rounds: int, rate: float) -> dict[str, Any]:
    history = _history(train, rounds, rate, _sizes(train))
    best = int(np.argmax([_share_right([weights] * len(train), validation) for weights in history]))
    return {
        "rounds": best + 1,
        "weights": history[best],
        "federated": _share_right([history[best]] * len(train), test),
        "local only": _share_right(_alone(train, best + 1, rate), test),
    }


def _clients(seed: int, sizes: Sequence[int], d: int = 4) -> tuple[_Parts, _Parts, _Parts]:
    """Return training, validation and test rows of clients that differ, with labels of which some are wrong."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=d)
    parts: tuple[_Parts, _Parts, _Parts] = ([], [], [])
    for size in sizes:
        own, centre = truth + 0.8 * rng.normal(size=d), 0.7 * rng.normal(size=d)
        for part, count in zip(parts, (size, size // 4 + 9, size + 40), strict=True):
            x = centre + rng.normal(size=(count, d))
            part.append((x, ((x @ own > 0) != (rng.random(count) < 0.2)).astype(float)))
    return parts


def _other_labels(parts: _Parts) -> _Parts:
    return [(x, 1 - y) for x, y in parts]


def _comparison(
    answer: Callable[..., Any], train: _Parts, validation: _Parts, test: _Parts, rounds: int, rate: float
) -> dict[str, Any]:
    """Return what an answer compares, as plain numbers and an array."""
    groups = (train, validation, test)
    given = [[(x.copy(), y.copy()) for x, y in parts] for parts in groups]
    with np.errstate(all="ignore"):
        result = call(answer, *given, rounds, rate)
    for now, before in zip(given, groups, strict=True):
        if len(now) != len(before) or not all(
            np.array_equal(one[0], other[0]) and np.array_equal(one[1], other[1])
            for one, other in zip(now, before, strict=True)
        ):
            raise NotYet("fair_comparison must leave the lists and arrays that it gets as they are.")
    keys = ("rounds", "weights", "federated", "local only")
    if not isinstance(result, Mapping) or any(key not in result for key in keys):
        raise NotYet(f"fair_comparison must return a dict with the keys {', '.join(map(repr, keys))}.")
    numbers = {key: number(result[key]) for key in ("rounds", "federated", "local only")}
    if numbers["rounds"] not in range(1, rounds + 1):
        zero = " The first round is number 1." if numbers["rounds"] == 0 else ""
        raise NotYet(f'"rounds" must be a whole number from 1 to {rounds}, and is {numbers["rounds"]:g}.{zero}')
    for key in ("federated", "local only"):
        if not 0 <= numbers[key] <= 1:
            raise NotYet(f"{key!r} must be a share of the test rows, from 0 to 1, and is {numbers[key]:g}.")
    try:
        weights = np.asarray(result["weights"], dtype=float)
    except (TypeError, ValueError):
        raise NotYet('"weights" must be an array of numbers.') from None
    d = train[0][0].shape[1]
    if weights.shape != (d,) or not np.isfinite(weights).all():
        raise NotYet(f'"weights" must be {d} finite numbers, those of the model after the chosen round.')
    return {**numbers, "rounds": int(numbers["rounds"]), "weights": weights}


_SEED, _CLIENT_SIZES, _ROUNDS, _RATE = 2092, (12, 90, 30), 12, 0.2  # each mistake shows with these


def _test_comparison(answer: Callable[..., Any]) -> str:
    train, validation, test = _clients(_SEED, _CLIENT_SIZES)
    said = _comparison(answer, train, validation, test, _ROUNDS, _RATE)
    other = _comparison(answer, train, validation, _other_labels(test), _ROUNDS, _RATE)
    if said["rounds"] != other["rounds"]:
        raise NotYet(
            f"Test labels change, and {other['rounds']} rounds are chosen in place of {said['rounds']}. The test rows judge "
            "what was chosen, so they must not choose. For that there are validation rows."
        )
    if not np.allclose(said["weights"], other["weights"], rtol=0, atol=_CLOSE):
        raise NotYet("Test labels change, and with them the model: test rows are among those that train it.")
    _refuse_weights(said, train, validation, test)
    _refuse_rounds(said, train, validation)
    _refuse_federated(said, train, validation, test)
    _refuse_local(said, train, validation, test)
    _compare_other_federations(answer)
    return (
        f"{said['rounds']} of {_ROUNDS} rounds; federated {said['federated']:.3f}, local only {said['local only']:.3f}. None "
        "of the three mistakes raises an error, and each moves a number: two of them in favour of the federation."
    )


def _refuse_weights(said: dict[str, Any], train: _Parts, validation: _Parts, test: _Parts) -> None:
    """Compare the model with that of the round which the answer names."""
    count, given = said["rounds"], said["weights"]
    rows, equal = _sizes(train), np.ones(len(train))
    by_rows = _history(train, _ROUNDS, _RATE, rows)
    if np.allclose(given, by_rows[count - 1], rtol=0, atol=_CLOSE):
        return
    plain = _history(train, _ROUNDS, _RATE, equal)
    if any(np.allclose(given, weights, rtol=0, atol=_CLOSE) for weights in plain):
        raise NotYet(
            "All clients count the same in the mean of models. FedAvg weighs them by their training rows: one with 12 rows "
            "must not count as much as one with 90."
        )
    for shares, what in (
        (_sizes(validation), "validation rows"),
        (_sizes(test), "test rows"),
        (rows + _sizes(validation) + _sizes(test), "all their rows"),
    ):
        if np.allclose(given, _history(train, _ROUNDS, _RATE, shares)[count - 1], rtol=0, atol=_CLOSE):
            raise NotYet(f"The models are weighed by {what}. Weigh them by training rows.")
    together = _pooled(train, validation)
    for shares in (_sizes(together), rows, equal):
        if np.allclose(given, _history(together, _ROUNDS, _RATE, shares)[count - 1], rtol=0, atol=_CLOSE):
            raise NotYet("Validation rows train the model, too. Then they cannot say when to stop.")
    for place, weights in enumerate(by_rows, 1):
        if np.allclose(given, weights, rtol=0, atol=_CLOSE):
            raise NotYet(
                f'"rounds" says {count}, and "weights" are those after round {place}. Both must be of the chosen round.'
            )
    if any(np.allclose(given, weights, rtol=0, atol=_CLOSE) for weights in _alone(train, count, _RATE)):
        raise NotYet('"weights" are those of one client alone. They must be those of the federation.')
    once = np.average(_alone(train, count, _RATE), axis=0, weights=rows)
    if np.allclose(given, once, rtol=0, atol=_CLOSE):
        raise NotYet("The clients' models are averaged once, at the end. They must be averaged after every round.")
    one = [(np.vstack([x for x, _ in train]), np.concatenate([y for _, y in train]))]
    if np.allclose(given, _alone(one, count, _RATE)[0], rtol=0, atol=_CLOSE):
        raise NotYet("That is a model of pooled rows. The rows stay with their clients.")
    right = by_rows[count - 1].round(3).tolist()
    raise NotYet(
        f"After {count} rounds the weights must be {right}, and are {given.round(3).tolist()}. A round is five_steps at each "
        "client from the global weights, then the mean by training rows."
    )


def _refuse_rounds(said: dict[str, Any], train: _Parts, validation: _Parts) -> None:
    count, many = said["rounds"], len(train)
    history = _history(train, _ROUNDS, _RATE, _sizes(train))
    shares = [_share_right([weights] * many, validation) for weights in history]
    right = int(np.argmax(shares)) + 1
    if count == right:
        return
    ties = [place for place, share in enumerate(shares, 1) if share == max(shares)]
    by_train = int(np.argmax([_share_right([weights] * many, train) for weights in history])) + 1
    by_client = int(np.argmax([_mean_share([weights] * many, validation) for weights in history])) + 1
    if count in ties:
        raise NotYet(f"Rounds {ties} are equally good on validation rows. Take the first: it costs least.")
    if count == _ROUNDS:
        raise NotYet("The last round is taken. Choose the one that is best on validation rows.")
    if count == by_train:
        raise NotYet("The round is chosen on training rows, which the model has seen. Choose on validation rows.")
    if count == by_client:
        raise NotYet(
            "The round is chosen by the mean of the clients' accuracies. Choose by the share of all validation rows."
        )
    if count == int(np.argmin(shares)) + 1:
        raise NotYet("You take the round that is worst on validation rows.")
    raise NotYet(
        f"Round {count} is chosen, with {shares[count - 1]:.3f} of the validation rows right. After round {right} it is "
        f"{shares[right - 1]:.3f}."
    )


def _refuse_federated(said: dict[str, Any], train: _Parts, validation: _Parts, test: _Parts) -> None:
    given, many, weights = said["federated"], len(train), said["weights"]
    right = _share_right([weights] * many, test)
    if same(given, right):
        return
    last = _history(train, _ROUNDS, _RATE, _sizes(train))[-1]
    best = max(_share_right([one] * many, test) for one in _history(train, _ROUNDS, _RATE, _sizes(train)))
    refuse_near(
        given,
        [
            (
                _mean_share([weights] * many, test),
                '"federated" is the mean of the clients\' accuracies. It must be the share of all test rows.',
            ),
            (
                _share_right([weights] * many, validation),
                '"federated" is measured on validation rows, which have chosen.',
            ),
            (_share_right([weights] * many, train), '"federated" is measured on training rows.'),
            (_share_right([last] * many, test), '"federated" is that of the last round, not of the chosen one.'),
            (best, '"federated" is the best of all rounds on test rows. It must be that of the chosen round.'),
        ],
    )
    raise NotYet(
        f'"federated" must be {right:.4f}, the share of all test rows that "weights" gets right, and is {given:.4f}.'
    )


def _refuse_local(said: dict[str, Any], train: _Parts, validation: _Parts, test: _Parts) -> None:
    given, count = said["local only"], said["rounds"]
    models = _alone(train, count, _RATE)
    right = _share_right(models, test)
    if same(given, right):
        return
    fewer = (
        f'"local only" gets five steps, and a client of the federation has taken {5 * count}. Who trains less loses: give '
        "both the same number of steps."
    )
    from_federation = (
        '"local only" is what the federation\'s model reaches, with or without fine-tuning. It must begin from zeros.'
    )
    averaged = np.average(models, axis=0, weights=_sizes(train))
    everybody = [(np.vstack([x for x, _ in test]), np.concatenate([y for _, y in test]))] * len(train)
    refuse_near(
        given,
        [
            (_share_right(_alone(train, 1, _RATE), test), fewer),
            (
                _share_right(_alone(train, _ROUNDS, _RATE), test),
                f'"local only" trains for all {_ROUNDS} rounds, the federation for {count}. Give both the same number of '
                "steps.",
            ),
            (
                _share_right(_alone(train, count, _RATE, said["weights"]), test),
                from_federation,
            ),
            (
                _share_right(_alone(train, 1, _RATE, said["weights"]), test),
                from_federation,
            ),
            (
                _mean_share(models, test),
                '"local only" is the mean of the clients\' accuracies, and "federated" the share of all rows. Measure both '
                "alike.",
            ),
            (
                _share_right(models, everybody),
                "\"local only\": each client's model is measured on all clients' test rows. It is for its own.",
            ),
            (
                _share_right([averaged] * len(train), test),
                '"local only" is the mean of models. Each client uses its own.',
            ),
            (_share_right(models, validation), '"local only" is measured on validation rows.'),
            (_share_right(models, train), '"local only" is measured on training rows, which its model has seen.'),
            (said["federated"], from_federation),
        ],
    )
    raise NotYet(
        f'"local only" must be {right:.4f}, and is {given:.4f}: each client from zeros, {5 * count} steps on its own rows, '
        "measured on its own test rows; the share of all rows."
    )


def _compare_other_federations(answer: Callable[..., Any]) -> None:
    for seed, sizes, d, rounds, rate, what in (
        (1, (50,), 3, 6, 0.5, "there is one client"),
        (2, (15, 40, 8, 25, 60), 5, 7, 0.8, "there are five clients"),
        (3, (30, 10), 4, 1, 0.3, "there is one round"),
    ):
        groups = _clients(seed, sizes, d)
        said = _comparison(answer, *groups, rounds, rate)
        right = _right_comparison(*groups, rounds, rate)
        for key, value in right.items():
            if not np.allclose(said[key], value, rtol=0, atol=_CLOSE):
                raise NotYet(f"All is right for three clients. If {what}, {key!r} is wrong.")


bug_hunt = Exercise(
    name="bug_hunt",
    kind="code",
    difficulty="hard",
    minutes=12,
    hints=(
        "Ask of each line: which rows decide here? Who counts how much? And has the other side had as many steps?",
        "Choose with validation in place of test; average with weights=[len(y) for _, y in train]; and let every client "
        "alone take five_steps as often as the chosen number of rounds.",
    ),
    solution_code="""
        def fair_comparison(train, validation, test, rounds, rate):
            zeros, history = np.zeros(train[0][0].shape[1]), []
            for _ in range(rounds):
                start = history[-1] if history else zeros
                models = [five_steps(start, x, y, rate) for x, y in train]
                history.append(np.average(models, axis=0, weights=[len(y) for _, y in train]))
            shares = [share_right([weights] * len(train), validation) for weights in history]
            best = int(np.argmax(shares))
            alone = [zeros] * len(train)
            for _ in range(best + 1):
                alone = [five_steps(own, x, y, rate) for own, (x, y) in zip(alone, train)]
            return {
                "rounds": best + 1,
                "weights": history[best],
                "federated": share_right([history[best]] * len(train), test),
                "local only": share_right(alone, test),
            }
    """,
    test=_test_comparison,
)
