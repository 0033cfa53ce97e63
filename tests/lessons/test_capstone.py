"""The lesson of notebook 12."""

import math

import numpy as np
import pytest
import torch
from lesson import Lesson, LessonTests, Typed

from fedlearn_helpers import metrics
from fedlearn_helpers.decision import CARDS, decide
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.metrics import is_clear

# Exercise 1: five insurers, whose tables would be sent in a second

ASKED_CASE = {
    "wanted": "model",
    "right": "in-place",
    "clients": "few",
    "alone": "short",
    "alike": "differ",
    "labels": "natural",
    "network": "data",
    "compute": "server",
    "trust": "all",
    "gain": "shared",
}
SILO, CENTRALIZE = "federate (cross-silo)", "centralize"

# Exercise 3

ASKED_LAYERS = {"query": (64, 64), "up": (256, 64)}

# Exercise 6: differences of cards, each of another kind

DIFFERENCES = {
    1: [0.2, -0.1, 0.3, 0.1, -0.2],
    2: [9.1, 8.7, 10.2, 9.4, 9.9],
    3: [-4.0, -3.1, -3.6],
    4: [0.1, 5.0, 0.3],
    5: [2.0],
    6: [1.0, math.nan, 2.0],
    7: [0.0, 0.0, 0.0],
}


def try_card(card_number):
    if card_number not in DIFFERENCES:
        raise InputError(f"card {card_number} has no small version: try one of {', '.join(map(str, DIFFERENCES))}")
    return DIFFERENCES[card_number]


# Exercise 2


def products(factors):
    return np.stack([b @ a for b, a in factors])


def mean_times_mean(scale=lambda w: 1 / w.sum() ** 2, weigh=lambda w: w):
    def exact_update(factors, weights):
        w = weigh(weights)
        b = sum(one * b for one, (b, _) in zip(w, factors, strict=True))
        a = sum(one * a for one, (_, a) in zip(w, factors, strict=True))
        return scale(w) * b @ a

    return exact_update


def of_products(combine):
    return lambda factors, weights: combine(products(factors), weights)


def weighted(p, w):
    return np.tensordot(w / w.sum(), p, axes=1)


right_update = of_products(weighted)


def one_loop(factors, weights):
    """The return is in the loop."""
    total = 0
    for (b, a), weight in zip(factors, weights, strict=True):
        total = weight / weights.sum() * b @ a
    return total * weights.sum() / weights[-1]


def for_factors(wanted, wrong):
    return lambda factors, weights: (wrong if wanted(factors, weights) else right_update)(factors, weights)


def normalised_in_place(factors, weights):
    weights /= weights.sum()
    return weighted(products(factors), weights)


def scaled_in_place(factors, weights):
    result = right_update(factors, weights)
    factors[0][0][:] *= weights[0]
    return result


def by_stacking(factors, weights):
    """One product of long factors: [w1 B1, w2 B2] [A1; A2]."""
    b = np.hstack([w / weights.sum() * b for w, (b, _) in zip(weights, factors, strict=True)])
    return b @ np.vstack([a for _, a in factors])


def by_torch(factors, weights):
    w = torch.from_numpy(weights / weights.sum())
    pairs = [(torch.from_numpy(b), torch.from_numpy(a)) for b, a in factors]
    return sum(one * b @ a for one, (b, a) in zip(w, pairs, strict=True))


# Exercise 4


def right_report(accuracies, sizes):
    failed = np.isnan(accuracies).any(axis=0)
    kept, examples = accuracies[:, ~failed], sizes[~failed]
    by_client = accuracies.mean(axis=0)
    worst = int(np.argmin(by_client))
    return {
        "mean by examples": (kept.mean(axis=0) * examples).sum() / examples.sum(),
        "mean of clients": kept.mean(axis=0).mean(),
        "worst client": (worst, by_client[worst]),
        "spread": kept.mean(axis=1).std(ddof=1),
        "failed": np.flatnonzero(failed).tolist(),
    }


def told(**changes):
    """A report of which entries are computed in another way; keys with _ in place of a space."""

    def report(accuracies, sizes):
        found = right_report(accuracies, sizes)
        changed = {key.replace("_", " "): change(accuracies, sizes) for key, change in changes.items()}
        return found | changed

    return report


def if_failed(**changes):
    """A report that is right unless somebody failed."""
    return lambda x, n: (told(**changes) if np.isnan(x).any() else right_report)(x, n)


def if_shape(wanted, **changes):
    return lambda x, n: (told(**changes) if wanted(x) else right_report)(x, n)


def right_of(key, shift=0.0):
    return lambda x, n: right_report(x, n)[key] + shift


def single(x, n):
    """The lowest single number."""
    return int(np.unravel_index(np.nanargmin(x), x.shape)[1]), np.nanmin(x)


def worst_of(index, mean=lambda x, i: x.mean(axis=0)[i]):
    def worst(x, n):
        i = int(index(x, n))
        return i, mean(x, i)

    return worst


def by_mean(x, n):
    return x.mean(axis=0).argmin()


def all_failed(x, n):
    return np.flatnonzero(np.isnan(x).any(axis=0))


def whole_seeds(x):
    return x[~np.isnan(x).any(axis=1)]


def known_clients(x):
    return x[:, ~np.isnan(x).any(axis=0)]


def cleared_in_place(accuracies, sizes):
    found = right_report(accuracies, sizes)
    accuracies[:] = 0
    return found


def with_pandas(accuracies, sizes):
    """The same in pandas, with NumPy's types."""
    import pandas as pd

    table = pd.DataFrame(accuracies)
    failed = table.columns[table.isna().any()]
    kept = table.drop(columns=failed)
    means = kept.mean()
    examples = sizes[kept.columns]
    return {
        "failed": np.array(failed, dtype=np.int64),
        "spread": kept.mean(axis=1).std(),
        "mean of clients": means.mean(),
        "mean by examples": (means * examples).sum() / examples.sum() if len(examples) else math.nan,
        "worst client": [failed[0], math.nan] if len(failed) else [means.idxmin(), means.min()],
    }


# Exercise 5


def five_steps(weights, x, y, rate):
    """Go five steps down the mean loss of logistic regression on these rows."""
    for _ in range(5):
        weights = weights - rate * x.T @ (1 / (1 + np.exp(-x @ weights)) - y) / len(y)
    return weights


def share_right(models, parts):
    """Return the share of all rows whose label their client's model says."""
    return np.concatenate([(x @ own > 0) == y for own, (x, y) in zip(models, parts, strict=True)]).mean()


def mean_right(models, parts):
    return np.mean([((x @ own > 0) == y).mean() for own, (x, y) in zip(models, parts, strict=True)])


def rows_of(parts):
    return [len(y) for _, y in parts]


def pooled_rows(parts):
    return np.vstack([x for x, _ in parts]), np.concatenate([y for _, y in parts])


def with_rows(one, other):
    """One client's rows of two parts together."""
    return [pooled_rows(pair) for pair in zip(one, other, strict=True)]


def alone_of(train, count, rate, start=None):
    alone = [np.zeros(x.shape[1]) if start is None else start for x, _ in train]
    for _ in range(count):
        alone = [five_steps(own, x, y, rate) for own, (x, y) in zip(alone, train, strict=True)]
    return alone


def comparison(
    *,
    trained=lambda train, validation, test: train,
    weigh=lambda train, validation, test: rows_of(train),
    score=lambda w, train, validation, test: share_right([w] * len(train), validation),
    pick=lambda scores: int(np.argmax(scores)),
    model=lambda history, best, train, rate: history[best],
    federated=lambda history, best, train, validation, test: share_right([history[best]] * len(train), test),
    alone=lambda train, best, rounds, rate, weights: alone_of(train, best + 1, rate),
    local=lambda models, train, validation, test: share_right(models, test),
):
    """A comparison, with mistakes."""

    def fair_comparison(train, validation, test, rounds, rate):
        rows = trained(train, validation, test)
        weights, history = np.zeros(train[0][0].shape[1]), []
        for _ in range(rounds):
            models = [five_steps(weights, x, y, rate) for x, y in rows]
            weights = np.average(models, axis=0, weights=weigh(train, validation, test))
            history.append(weights)
        best = pick([score(w, train, validation, test) for w in history])
        return {
            "rounds": best + 1,
            "weights": model(history, best, train, rate),
            "federated": federated(history, best, train, validation, test),
            "local only": local(alone(train, best, rounds, rate, history[best]), train, validation, test),
        }

    return fair_comparison


right_comparison = comparison()


def with_values(**values):
    """A comparison with other values; keys with _ in place of a space."""
    changed = {key.replace("_", " "): value for key, value in values.items()}
    return lambda *given: right_comparison(*given) | changed


def by_test(w, train, validation, test):
    return share_right([w] * len(train), test)


def equal(train, validation, test):
    return [1] * len(train)


def five_alone(train, best, rounds, rate, weights):
    return alone_of(train, 1, rate)


buggy = comparison(weigh=equal, score=by_test, alone=five_alone)


def last_best(scores):
    return len(scores) - 1 - int(np.argmax(scores[::-1]))


def for_train(wanted, wrong):
    def fair_comparison(train, validation, test, rounds, rate):
        return (wrong if wanted(train, rounds) else right_comparison)(train, validation, test, rounds, rate)

    return fair_comparison


def labels_in_place(train, validation, test, rounds, rate):
    found = right_comparison(train, validation, test, rounds, rate)
    train[0][1][:] = 0
    return found


def averaged(models, train, validation, test):
    return share_right([np.average(models, axis=0, weights=rows_of(train))] * len(train), test)


def on_everybody(models, train, validation, test):
    return share_right(models, [pooled_rows(test)] * len(train))


def best_on_test(history, best, train, validation, test):
    return max(share_right([w] * len(train), test) for w in history)


class TestCapstone(LessonTests):
    lesson = Lesson(
        notebook="12_capstone",
        small={"num_seeds": 2, "rounds": 1, "tuning_rounds": 1, "max_characters": 2000},
        metrics={
            "watch_alone_accuracy_per_seed",
            "watch_alone_longer_accuracy_per_seed",
            "watch_federated_worst_accuracy_per_seed",
            "watch_unseen_tuned_accuracy_per_seed",
            "rank_1_bytes",
            "full_loss_per_seed",
            "lora_4_epochs_product_error_per_seed",
            "together_loss_per_seed",
            "moved_loss_after",
            "exposure_full_clipped_per_seed",
            "card_2_points_per_seed",
        },
        bad=[
            ({"scenario": "shop"}, "scenario must be 'keyboard', 'watch' or 'bank', got 'shop'"),
            ({"rounds": -1}, "rounds must be >= 0, got -1"),
            ({"num_seeds": 1}, "num_seeds must be >= 2, got 1"),
            ({"rank": 9}, "rank must be <= 8, got 9"),
            ({"tuning_rounds": 0}, "tuning_rounds must be >= 1, got 0"),
        ],
        wrong={
            "verdict": [
                (
                    (CENTRALIZE, "right"),
                    "It takes right=pooled and network=data. Here it is right=in-place, network=data",
                ),
                (
                    ("keep it local", "right"),
                    "It takes alone=enough; or wanted=model and alike=contradict. Here it is alone=short",
                ),
                (("federated statistics are enough", "right"), "It takes wanted=statistics"),
                (("federate (cross-device)", "right"), "It takes clients=many. Here it is clients=few"),
                (("not yet", "right"), "It takes right=unsettled; or wanted=model and alone=unmeasured"),
                (("federate", "right"), "two kinds of federation"),
                (("pool the data", "right"), "must be one of 'centralize'"),
                (("right", SILO), "The verdict comes first"),
                ((SILO, "network"), "It gives nobody the right to. decide says: with network=models it is"),
                ((SILO, "clients"), "which kind of federation it is"),
                ((SILO, "trust"), "whether the server sees each of them"),
                ((SILO, "alike"), "how hard a federation is"),
                ((SILO, "alone"), "with alone=enough it is 'keep it local'"),
                ((SILO, "labels"), "not what keeps the data apart"),
                ((SILO, "price"), "'price' is none"),
                ((SILO, "right=pooled"), "must be the name of a question"),
                (SILO, "must be two things in brackets"),
                ((SILO,), "must be two things in brackets"),
                ((SILO, 2), "must be two strings"),
            ],
            "product_of_means": [
                (mean_times_mean(), "the mean of B times the mean of A"),
                (mean_times_mean(weigh=np.ones_like), "And use the weights"),
                (mean_times_mean(scale=lambda w: 1), "And divide by the sum of the weights"),
                (mean_times_mean(scale=lambda w: 1 / w.sum()), "And divide by the sum of the weights"),
                (of_products(lambda p, w: p.mean(axis=0)), "All clients count the same"),
                (of_products(lambda p, w: p.sum(axis=0)), "the sum of the products"),
                (of_products(lambda p, w: np.tensordot(w, p, axes=1)), "not normalised"),
                (of_products(lambda p, w: np.tensordot(w, p, axes=1) / len(w)), "divide by the number of clients"),
                (of_products(lambda p, w: np.tensordot(w / w.max(), p, axes=1)), "divide by the largest weight"),
                (of_products(lambda p, w: weighted(p, w**2)), "The weights are squared"),
                (of_products(lambda p, w: np.tensordot((w / w.sum()) ** 2, p, axes=1)), "The weights are used twice"),
                (of_products(lambda p, w: weighted(p, w[::-1])), "those of other clients"),
                (of_products(lambda p, w: p[0]), "the first client's product"),
                (one_loop, "the last client's product"),
                (of_products(lambda p, w: p[w.argmax()]), "the client with the largest weight"),
                (of_products(lambda p, w: weighted(p, w).T), "The matrix is transposed"),
                (of_products(lambda p, w: -weighted(p, w)), "The sign is turned round"),
                (of_products(lambda p, w: weighted(p, w) + 1), "the first number must be"),
                (lambda f, w: weighted(np.stack([a @ b for b, a in f]), w), "A @ B is as small as the rank"),
                (of_products(lambda p, w: p), "Those are the clients' products"),
                (of_products(lambda p, w: weighted(p, w).sum()), "It is one number"),
                (of_products(lambda p, w: weighted(p, w)[:2, :3]), "and has (2, 3)."),
                (
                    for_factors(lambda f, w: f[0][0].shape[0] == 5, of_products(lambda p, w: weighted(p, w).T)),
                    "Turn it",
                ),
                (of_products(lambda p, w: weighted(p, w) * math.nan), "not finite"),
                (of_products(lambda p, w: "much"), "an array of numbers"),
                (
                    for_factors(lambda f, w: w.sum() < 20, of_products(lambda p, w: p[0])),
                    "all weights are divided by 7",
                ),
                (for_factors(lambda f, w: w.sum() == 3, of_products(lambda p, w: p[0])), "d_out is 5 and d_in is 7"),
                (for_factors(lambda f, w: len(w) == 1, mean_times_mean(scale=lambda w: 1)), "there is one client"),
                (for_factors(lambda f, w: 0 in w, of_products(lambda p, w: p.mean(axis=0))), "has the weight 0"),
                (
                    for_factors(lambda f, w: f[0][0].shape[1] == 1, of_products(lambda p, w: p[0])),
                    "ranks 1, 4 and 2",
                ),
                (
                    lambda f, w: (
                        np.average(np.array([b for b, _ in f]), axis=0) if w.sum() == 8 else right_update(f, w)
                    ),
                    "raised ValueError",
                ),
                (normalised_in_place, "as they are"),
                (scaled_in_place, "as they are"),
                (3.0, "must be a function"),
            ],
            "bytes_of_lora": [
                (10752, "That is one way"),
                (163840, "all weights of the layers. With LoRA"),
                (81920, "all weights of the layers, one way"),
                (20480, "how many weights the layers have"),
                (163840 + 21504, "The frozen weights do not travel"),
                (6144, "That is A alone. Both"),
                (3072, "That is A alone, and one way"),
                (15360, "That is B alone, as FFA-LoRA"),
                (7680, "That is B alone, and one way"),
                (2688, "how many numbers are sent one way"),
                (5376, "how many numbers are sent. A float32"),
                (172032, "Those are bits. A"),
                (86016, "Those are bits, one way"),
                (43008, "and not 8"),
                (129024, "not squared"),
                (3584, "The rank is forgotten"),
                (983040, "You multiply out and in"),
                (21.504, "thousands of bytes"),
                (22, "are too few"),
                (15361, "are too few"),
                (90000, "are too many"),
                ("many", "must be a number"),
            ],
            "worst_client": [
                (told(failed=lambda x, n: [3]), "Nobody failed"),
                (told(mean_by_examples=lambda x, n: x.mean()), "all clients count the same. Weigh"),
                (told(mean_by_examples=lambda x, n: x.mean(axis=0) @ n), "divide by the sum of the sizes."),
                (told(mean_by_examples=lambda x, n: (x @ n).sum() / n.sum()), "the seeds are added up"),
                (told(mean_by_examples=lambda x, n: x.mean(axis=0) @ n / len(n)), "not by how many there are"),
                (told(mean_by_examples=lambda x, n: np.average(x.mean(axis=0), weights=1 / n)), "turned round"),
                (told(mean_by_examples=lambda x, n: x[0] @ n / n.sum()), "the first seed alone"),
                (told(mean_by_examples=right_of("mean by examples", 0.1)), '"mean by examples" must be'),
                (told(mean_of_clients=right_of("mean by examples")), "large clients count more"),
                (told(mean_of_clients=lambda x, n: x.sum() / len(n)), "the seeds are added up"),
                (told(mean_of_clients=lambda x, n: np.median(x.mean(axis=0))), "that is the median"),
                (told(mean_of_clients=lambda x, n: x[0].mean()), "the first seed alone"),
                (told(mean_of_clients=right_of("mean of clients", 0.1)), '"mean of clients" must be'),
                (told(worst_client=single), "one seed decides"),
                (told(worst_client=worst_of(lambda x, n: single(x, n)[0])), "one seed decides"),
                (told(worst_client=worst_of(lambda x, n: x.mean(axis=0).argmax())), "that is the best one"),
                (told(worst_client=worst_of(lambda x, n: n.argmin())), "that is the smallest one"),
                (
                    told(worst_client=lambda x, n: (by_mean(x, n) + 1, x.mean(axis=0).min())),
                    "counted from 0. You say 3",
                ),
                (told(worst_client=worst_of(by_mean, lambda x, i: x[:, i].min())), "client 2 is right"),
                (told(worst_client=lambda x, n: (4, 0.5)), '"worst client" must be (2, 0.425)'),
                (told(spread=lambda x, n: x.mean(axis=1).std()), "Divide by one less"),
                (told(spread=lambda x, n: x.mean(axis=0).std()), "how unequal they are"),
                (told(spread=lambda x, n: x.mean(axis=0).std(ddof=1)), "how unequal they are"),
                (told(spread=lambda x, n: x.std(axis=1).mean()), "how unequal they are"),
                (told(spread=lambda x, n: x.std(axis=1, ddof=1).mean()), "how unequal they are"),
                (told(spread=lambda x, n: x.std()), "over all numbers"),
                (told(spread=lambda x, n: x.std(ddof=1)), "over all numbers"),
                (told(spread=lambda x, n: x.std(axis=0).mean()), "each client's own standard deviation"),
                (told(spread=lambda x, n: x.std(axis=0, ddof=1).mean()), "each client's own standard deviation"),
                (told(spread=lambda x, n: x.mean(axis=1).std(ddof=1) / math.sqrt(len(x))), "the standard error"),
                (told(spread=lambda x, n: x.mean(axis=1).var(ddof=1)), "the variance"),
                (told(spread=lambda x, n: np.ptp(x.mean(axis=1))), "the largest less the smallest"),
                (told(spread=lambda x, n: (x @ n / n.sum()).std(ddof=1)), "of the mean by examples"),
                (told(spread=right_of("spread", 0.1)), '"spread" must be'),
                (if_failed(failed=lambda x, n: []), "have a nan in some seed"),
                (if_failed(failed=lambda x, n: np.flatnonzero(np.isnan(x).any(axis=1))), "the seeds in which"),
                (if_failed(failed=lambda x, n: np.nonzero(np.isnan(x))[1]), "each client once and in order"),
                (if_failed(failed=lambda x, n: [4]), "with a nan in any seed. It is [4]"),
                (if_failed(failed=lambda x, n: 2), "and not how many"),
                (told(failed=lambda x, n: np.isnan(x).any(axis=0)), "is one of True and False"),
                (told(failed=lambda x, n: [0.5]), "a list of whole numbers"),
                (
                    if_failed(worst_client=worst_of(lambda x, n: np.nanargmin(x.mean(axis=0)))),
                    "Who has no number is not better",
                ),
                (if_failed(worst_client=lambda x, n: (1, 0.0)), "counts as 0. Nobody"),
                (
                    if_failed(worst_client=worst_of(lambda x, n: 1, lambda x, i: np.nan_to_num(x).mean(axis=0)[i])),
                    "counts as 0. Nobody",
                ),
                (
                    if_failed(worst_client=worst_of(lambda x, n: 1, lambda x, i: np.nanmean(x, axis=0)[i])),
                    "the seeds that went well",
                ),
                (
                    if_failed(worst_client=lambda x, n: (int(all_failed(x, n)[-1]), math.nan)),
                    "the first one is to be named",
                ),
                (if_failed(mean_of_clients=lambda x, n: x.mean()), "'mean of clients' is nan"),
                (if_failed(spread=lambda x, n: x.mean(axis=1).std(ddof=1)), "'spread' is nan"),
                (
                    if_failed(mean_by_examples=lambda x, n: np.nanmean(x, axis=0) @ n / n.sum()),
                    "in the seeds that went",
                ),
                (if_failed(mean_of_clients=lambda x, n: np.nanmean(x)), "in the seeds that went well"),
                (if_failed(mean_of_clients=lambda x, n: np.nanmean(x, axis=0).mean()), "in the seeds that went well"),
                (if_failed(mean_of_clients=lambda x, n: np.nanmean(x, axis=1).mean()), "in the seeds that went well"),
                (if_failed(spread=lambda x, n: np.nanmean(x, axis=1).std(ddof=1)), "in the seeds that went well"),
                (if_failed(mean_of_clients=lambda x, n: np.nan_to_num(x).mean()), "a failed run counts as 0"),
                (if_failed(spread=lambda x, n: whole_seeds(x).mean(axis=1).std(ddof=1)), "you leave out seeds"),
                (if_failed(mean_of_clients=lambda x, n: whole_seeds(x).mean()), "you leave out seeds"),
                (
                    if_failed(
                        mean_by_examples=lambda x, n: (
                            (known_clients(x).mean(axis=0) @ n[~np.isnan(x).any(axis=0)]) / n.sum()
                        )
                    ),
                    "the sizes of all",
                ),
                (if_failed(spread=right_of("spread", 0.1)), "Over the others 'spread' is"),
                (
                    if_shape(lambda x: np.isnan(x).all(axis=0).sum() == 1, spread=lambda x, n: 0.2),
                    "failed in every seed",
                ),
                (if_shape(lambda x: np.isnan(x).all(), mean_of_clients=lambda x, n: 0.0), "all clients failed"),
                (if_shape(lambda x: len(x) == 1, spread=lambda x, n: 0.0), "there is one seed"),
                (if_shape(lambda x: x.shape[1] == 1, spread=lambda x, n: 0.0), "there is one client"),
                (if_shape(lambda x: (x == 0.5).all(), worst_client=lambda x, n: (3, 0.5)), "all are equal"),
                (told(worst_client=lambda x, n: 0.4), "(index, mean over seeds)"),
                (told(worst_client=lambda x, n: (5, 0.4)), "an index from 0 to 4"),
                (told(spread=lambda x, n: x.std(axis=0)), "must be a number"),
                (lambda x, n: 0.7, "must return a dict"),
                (lambda x, n: {"mean of clients": 0.7}, "'mean by examples' is missing"),
                (cleared_in_place, "as they are"),
                (0.5, "must be a function"),
            ],
            "bug_hunt": [
                (buggy, "The test rows judge"),
                (comparison(score=by_test), "The test rows judge"),
                (
                    comparison(trained=lambda train, v, test: with_rows(train, test), pick=lambda scores: 3),
                    "test rows are among those that train it",
                ),
                (comparison(weigh=equal, alone=five_alone), "All clients count the same"),
                (comparison(weigh=lambda train, v, test: rows_of(v)), "weighed by validation rows"),
                (comparison(weigh=lambda train, v, test: rows_of(test)), "weighed by test rows"),
                (
                    comparison(weigh=lambda train, v, test: np.sum([rows_of(p) for p in (train, v, test)], axis=0)),
                    "weighed by all their rows",
                ),
                (comparison(trained=lambda train, v, test: with_rows(train, v)), "Validation rows train the model"),
                (comparison(model=lambda history, best, *_: history[-1]), "are those after round 12"),
                (comparison(model=lambda h, best, train, rate: alone_of(train, best + 1, rate)[1]), "one client alone"),
                (
                    comparison(
                        model=lambda h, best, train, rate: np.average(
                            alone_of(train, best + 1, rate), axis=0, weights=rows_of(train)
                        )
                    ),
                    "averaged once, at the end",
                ),
                (
                    comparison(model=lambda h, best, train, rate: alone_of([pooled_rows(train)], best + 1, rate)[0]),
                    "a model of pooled rows",
                ),
                (comparison(model=lambda history, best, *_: history[best] + 1), "A round is five_steps at each"),
                (comparison(pick=last_best), "are equally good on validation rows"),
                (comparison(pick=lambda scores: len(scores) - 1), "The last round is taken"),
                (
                    comparison(score=lambda w, train, v, test: share_right([w] * len(train), train)),
                    "The round is chosen on training rows",
                ),
                (
                    comparison(score=lambda w, train, v, test: mean_right([w] * len(train), v)),
                    "the mean of the clients' accuracies. Choose",
                ),
                (comparison(pick=lambda scores: int(np.argmin(scores))), "worst on validation rows"),
                (comparison(pick=lambda scores: 2), "Round 3 is chosen"),
                (
                    comparison(federated=lambda h, best, train, v, test: mean_right([h[best]] * len(train), test)),
                    '"federated" is the mean of the clients',
                ),
                (
                    comparison(federated=lambda h, best, train, v, test: share_right([h[best]] * len(train), v)),
                    "which have chosen",
                ),
                (
                    comparison(federated=lambda h, best, train, v, test: share_right([h[best]] * len(train), train)),
                    "measured on training rows.",
                ),
                (
                    comparison(federated=lambda h, best, train, v, test: share_right([h[-1]] * len(train), test)),
                    "that of the last round",
                ),
                (comparison(federated=best_on_test), "the best of all rounds"),
                (with_values(federated=0.5), '"federated" must be 0.'),
                (comparison(alone=five_alone), "a client of the federation has taken 35"),
                (
                    comparison(alone=lambda train, best, rounds, rate, w: alone_of(train, rounds, rate)),
                    "trains for all 12 rounds",
                ),
                (
                    comparison(alone=lambda train, best, rounds, rate, w: alone_of(train, best + 1, rate, w)),
                    "with or without fine-tuning",
                ),
                (
                    comparison(alone=lambda train, best, rounds, rate, w: alone_of(train, 1, rate, w)),
                    "with or without fine-tuning",
                ),
                (comparison(local=lambda models, train, v, test: mean_right(models, test)), "Measure both alike"),
                (comparison(local=on_everybody), "It is for its own"),
                (comparison(local=averaged), "the mean of models"),
                (
                    comparison(local=lambda models, train, v, test: share_right(models, v)),
                    "measured on validation rows.",
                ),
                (
                    comparison(local=lambda models, train, v, test: share_right(models, train)),
                    "which its model has seen",
                ),
                (
                    comparison(alone=lambda train, best, rounds, rate, w: [w] * len(train)),
                    "with or without fine-tuning",
                ),
                (with_values(local_only=0.5), '"local only" must be 0.'),
                (for_train(lambda train, rounds: len(train) == 1, with_values(local_only=0.5)), "there is one client"),
                (for_train(lambda train, rounds: len(train) == 5, comparison(weigh=equal)), "there are five clients"),
                (for_train(lambda train, rounds: rounds == 1, with_values(federated=0.5)), "there is one round"),
                (with_values(rounds=0), "The first round is number 1"),
                (with_values(rounds=13), "a whole number from 1 to 12"),
                (with_values(local_only=68.0), "must be a share"),
                (with_values(weights=np.zeros(3)), "4 finite numbers"),
                (with_values(weights="w"), "an array of numbers"),
                (lambda train, validation, test, rounds, rate: (1, 2), "a dict with the keys"),
                (labels_in_place, "as they are"),
                (lambda train, validation, test, rounds, rate: train[9], "raised IndexError"),
                (0.8, "must be a function"),
            ],
            "card": [
                ((1, "confirmed"), "above 0 in 3 of 5 seeds"),
                ((1, "refuted"), "no proof that there is none"),
                ((4, "confirmed"), "it would take 4.30 standard errors"),
                ((5, "confirmed"), "One seed says nothing"),
                ((6, "confirmed"), "One seed has no number"),
                ((7, "refuted"), "above 0 in 0 of 3 seeds"),
                ((2, "undecided"), "That is clear"),
                ((2, "refuted"), "all differences are above 0"),
                ((3, "confirmed"), "all differences are below 0"),
                ((3, "undecided"), "more than 4.30 standard errors"),
                ((9, "confirmed"), "card 9 has no small version"),
                ((0, "confirmed"), "from 1 to 12"),
                ((13, "confirmed"), "from 1 to 12"),
                ((2, "true"), "must be one of 'confirmed'"),
                (("confirmed", 2), "must be a number"),
                ((2, 1), "must be one of 'confirmed'"),
                ("confirmed", "two things in brackets"),
            ],
        },
        given={
            "verdict": {"answers": ASKED_CASE},
            "bytes_of_lora": {"layers": ASKED_LAYERS, "rank": 6},
            "card": {"try_card": try_card},
        },
        names={
            "np": np,
            "asked_layers": ASKED_LAYERS,
            "asked_rank": 6,
            "five_steps": five_steps,
            "share_right": share_right,
            "metrics": metrics,
        },
        in_browser=Typed("bytes_of_lora", wrong="10752", sentence="That is one way", right="21504"),
    )


# Right answers in another form


def test_exactly_one_changed_answer_turns_the_case_round():
    exercise = TestCapstone.lesson.exercises["verdict"]
    right = [name for name in ASKED_CASE if exercise.check((SILO, name), answers=ASKED_CASE).status == "correct"]
    assert right == ["right"]
    assert exercise.check([decide(ASKED_CASE), "right"], answers=ASKED_CASE).status == "correct"


def test_another_case_has_another_answer():
    answers = ASKED_CASE | {"right": "pooled", "network": "models"}
    exercise = TestCapstone.lesson.exercises["verdict"]
    assert exercise.check((SILO, "network"), answers=answers).status == "correct"
    verdict = exercise.check((SILO, "trust"), answers=answers)
    assert verdict.status == "not yet" and "a contradiction" in verdict.message
    statistics = ASKED_CASE | {"wanted": "statistics"}
    assert "a rule" in exercise.check((SILO, "right"), answers=statistics).message.lower()


@pytest.mark.parametrize("answer", [right_update, by_stacking, by_torch])
def test_an_update_may_be_computed_in_any_way(answer):
    verdict = TestCapstone.lesson.exercises["product_of_means"].check(answer)
    assert verdict.status == "correct", verdict


@pytest.mark.parametrize("answer", [21504, 21504.0, np.int64(21504), torch.tensor(21504)])
def test_bytes_may_be_of_any_type(answer):
    assert TestCapstone.lesson.check(TestCapstone.lesson.exercises["bytes_of_lora"], answer).status == "correct"


def test_the_adapter_of_one_layer_is_told_apart_where_its_number_is_no_other():
    exercise = TestCapstone.lesson.exercises["bytes_of_lora"]
    layers = {"query": (64, 64), "up": (256, 64), "down": (64, 300)}
    verdict = exercise.check(2 * 4 * 5 * 364, layers=layers, rank=5)
    assert "the adapter of one layer, down" in verdict.message


@pytest.mark.parametrize("answer", [right_report, with_pandas])
def test_a_report_may_be_made_in_any_way(answer):
    verdict = TestCapstone.lesson.exercises["worst_client"].check(answer)
    assert verdict.status == "correct", verdict


def by_client(w, train, validation, test):
    """The share of all rows from the clients' shares."""
    return np.average([((x @ w > 0) == y).mean() for x, y in validation], weights=rows_of(validation))


def by_hits(w, train, validation, test):
    return sum(int((((x @ w) > 0) == y).sum()) for x, y in validation)


@pytest.mark.parametrize("score", [by_client, by_hits])
def test_a_round_may_be_chosen_in_any_way(score):
    verdict = TestCapstone.lesson.exercises["bug_hunt"].check(comparison(score=score))
    assert verdict.status == "correct", verdict


def test_a_comparison_may_be_of_any_type():
    def in_torch(*given):
        found = right_comparison(*given)
        return found | {"weights": torch.tensor(found["weights"]), "rounds": np.int64(found["rounds"])}

    verdict = TestCapstone.lesson.exercises["bug_hunt"].check(in_torch)
    assert verdict.status == "correct", verdict


@pytest.mark.parametrize("number", DIFFERENCES)
def test_exactly_one_word_is_right_for_a_card(number):
    exercise = TestCapstone.lesson.exercises["card"]
    words = [
        word
        for word in ("confirmed", "refuted", "undecided")
        if exercise.check((number, word), try_card=try_card).status == "correct"
    ]
    clear = is_clear(DIFFERENCES[number])
    right = "undecided" if not clear else "confirmed" if DIFFERENCES[number][0] > 0 else "refuted"
    assert words == [right]
    assert CARDS[number - 1].found in exercise.check((number, right), try_card=try_card).message


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        ("verdict", "prediction"),
        ("product_of_means", "exact_update"),
        ("bytes_of_lora", "bytes_a_round"),
        ("worst_client", "report"),
        ("bug_hunt", "fair_comparison"),
        ("card", "outcome"),
    ],
)
def test_a_solution_defines_its_answer_and_no_name_that_the_notebook_uses(exercise, answer):
    lesson = TestCapstone.lesson
    names = {"__builtins__": __builtins__, **lesson.names, "try_card": try_card}
    before = set(names)
    exec(lesson.exercises[exercise].solution_source, names)
    assert set(names) - before == {answer}
