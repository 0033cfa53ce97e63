"""The lesson of notebook 11."""

import math
from itertools import combinations, permutations

import numpy as np
import pytest
import torch
from lesson import Lesson, LessonTests, Typed

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.lessons.hospitals import check_hospitals
from fedlearn_helpers.tables import Column, Schema, SiteTable, load_heart

TWO_HOSPITALS = {"sizes": (200, 100), "means": (50.0, 65.0), "deviations": (6.0, 12.0)}

# Exercise 4: five hospitals, of which one has too few ill rows to be asked
ILL_SCORES = {
    "Cleveland": [0.31, 0.45, 0.52, 0.6, 0.63, 0.7, 0.74, 0.8, 0.9, 0.93],
    "Hungary": [0.2, 0.37, 0.41, 0.44, 0.58, 0.61, 0.66, 0.69, 0.77, 0.85, 0.88],
    "Switzerland": [0.48, 0.55, 0.57, 0.59, 0.7],
    "VA": [0.5] * 20,
    "Basel": [0.29, 0.8, 0.9],
}
ILL_ROWS = {name: len(scores) for name, scores in ILL_SCORES.items()} | {"Bern": 0}
HEALTHY_SCORES = {name: [0.1, 0.3, 0.38, 0.6] for name in ILL_SCORES} | {"Switzerland": []}


def share(hits):
    return sum(hits) / len(hits) if hits else math.nan


def at(threshold):
    """Each hospital's sensitivity and specificity."""
    rates = {
        name: (
            share([score >= threshold for score in ILL_SCORES[name]]),
            share([score < threshold for score in HEALTHY_SCORES[name]]),
        )
        for name in ILL_SCORES
    }
    return rates | {"Bern": (math.nan, 1.0)}


# Exercise 2


def bisected(
    *, rank=lambda n: (n + 1) // 2, first=lambda low: low, last=lambda high: high, left=lambda low, high: low, ask=None
):
    """A bisection, with a mistake."""

    def median(count_at_most, low, high):
        total = count_at_most(high)
        low, high = first(low), last(high)
        while low < high:
            middle = (low + high) // 2
            if ask == "again":
                total = count_at_most(10**9)
            if count_at_most(middle) >= rank(total):
                high = middle
            else:
                low = middle + 1
        return left(low, high)

    return median


def linear(count_at_most, low, high):
    rank = (count_at_most(high) + 1) // 2
    return next(t for t in range(low, high + 1) if count_at_most(t) >= rank)


def endless(count_at_most, low, high):
    rank = (count_at_most(high) + 1) // 2
    while low < high:
        middle = (low + high) // 2
        if count_at_most(middle) >= rank:
            high = middle
        else:
            low = middle
    return low


def counting_up(count_at_most, low, high):
    """A search that runs away, and catches what it can."""
    t = high
    while True:
        try:
            count_at_most(t)
        except Exception:
            break
        t += 1


def in_fractions(count_at_most, low, high):
    rank = (count_at_most(high) + 1) // 2
    while high - low > 0.5:
        middle = (low + high) / 2
        low, high = (low, middle) if count_at_most(middle) >= rank else (middle, high)
    return high


def last_asked(count_at_most, low, high):
    rank, middle = (count_at_most(high) + 1) // 2, high
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if count_at_most(middle) >= rank else (middle + 1, high)
    return middle


def mean_of_both(count_at_most, low, high):
    half = count_at_most(high) / 2
    one = bisected(rank=lambda n: math.ceil(half))(count_at_most, low, high)
    return (one + bisected(rank=lambda n: math.floor(half) + 1)(count_at_most, low, high)) / 2


def without_total(count_at_most, low, high):
    """The middle of the values, if there were one at each number from low to high."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if count_at_most(middle) >= 2 else (middle + 1, high)
    return low


def without_low(count_at_most, low, high):
    """Low is held for a number that is too small."""
    rank = (count_at_most(high) + 1) // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if count_at_most(middle) >= rank else (middle, high)
    return high


def without_high(count_at_most, low, high):
    """The search ends one below high."""
    return bisected()(count_at_most, low, high) if high == low else min(bisected()(count_at_most, low, high), high - 1)


def from_zero(count_at_most, low, high):
    return bisected(first=lambda low: 0)(count_at_most, low, high) if low < 0 else bisected()(count_at_most, low, high)


def with_all_checks(count_at_most, low, high):
    """Right, and asks as often as it may."""
    rank = (count_at_most(high) + 1) // 2
    if count_at_most(low) >= rank:
        return low
    found = bisected(rank=lambda n: rank)(lambda t: count_at_most(t) if t < high else 0, low, high)
    assert count_at_most(found) >= rank
    return found


def by_recursion(count_at_most, low, high, rank=None):
    if rank is None:
        rank = -(-count_at_most(high) // 2)
    if low == high:
        return np.float64(low)
    middle = (low + high) // 2
    if count_at_most(middle) >= rank:
        return by_recursion(count_at_most, low, middle, rank)
    return by_recursion(count_at_most, middle + 1, high, rank)


# Exercise 3


def by_orders(v, orders, players):
    added = dict.fromkeys(players, 0.0)
    for order in orders:
        for place, player in enumerate(order):
            before = frozenset(order[:place])
            added[player] += (v(before | {player}) - v(before)) / len(orders)
    return added


def by_shapley(v, players):
    return by_orders(v, list(permutations(players)), players)


def by_coalitions(weight, *, with_player=False, nobody=None):
    """Weighted sums of what a player adds."""

    def values(v, players):
        n = len(players)

        def u(members):
            return v(members) if members or nobody is None else nobody

        total = dict.fromkeys(players, 0.0)
        for player in players:
            others = [one for one in players if one != player]
            for size in range(n):
                for members in map(frozenset, combinations(others, size)):
                    added = u(members | {player}) - (0 if with_player else u(members))
                    total[player] += weight(size, n) * added
        return total

    return values


def exact(size, n):
    return math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)


def left_out(v, players):
    return {player: v(frozenset(players)) - v(frozenset(players) - {player}) for player in players}


def gain(v, players):
    return v(frozenset(players)) - v(frozenset())


def scaled(values, to=gain):
    """Values that are scaled so that they add up to something."""

    def changed(v, players):
        found = values(v, players)
        return {player: value * to(v, players) / sum(found.values()) for player, value in found.items()}

    return changed


def changed_values(change, values=by_shapley):
    return lambda v, players: {player: change(value, v, players) for player, value in values(v, players).items()}


def drawn(seed, count):
    def values(v, players):
        rng = np.random.default_rng(seed)
        orders = [[players[place] for place in rng.permutation(len(players))] for _ in range(count)]
        return by_orders(v, orders, players)

    return values


def half_equal(v, players):
    """Efficient, symmetric and linear; but who adds nothing is paid, too."""
    return changed_values(lambda value, v, players: value / 2 + gain(v, players) / len(players) / 2)(v, players)


def two_orders(v, players):
    """Efficient and linear, nothing for who adds nothing; but the first in the list is not like the others."""
    return by_orders(v, [players, [*players[1:], players[0]]], players)


def with_so_many(count, wrong):
    """Right, but for so many players."""
    return lambda v, players: (wrong if len(players) == count else by_shapley)(v, players)


def players_sorted_away(v, players):
    found = by_shapley(v, list(players))
    players.clear()
    return found


# Exercise 5


def prepare(
    *,
    fill="train",
    mean="train",
    deviation="train",
    codes=None,
    test_by="train",
    constant="one",
    drop=False,
    order="fill last",
):
    """Inputs from rows, with mistakes."""

    def prepared(train, test):
        rows = np.vstack(train)
        own = np.array([np.nanmean(one, axis=0) for one in train])
        counts = np.array([(~np.isnan(one)).sum(axis=0) for one in train])
        apart = np.array([np.nanstd(one, axis=0) for one in train])
        means = {
            "train": np.nanmean(rows, axis=0),
            "all": np.nanmean(np.vstack([*train, *test]), axis=0),
            "of means": own.mean(axis=0),
            "zero": np.zeros(rows.shape[1]),
            "median": np.nanmedian(rows, axis=0),
            "odd": np.nanmean(rows, axis=0) + 1.0,
            "plain": np.mean(rows, axis=0),
            "none": np.full(rows.shape[1], np.nan),
        }
        filled = np.where(np.isnan(rows), means["train"], rows)
        deviations = {
            "train": np.nanstd(rows, axis=0),
            "all": np.nanstd(np.vstack([*train, *test]), axis=0),
            "average": apart.mean(axis=0),
            "average by rows": np.average(apart, axis=0, weights=[len(one) for one in train]),
            "average by values": np.average(apart, axis=0, weights=counts),
            "within": np.sqrt(np.average(apart**2, axis=0, weights=counts)),
            "filled": filled.std(axis=0),
            "n - 1": np.nanstd(rows, axis=0, ddof=1),
            "variance": np.nanvar(rows, axis=0),
            "one": np.ones(rows.shape[1]),
            "first": apart[0],
            "odd": np.nanstd(rows, axis=0) * 1.5,
        }
        if constant == "one":
            deviations = {name: np.where(one > 0, one, 1.0) for name, one in deviations.items()}
        if constant == "tiny":
            deviations = {name: np.maximum(one, 1e-12) for name, one in deviations.items()}

        def inputs(part, known):
            made = []
            for place, x in enumerate(part):
                own_of = known[place] if known is not None else None
                by = {"own": own_of, "shifted": np.nanmean(rows, axis=0) + place}
                filler = np.nanmean(own_of, axis=0) if fill == "own" else means.get(fill, means["train"])
                if fill == "shifted":
                    filler = filler + place
                centre = np.nanmean(by["own"], axis=0) if mean == "own" else means.get(mean, by["shifted"])
                scale = np.nanstd(by["own"], axis=0) if deviation == "own" else deviations.get(deviation)
                if deviation == "shifted":
                    scale = deviations["train"] + place
                if drop:
                    x = x[~np.isnan(x).any(axis=1)]
                with np.errstate(all="ignore"):
                    z = (np.where(np.isnan(x), filler, x) - centre) / scale
                if codes == "number":
                    z = np.column_stack([z, np.full(len(x), place)])
                if codes == "one-hot":
                    z = np.column_stack([z, np.tile(np.eye(len(part))[place], (len(x), 1))])
                if codes == "missing":
                    z = np.column_stack([z, np.isnan(x)])
                made.append(z)
            return made

        return inputs(train, train), inputs(test, test if test_by == "test" else train)

    return prepared


right_prepare = prepare()


def buggy(train, test):
    return prepare(fill="all", deviation="average", codes="number")(train, test)


def rows_tested_by_themselves(train, test):
    return right_prepare(train, test)[0], right_prepare(test, test)[1]


def changed_inputs(change_train=lambda z: z, change_test=lambda z: z, of=right_prepare):
    def prepared(train, test):
        train_inputs, test_inputs = of(train, test)
        return [change_train(z) for z in train_inputs], [change_test(z) for z in test_inputs]

    return prepared


def filled_in_place(train, test):
    inputs = right_prepare(train, test)
    train[0][np.isnan(train[0])] = 0.0
    return inputs


def filled_with_noise(train, test):
    rng = np.random.default_rng(0)
    inputs = right_prepare(train, test)
    return [np.where(np.isnan(x), rng.normal(size=x.shape), z) for x, z in zip(train, inputs[0], strict=True)], inputs[
        1
    ]


def without_test_means(train, test):
    """Test rows are filled in with something else."""
    train_inputs, test_inputs = right_prepare(train, test)
    return train_inputs, [np.where(np.isnan(x), 0.7, z) for x, z in zip(test, test_inputs, strict=True)]


def if_never_measured(wrong):
    """Wrong where one hospital has never measured a column."""

    def prepared(train, test):
        inputs = right_prepare(train, test)
        for part, made in zip((train, test), inputs, strict=True):
            for x, z in zip(part, made, strict=True):
                z[:, np.isnan(x).all(axis=0)] = wrong
        return inputs

    return prepared


def for_hospitals(wanted, wrong):
    return lambda train, test: (wrong if wanted(train) else right_prepare)(train, test)


def by_torch(train, test):
    """The same inputs in PyTorch, float32."""
    rows = torch.from_numpy(np.vstack(train))
    mean = rows.nanmean(dim=0)
    measured = ~rows.isnan()
    deviation = (((rows - mean) ** 2).nan_to_num(0.0).sum(dim=0) / measured.sum(dim=0)).sqrt()
    deviation = torch.where(deviation > 0, deviation, 1.0)

    def inputs(part):
        return tuple(((torch.from_numpy(x) - mean) / deviation).nan_to_num(0.0).float() for x in part)

    return inputs(train), inputs(test)


def by_sums(train, test):
    """The same inputs from sums of hospitals, in plain Python lists."""
    count = sum((~np.isnan(x)).sum(axis=0) for x in train)
    total = sum(np.nansum(x, axis=0) for x in train)
    squares = sum(np.nansum(x**2, axis=0) for x in train)
    mean = total / count
    variance = (count * squares - total**2) / count**2
    deviation = np.sqrt(np.where(variance > 1e-12, variance, 1.0))
    return [[((np.where(np.isnan(x), mean, x) - mean) / deviation).tolist() for x in part] for part in (train, test)]


class TestHospitals(LessonTests):
    lesson = Lesson(
        notebook="11_hospitals",
        small={"num_splits": 2, "num_rounds": 2, "num_trees": 2},
        metrics={
            "patients",
            "switzerland_alone_accuracy_per_split",
            "va_long_beach_fedavg_network_calibration_per_split",
            "hungary_trees_exact_auc_per_split",
            "cleveland_exact_auc_interval",
            "switzerland_exact_own_intercept_accuracy_interval",
            "cleveland_fedavg_intercept_interval",
            "switzerland_log_likelihood_shapley_per_split",
            "hungary_mean_auc_left_out_per_split",
            "gain_of_20_rows_per_split",
            "cleveland_model_of_others_auc_per_split",
            "deep_trees_membership_after_per_split",
            "20_copied_rows_fifth_shapley_per_split",
            "label_leak_noise_all_rounds",
            "age_averaged_sd_off",
        },
        bad=[
            ({"sites": " "}, "sites must be 'heart' or a folder of CSV files, got ' '"),
            ({"sites": "no such folder"}, "sites must be 'heart' or a folder of CSV files, got 'no such folder'"),
            ({"leave_out": "weight"}, "leave_out must name columns out of age, sex, cp, "),
            ({"test_fraction": 0.6}, "test_fraction must be <= 0.5, got 0.6"),
            ({"test_fraction": 0.05}, "test_fraction must be >= 0.1, got 0.05"),
            ({"num_splits": 1}, "num_splits must be >= 2, got 1"),
            ({"num_trees": 0}, "num_trees must be >= 1, got 0"),
            ({"num_rounds": 0}, "num_rounds must be >= 1, got 0"),
            ({"learning_rate": 0.0}, "learning_rate must be > 0, got 0.0"),
        ],
        wrong={
            "pooled_deviation": [
                (9.0, "the plain mean of the standard deviations"),
                (8.0, "the mean of the standard deviations, by rows"),
                (8.5, "the root of the mean variance"),
                (9.487, "the plain mean of the variances"),
                (72, "And the root is missing"),
                (90, "the plain mean of the variances. Weigh"),
                (18, "do not add up"),
                (13.4, "The variances are added up"),
                (55, "the mean of all rows"),
                (7.07, "how far the hospitals' means are apart"),
                (7.5, "how far the hospitals' means are apart"),
                (11.3, "counts both hospitals alike"),
                (12.1, "you count the hospitals alike"),
                (11.8, "the variances within the hospitals are to be weighed"),
                (122, "One step is missing"),
                (15.07, "You add two standard deviations"),
                (15.556, "You add two standard deviations"),
                (56.1, "the mean square of all rows"),
                (17.2, "the part between is too large".capitalize()),
                (14.04, "squared distances of the means are added up"),
                (10.0, "is too small"),
                (12.6, "is too large"),
                (0, "is above 0"),
                (math.nan, "is above 0"),
                ("eleven", "must be a number"),
            ],
            "median_by_counts": [
                (linear, "halve the range"),
                (bisected(ask="again"), "only"),
                (endless, "never ends"),
                (counting_up, "more than 2000 questions"),
                (in_fractions, "which is not whole"),
                (mean_of_both, "the mean of the two in the middle"),
                (without_low, "The median may be low itself"),
                (without_high, "The median may be high itself"),
                (bisected(rank=lambda n: n // 2 + 1), "the upper of the two"),
                (bisected(rank=lambda n: n // 2), "less than half"),
                (without_total, "how many there are"),
                (from_zero, "the search must begin at low"),
                (last_asked, "It is the last threshold that you asked for"),
                (bisected(left=lambda low, high: low - 1), "one too little"),
                (bisected(left=lambda low, high: low + 1), "one too much"),
                (bisected(rank=lambda n: n), "The lower median is 8"),
                (bisected(rank=lambda n: 1), "The lower median is 8"),
                (lambda count_at_most, low, high: "8", "must be a number"),
                (lambda count_at_most, low, high: math.nan, "must be a finite number"),
                (lambda count_at_most, low, high: [8, 9], "must be a number"),
                (lambda count_at_most, low, high: np.array([8, 9]), "must be a number"),
                (lambda count_at_most, low, high: count_at_most("all"), "raised TypeError"),
                (58, "must be a function"),
            ],
            "shapley_by_hand": [
                (left_out, "That is leave one out: what is lost"),
                (scaled(left_out), "leave one out, scaled"),
                (lambda v, players: {one: v(frozenset({one})) for one in players}, "what each is worth alone"),
                (by_coalitions(lambda size, n: float(size == 0)), "what each is worth alone"),
                (by_coalitions(lambda size, n: 0.5 ** (n - 1)), "Banzhaf"),
                (by_coalitions(lambda size, n: 1.0), "You add up what a player adds"),
                (lambda v, players: by_orders(v, [players], players), "That is one order"),
                (lambda v, players: by_orders(v, [players[::-1]], players), "That is one order"),
                (scaled(by_shapley, to=lambda v, players: 1.0), "divided by their sum"),
                (by_coalitions(exact, nobody=0.0), "the utility of nobody for 0"),
                (by_coalitions(exact, with_player=True), "You average the utility"),
                (changed_values(lambda value, v, players: value * math.factorial(len(players))), "the mean over them"),
                (by_coalitions(lambda size, n: 1 / math.comb(n - 1, size)), "It must be the mean again"),
                (
                    by_coalitions(lambda s, n: math.factorial(s) * math.factorial(n - s) / math.factorial(n)),
                    "how many join after",
                ),
                (by_coalitions(lambda size, n: 1 / (n * math.comb(n, size))), "From how many others"),
                (by_coalitions(lambda size, n: exact(size, n) if size else 0), "The empty coalition is missing"),
                (by_coalitions(lambda s, n: exact(s, n) if s < n - 1 else 0), "The largest coalition is missing"),
                (changed_values(lambda value, v, players: -value), "The sign is turned round"),
                (changed_values(lambda value, v, players: gain(v, players) / len(players)), "All get the same"),
                (drawn(None, 200), "you draw orders"),
                (drawn(0, 2000), "close, and not exact"),
                (changed_values(lambda value, v, players: value + 1), "They must add up to v of all"),
                (half_equal, "A player that adds nothing"),
                (two_orders, "Two players that add the same"),
                (scaled(by_coalitions(lambda size, n: 0.5 ** (n - 1))), "The values of the sum of two games"),
                (with_so_many(3, left_out), "must be 2/3, 1/6, 1/6"),
                (with_so_many(5, left_out), "leave one out"),
                (with_so_many(5, half_equal), "With 5 players"),
                (with_so_many(1, lambda v, players: {players[0]: v(frozenset(players))}), "With 1 player the"),
                (lambda v, players: list(by_shapley(v, players).values()), "must return a dict"),
                (lambda v, players: by_shapley(v, players[:-1]), "must have the keys"),
                (changed_values(lambda value, v, players: math.nan), "a finite number"),
                (changed_values(lambda value, v, players: "much"), "must be a number"),
                (lambda v, players: {one: v(one) for one in players}, "v takes a frozenset of players, and got 'C'"),
                (lambda v, players: {one: v(frozenset({0})) for one in players}, "v knows the players"),
                (players_sorted_away, "leave the list of players"),
                ({"C": 0.3}, "must be a function"),
            ],
            "threshold": [
                (-0.1, "from 0 to 1"),
                (41, "It is no percentage"),
                (math.nan, "from 0 to 1"),
                (0.405, "has two decimals"),
                (0.2, "not the highest such threshold"),
                (0.36, "not the highest such threshold"),
                (0.29, "That is the highest for all hospitals"),
                (0.38, "Hungary has 0.82 (11 ill rows), and 0.9 is wanted. The mean over hospitals"),
                (0.9, "VA has 0.00 (20 ill rows)"),
                ("low", "must be a number"),
            ],
            "bug_hunt": [
                (buggy, "becomes 4 inputs: what is added is the same"),
                (prepare(codes="number"), "the same for all of a hospital"),
                (prepare(codes="one-hot"), "the same for all of a hospital"),
                (prepare(codes="missing"), "must become 3 inputs, and becomes 6"),
                (changed_inputs(change_train=lambda z: z[:, :2]), "must become 3 inputs, and becomes 2"),
                (prepare(drop=True), "No row is left out"),
                (changed_inputs(change_train=lambda z: z[0]), "must have the shape"),
                (lambda train, test: (np.vstack(train), np.vstack(test)), "an array for each of 3 hospitals"),
                (lambda train, test: (["a"] * 3, ["b"] * 3), "must be a list of arrays"),
                (lambda train, test: right_prepare(train, test)[0], "must return two lists"),
                (filled_in_place, "leave the lists and arrays"),
                (prepare(mean="plain"), "np.mean of a NaN"),
                (prepare(fill="none"), "Missing values are still NaN"),
                (prepare(fill="all"), "what is filled in knows the test rows"),
                (prepare(fill="all", deviation="average"), "what is filled in knows the test rows"),
                (prepare(mean="all"), "test rows decide how it is scaled"),
                (prepare(deviation="all"), "test rows decide how it is scaled"),
                (prepare(fill="own", mean="own", deviation="own", test_by="test"), "other test rows' inputs"),
                (rows_tested_by_themselves, "other test rows' inputs"),
                (changed_inputs(change_train=np.tanh), "(value - mean) / deviation, with two numbers"),
                (changed_inputs(change_train=lambda z: 0 * z), "(value - mean) / deviation, with two numbers"),
                (prepare(deviation="own"), "divides by its own standard deviation"),
                (prepare(fill="own", mean="own", deviation="own"), "divides by its own standard deviation"),
                (prepare(deviation="shifted"), "divide by different numbers"),
                (changed_inputs(change_test=lambda z: 2 * z), "Test rows are not divided"),
                (prepare(deviation="average"), "the average of the hospitals' standard deviations"),
                (prepare(deviation="average by rows"), "the average of the hospitals' standard deviations"),
                (prepare(deviation="average by values"), "the average of the hospitals' standard deviations"),
                (prepare(deviation="within"), "the root of the mean variance"),
                (prepare(deviation="filled"), "after filling in"),
                (prepare(deviation="n - 1"), "You divide by n - 1"),
                (prepare(deviation="variance"), "You divide by the variance"),
                (prepare(deviation="one"), "not divided by anything"),
                (prepare(deviation="first"), "the first hospital's standard deviation"),
                (prepare(deviation="odd"), "of its measured training values, of all hospitals together"),
                (prepare(fill="own", mean="own"), "Each hospital subtracts its own mean"),
                (prepare(mean="shifted"), "The hospitals subtract different numbers"),
                (changed_inputs(change_test=lambda z: z + 1), "From test rows something else is subtracted"),
                (prepare(mean="of means"), "What is subtracted is the mean of the hospitals' means"),
                (prepare(mean="zero"), "Nothing is subtracted"),
                (prepare(mean="odd"), "From column 0,"),
                (prepare(fill="own"), "the hospital's own mean"),
                (prepare(fill="shifted"), "not the same at all hospitals"),
                (filled_with_noise, "become different inputs"),
                (without_test_means, "In test rows something else is filled in"),
                (prepare(fill="of means"), "What is filled in is the mean of the hospitals' means"),
                (prepare(fill="zero"), "becomes the value 0"),
                (prepare(fill="median"), "What is filled in is the median"),
                (prepare(fill="odd"), "In column 0,"),
                (if_never_measured(np.nan), "has never measured becomes NaN"),
                (if_never_measured(1.0), "its inputs there must be 0"),
                (prepare(constant="zero"), "is divided by 0"),
                (prepare(constant="tiny"), "the test row's input is 2, and it is 2e+12"),
                (for_hospitals(lambda train: len(train) == 4, prepare(deviation="within")), "are split in two"),
                (for_hospitals(lambda train: len(train[0]) == 7, prepare(deviation="first")), "in another order"),
                (for_hospitals(lambda train: len(train) == 1, prepare(deviation="n - 1")), "there is one hospital"),
                (for_hospitals(lambda train: len(train) == 5, prepare(deviation="within")), "there are five"),
                (lambda train: right_prepare(train, train), "raised TypeError"),
                (0.5, "must be a function"),
            ],
        },
        given={
            "pooled_deviation": TWO_HOSPITALS,
            "threshold": {"at": at, "ill_rows": ILL_ROWS, "wanted": 0.9},
        },
        names={
            "np": np,
            **{f"asked_{name}": numbers for name, numbers in TWO_HOSPITALS.items()},
            "wanted_sensitivity": 0.9,
        },
        in_browser=Typed(
            "pooled_deviation", wrong="9.0", sentence="the plain mean of the standard deviations", right="11.0"
        ),
    )


# Right answers in another form


@pytest.mark.parametrize("answer", [11, 11.0, 11.05, 122**0.5, np.float32(11.045), np.array(11.0), torch.tensor(11.0)])
def test_a_pooled_deviation_may_be_rounded_and_of_any_type(answer):
    assert TestHospitals.lesson.check(TestHospitals.lesson.exercises["pooled_deviation"], answer).status == "correct"


@pytest.mark.parametrize("seed", range(5))
def test_a_pooled_deviation_is_that_of_the_rows_of_any_number_of_hospitals(seed):
    rng = np.random.default_rng(seed)
    rows = [rng.normal(rng.normal(50, 9), 8, size=rng.integers(20, 90)) for _ in range(2 + seed)]
    given = {
        "sizes": [len(one) for one in rows],
        "means": [one.mean() for one in rows],
        "deviations": [one.std() for one in rows],
    }
    exercise, together = TestHospitals.lesson.exercises["pooled_deviation"], np.concatenate(rows)
    for answer in (together.std(), together.std(ddof=1) if len(together) > 200 else together.std()):
        assert exercise.check(answer, **given).status == "correct"
    assert exercise.check(together.std() + 0.2, **given).status == "not yet"
    assert exercise.check(together.std() - 0.2, **given).status == "not yet"


@pytest.mark.parametrize(
    "answer",
    [bisected(rank=lambda n: n / 2), bisected(first=lambda low: low - 1), with_all_checks, by_recursion],
)
def test_a_median_may_be_searched_in_any_way(answer):
    verdict = TestHospitals.lesson.exercises["median_by_counts"].check(answer)
    assert verdict.status == "correct", verdict


@pytest.mark.parametrize(
    "answer",
    [
        by_shapley,
        by_coalitions(exact),
        changed_values(lambda value, v, players: torch.tensor(value, dtype=torch.float64)),
        lambda v, players: by_shapley(lambda members: v(set(members)), tuple(players)),
        lambda v, players: dict(reversed(by_shapley(v, players).items())),
    ],
)
def test_shapley_values_may_be_written_in_any_way(answer):
    verdict = TestHospitals.lesson.exercises["shapley_by_hand"].check(answer)
    assert verdict.status == "correct", verdict


def test_exactly_one_threshold_is_right():
    exercise, given = TestHospitals.lesson.exercises["threshold"], TestHospitals.lesson.given["threshold"]
    asked = [name for name, rows in ILL_ROWS.items() if rows >= 5]
    right = max(t / 100 for t in range(101) if all(at(t / 100)[name][0] >= 0.9 for name in asked))
    assert 0 < right < 1
    assert [t / 100 for t in range(101) if exercise.check(t / 100, **given).status == "correct"] == [right]
    assert exercise.check(np.float32(right), **given).status == "correct"
    assert exercise.check(1.0, **given | {"wanted": 0.0}).status == "correct"


@pytest.mark.parametrize("answer", [right_prepare, by_torch, by_sums])
def test_inputs_may_be_made_in_any_way(answer):
    verdict = TestHospitals.lesson.exercises["bug_hunt"].check(answer)
    assert verdict.status == "correct", verdict


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        ("pooled_deviation", "prediction"),
        ("median_by_counts", "median"),
        ("shapley_by_hand", "values"),
        ("threshold", "cutoff"),
        ("bug_hunt", "prepare"),
    ],
)
def test_a_solution_defines_its_answer_and_no_name_that_the_notebook_uses(exercise, answer):
    lesson = TestHospitals.lesson
    names = {"__builtins__": __builtins__, **lesson.names, **lesson.given["threshold"]}
    before = set(names)
    exec(lesson.exercises[exercise].solution_source, names)
    assert set(names) - before == {answer}


# Hospitals of one's own


def hospitals_with(ages, **limits):
    schema = Schema((Column("age", "number", **limits), Column("sex", "yes-no")), Column("died", "yes-no"))
    rows = np.arange(len(ages) // 2)
    return [
        SiteTable(name, schema, np.column_stack([of, rows % 2]), rows // 2 % 2)
        for name, of in zip(("Basel", "Bern"), np.split(np.array(ages), 2), strict=True)
    ]


def test_hospitals_that_the_notebook_can_run_on():
    check_hospitals(load_heart(), "slope,ca,thal", 0.3)
    check_hospitals(hospitals_with([50.0] * 79 + [51], lowest=0, highest=120), "", 0.3)


@pytest.mark.parametrize(
    ("ages", "says"),
    [
        ([50.0] * 80, "which is 50 in all rows, to a step of 0.01"),
        ([50.0] * 40 + [math.nan] * 40, "which is 50 in all rows"),
        ([50.0] * 79 + [50.001], "which is 50 in all rows"),  # the deviation in steps is 0, too
        ([math.nan] * 80, "which no hospital has measured"),
    ],
)
def test_a_number_that_says_nothing_must_be_left_out(ages, says):
    with pytest.raises(InputError, match=f"leave_out must name 'age', {says}"):
        check_hospitals(hospitals_with(ages, lowest=0, highest=120), "", 0.3)


def test_a_number_that_is_used_needs_a_range():
    with pytest.raises(InputError, match="lowest and highest of age must be finite"):
        check_hospitals(hospitals_with([50.0, 51.0] * 40), "", 0.3)
