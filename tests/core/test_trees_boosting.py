"""Federated trees are the pooled trees: every split and every leaf, for any spread of the rows over sites."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from few_rows import Rows, pooled, spread, table
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.statistics.asking import ask_sites, in_process
from fedlearn_helpers.trees.bins import bin_edges, bin_of
from fedlearn_helpers.trees.boosting import ANSWERS, GRADIENTS_IN_BINS, STEP, TreeConfig, fit_trees
from fedlearn_helpers.trees.ensemble import Trees

RANGES = np.tile([0.0, 8.0], (4, 1))
CONFIG = TreeConfig(num_trees=5, depth=3, num_bins=8)


def fit(sites, config=CONFIG, ranges=RANGES):
    return fit_trees(in_process(sites, ANSWERS), ranges, config)


@pytest.mark.parametrize("seed", range(6))
def test_federated_trees_are_the_pooled_ones(seed):
    rows = table(seed)
    expected = fit([rows])
    assert (expected.features >= 0).sum() > 10
    for sites in (spread(rows, seed), spread(rows, seed + 1, 7)):
        assert fit(sites) == expected
    halves = spread(rows, seed)
    grouped = [pooled(halves[:3]), pooled(halves[3:]), rows.only([])]
    assert fit(grouped) == fit(halves[::-1]) == expected


def test_a_site_for_each_row():
    rows = table(7, count=40)
    assert fit([rows.only([number]) for number in range(40)]) == fit([rows])


def test_equality_sees_each_split_and_each_leaf():
    trees = fit([table()])
    arrays = vars(trees)
    assert trees == Trees(**{name: array.copy() for name, array in arrays.items()})
    for name, other in (
        ("features", 3),
        ("thresholds", np.nextafter(arrays["thresholds"][2, 0], 9)),
        ("weights", 1e-300),
    ):
        changed = arrays[name].copy()
        changed[2, 0] = other
        assert changed[2, 0] != arrays[name][2, 0]
        assert trees != Trees(**(arrays | {name: changed})), name
    assert trees != Trees(**(arrays | {"missing_left": ~arrays["missing_left"]}))
    assert trees != fit([table().only(slice(0, 199))])
    assert trees != "trees"


@pytest.mark.parametrize("secure", [None, 3])
def test_by_messages_in_the_clear_and_masked(secure):
    rows = table(1)
    config = replace(CONFIG, num_trees=2, depth=2)
    sites = spread(rows, 1)
    trees, history = ask_sites(lambda ask: fit_trees(ask, RANGES, config), sites, ANSWERS, secure=secure)
    assert trees == fit([rows], config)


def test_a_sum_modulo_2_to_the_32_has_room_for_2047_rows():
    """A gradient is at most 2^20 steps, so sums of so many are below 2^31."""
    rows = table(2)
    sites = spread(rows, 2)

    def modulo(name, asked):
        total = sum(ANSWERS[name](site, asked).astype(np.uint32) for site in sites)
        return total.view(np.int32).astype(np.int64)

    assert fit_trees(modulo, RANGES, CONFIG) == fit([rows])


def test_sums_of_floats_depend_on_the_spread_and_give_other_splits():
    """The trap: two columns that say the same, as age and year of birth do. The last bit decides which one is taken."""
    rows = table(2, count=60)
    values = np.column_stack([rows.values[:, :3], 8 - rows.values[:, 0]])
    rows = Rows(values, rows.labels)
    config = TreeConfig(num_trees=4, num_bins=16)

    def ask_floats(sites):
        exact = in_process(sites, ANSWERS)

        def ask(name, asked):
            return sum(float_answer(site, asked) for site in sites) if name == GRADIENTS_IN_BINS else exact(name, asked)

        return ask

    spreads = [spread(rows, seed) for seed in range(6)]
    by_floats = [fit_trees(ask_floats(sites), RANGES, config).features for sites in spreads]
    assert len({features.tobytes() for features in by_floats}) > 1
    by_steps = [fit(sites, config) for sites in spreads]
    assert all(trees == by_steps[0] for trees in by_steps)
    assert not (by_steps[0].features == 3).any()  # of the two, the first


def float_answer(site, asked):
    """The answer without rounding to steps, in float64."""
    edges, level = asked["edges"], int(asked["level"][0])
    trees = Trees(*(asked[name] for name in ("features", "thresholds", "missing_left", "weights")))
    p = Trees(*(array[:-1] for array in vars(trees).values())).predict_proba(site.values)
    node = trees.nodes(len(trees) - 1, site.values) - (2**level - 1)
    sums = np.zeros((2, 2**level, len(edges), edges.shape[1] + 2))
    bins = bin_of(site.values, edges)
    for row in np.flatnonzero(node >= 0):
        for feature, at in enumerate(bins[row]):
            sums[:, node[row], feature, at] += (p - site.labels)[row], (p * (1 - p))[row]
    return sums.ravel() / STEP


@pytest.mark.parametrize("seed", range(3))
def test_splits_and_leaves_are_those_of_the_papers_formulas(seed):
    """A slow tree with exact fractions and lists of rows, without histograms: the same splits, the same leaves."""
    rows = table(seed, count=60, features=3)
    config = TreeConfig(num_trees=3, depth=2, num_bins=8, learning_rate=0.5, min_child_weight=2.0, l2=0.5)
    trees = fit([rows], config, RANGES[:3])
    edges = bin_edges(in_process([rows], ANSWERS), RANGES[:3], 8)
    total = np.zeros(len(rows.labels))
    for tree in range(3):
        p = 1 / (1 + np.exp(-total))
        g = [Fraction(int(number), 2**20) for number in np.rint((p - rows.labels) * 2**20)]
        h = [Fraction(int(number), 2**20) for number in np.rint(p * (1 - p) * 2**20)]
        check_node(trees, tree, 0, list(range(len(rows.labels))), rows, edges, g, h, config)
        total += trees.weights[tree, trees.nodes(tree, rows.values)]


def check_node(trees, tree, node, here, rows, edges, g, h, config):
    def score(members):
        return sum((g[i] for i in members), Fraction(0)) ** 2 / (weight(members) + Fraction(config.l2))

    def weight(members):
        return sum((h[i] for i in members), Fraction(0))

    best, split = Fraction(0), None
    for feature in range(rows.values.shape[1]) if node < 3 else ():
        for missing_left in (False, True):
            for threshold in [*edges[feature][np.isfinite(edges[feature])], np.inf]:
                values = {i: rows.values[i, feature] for i in here}
                left = [i for i in here if (missing_left if np.isnan(values[i]) else values[i] <= threshold)]
                right = [i for i in here if i not in left]
                gain = (score(left) + score(right) - score(here)) / 2
                if min(weight(left), weight(right)) >= config.min_child_weight and gain > best:
                    best, split = gain, (feature, missing_left, threshold, left, right)
    if split is None:
        assert trees.features[tree, node] == -1
        leaf = -config.learning_rate * float(sum(g[i] for i in here) / (weight(here) + Fraction(config.l2)))
        assert trees.weights[tree, node] == pytest.approx(leaf, rel=1e-12)
        return
    feature, missing_left, threshold, left, right = split
    found = trees.features[tree, node], trees.missing_left[tree, node], trees.thresholds[tree, node]
    assert found == (feature, missing_left, threshold)
    check_node(trees, tree, 2 * node + 1, left, rows, edges, g, h, config)
    check_node(trees, tree, 2 * node + 2, right, rows, edges, g, h, config)


def test_of_equal_gains_the_lower_feature_then_missing_right_then_the_lower_threshold():
    column = np.repeat([1.0, 6.0], 10)
    labels = np.repeat([0, 1], 10)
    trees = fit([Rows(np.column_stack([column] * 4), labels)])
    assert trees.features[0, 0] == 0 and not trees.missing_left[0, 0]
    assert 1 < trees.thresholds[0, 0] < 6
    later = column.copy()
    later[5] = 6.0  # a worse column first: the better one wins in spite of its place
    assert fit([Rows(np.column_stack([later, column, column, column]), labels)]).features[0, 0] == 1


def test_missing_values_go_where_the_gain_is_larger_and_can_be_a_split_of_their_own():
    values = np.array([[1.0]] * 10 + [[6.0]] * 10 + [[np.nan]] * 10)
    one = TreeConfig(num_trees=1, depth=1, num_bins=2)  # no bin is left over
    for labels, left in (([0] * 10 + [1] * 20, False), ([0] * 10 + [1] * 10 + [0] * 10, True)):
        trees = fit([Rows(values, np.array(labels))], one, RANGES[:1])
        assert trees.missing_left[0, 0] == left and np.isfinite(trees.thresholds[0, 0])
        assert ((trees.predict_proba(values) > 0.5) == labels).all()
    labels = np.array([0, 1] * 10 + [1] * 10)
    trees = fit([Rows(values, labels)], one, RANGES[:1])
    assert trees.thresholds[0, 0] == np.inf and not trees.missing_left[0, 0]
    assert (trees.predict_proba(np.array([[np.nan], [1e9], [-1e9]])) > 0.5).tolist() == [True, False, False]


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_gives_leaves_alone(label):
    rows = table()
    trees = fit([Rows(rows.values, np.full(200, label))])
    assert (trees.features == -1).all()
    p = trees.predict_proba(rows.values)
    assert len(set(p)) == 1 and abs(p[0] - label) < 0.4
    assert trees.weights[0, 0] == pytest.approx((1 if label else -1) * 0.2 * 100 / (50 + 1))  # -eta G / (H + lambda)


def test_one_row():
    trees = fit([Rows(np.array([[1.0, np.nan, 3.0, 4.0]]), np.array([1]))])
    assert (trees.features == -1).all()
    assert trees.predict_proba(np.zeros((1, 4)))[0] > 0.5


def test_columns_that_say_nothing_are_never_split_by():
    rows = table(4)
    values = np.column_stack([np.full(200, np.nan), np.full(200, 3.0), rows.values[:, 0]])
    trees = fit([Rows(values, rows.labels)], ranges=RANGES[:3])
    assert set(trees.features.ravel()) == {-1, 2}
    assert (fit([Rows(values[:, :2], rows.labels)], ranges=RANGES[:2]).features == -1).all()


def test_min_child_weight_and_l2_do_what_they_say():
    rows = table(5)
    assert (fit([rows], replace(CONFIG, min_child_weight=26.0)).features == -1).all()  # of 200 / 4 in all
    assert (fit([rows], replace(CONFIG, min_child_weight=20.0)).features >= 0).any()
    strong = fit([rows], replace(CONFIG, l2=1e6))
    assert 0 < np.abs(strong.weights).max() < 1e-4


def test_a_question_brings_all_trees_so_sites_keep_nothing():
    asked_levels = []
    ask = in_process([table()], ANSWERS)

    def noted(name, asked):
        if name == GRADIENTS_IN_BINS:
            asked_levels.append((len(asked["features"]), int(asked["level"][0])))
            assert np.array_equal(ask(name, asked), ask(name, asked))
        return ask(name, asked)

    fit_trees(noted, RANGES, replace(CONFIG, num_trees=2, depth=2))
    assert asked_levels == [(1, 0), (1, 1), (2, 0), (2, 1)]


def test_a_value_at_a_threshold_goes_left_as_its_bin_does():
    trees = fit([table()])
    feature, threshold = trees.features[0, 0], trees.thresholds[0, 0]
    values = np.full((2, 4), 4.0)
    values[:, feature] = threshold, np.nextafter(threshold, 9)
    first = [node if node < 3 else (node - 1) // 2 for node in trees.nodes(0, values)]
    first = [node if node < 3 else (node - 1) // 2 for node in first]
    assert first == [1, 2]
    edges = bin_edges(in_process([table()], ANSWERS), RANGES, 8)
    assert np.diff(bin_of(values, edges)[:, feature]).tolist() == [1]


def test_a_prediction_of_one_row_is_that_among_many():
    rows = table(6)
    trees = fit([rows])
    alone = np.concatenate([trees.predict_proba(row[None]) for row in rows.values])
    assert np.array_equal(alone, trees.predict_proba(rows.values))


@pytest.mark.parametrize("seed", range(3))
def test_as_good_as_scikit_learns(seed):
    values, labels = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(labels))
    train, test = order[:400], order[400:]
    rows = Rows(values[train], labels[train].astype(np.int64))
    ranges = np.stack([np.zeros(30), 1.2 * values.max(axis=0)], axis=1)
    config = TreeConfig(num_trees=20)
    trees = fit(spread(rows, seed), config, ranges)
    assert trees == fit([rows], config, ranges)
    ours = ((trees.predict_proba(values[test]) > 0.5) == labels[test]).mean()
    theirs = HistGradientBoostingClassifier(max_iter=20, max_depth=2, learning_rate=0.2, min_samples_leaf=4)
    assert ours >= theirs.fit(rows.values, rows.labels).score(values[test], labels[test]) - 0.02
    assert ours > 0.9


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"num_trees": 0}, "num_trees must be a whole number >= 1, got 0"),
        ({"depth": 0}, "depth"),
        ({"depth": 9}, "depth must be <= 8, got 9"),
        ({"learning_rate": 0}, "learning_rate must be > 0 and <= 1, got 0"),
        ({"learning_rate": np.nan}, "learning_rate"),
        ({"l2": 0}, "l2 must be > 0, got 0"),
        ({"min_child_weight": -1}, "min_child_weight"),
        ({"num_bins": 32}, "num_bins must be <= 31"),
    ],
)
def test_settings_out_of_range(wrong, words):
    with pytest.raises(InputError, match=words):
        TreeConfig(**wrong)


@pytest.mark.parametrize("values", [np.zeros(4), np.zeros((2, 0)), np.full((2, 4), np.inf), np.zeros((2, 1))])
def test_values_that_cannot_be_predicted(values):
    with pytest.raises(InputError, match="values must"):
        fit([table()]).predict_proba(values)


def test_no_rows_at_all():
    with pytest.raises(InputError, match="at least one site must have rows"):
        fit([table().only([])])
