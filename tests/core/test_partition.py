"""Who holds which examples."""

import time

import numpy as np
import pytest
import torch

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.partition import (
    PARTITIONS,
    Shard,
    by_group,
    classes_per_client,
    dirichlet,
    feature_skew,
    iid,
    make_partition,
    parse_partition,
    quantity_skew,
    split_train_validation,
    trim_last_batch,
)

LABELS = np.random.default_rng(0).integers(10, size=5000)
EVERY_RULE = {
    "iid": lambda seed: iid(len(LABELS), 20, seed=seed),
    "dirichlet": lambda seed: dirichlet(LABELS, 20, alpha=0.3, seed=seed),
    "classes": lambda seed: classes_per_client(LABELS, 20, num_classes_each=2, seed=seed),
    "quantity": lambda seed: quantity_skew(len(LABELS), 20, alpha=0.5, seed=seed),
    "groups": lambda seed: by_group(np.random.default_rng(seed).integers(20, size=len(LABELS))),
}
every_rule = pytest.mark.parametrize("make", EVERY_RULE.values(), ids=EVERY_RULE)


def counts_of(parts, labels=LABELS):
    return np.array([np.bincount(labels[part], minlength=10) for part in parts])


@every_rule
def test_every_rule_gives_disjoint_sorted_parts_that_cover_the_data(make):
    parts = make(0)
    assert len(parts) == 20
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(LABELS)))
    for part in parts:
        assert part.dtype == np.int64 and (np.diff(part) > 0).all()


@every_rule
def test_every_rule_depends_on_its_seed_alone(make):
    state = np.random.get_state()[1].copy()
    first, again, other = make(0), make(0), make(1)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    np.testing.assert_array_equal(np.random.get_state()[1], state)


@pytest.mark.parametrize(
    "make",
    [
        lambda labels: iid(len(labels), 1000, seed=0),
        lambda labels: dirichlet(labels, 1000, alpha=0.5, seed=0, min_size=1),
        lambda labels: classes_per_client(labels, 1000, num_classes_each=2, seed=0),
        lambda labels: quantity_skew(len(labels), 1000, alpha=2, seed=0, min_size=1),
        lambda labels: by_group(np.arange(len(labels)) % 1000),
    ],
)
def test_50_000_examples_go_to_1_000_clients_in_a_second(make):
    labels = np.arange(50_000) % 10
    start = time.perf_counter()
    parts = make(labels)
    assert time.perf_counter() - start < 1
    assert len(parts) == 1000 and sum(map(len, parts)) == 50_000


@pytest.mark.parametrize(("examples", "clients"), [(10, 1), (10, 3), (10, 10), (1000, 7)])
def test_parts_are_disjoint_and_cover_the_data_equally(examples, clients):
    parts = iid(examples, clients, seed=0)
    assert len(parts) == clients
    assert sorted(np.concatenate(parts).tolist()) == list(range(examples))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    for part in parts:
        assert part.dtype == np.int64 and part.tolist() == sorted(part.tolist())


def test_parts_depend_on_the_seed_alone():
    state = np.random.get_state()[1].copy()
    first, again, other = (iid(100, 4, seed=seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_parts_are_a_random_mixture():
    first_half = [int((part < 5000).sum()) for part in iid(10_000, 10, seed=0)]
    assert all(400 < count < 600 for count in first_half), "6 standard deviations are 95"
    assert len(set(first_half)) > 1, "a deal in turns would give everyone the same"


@pytest.mark.parametrize("clients", [0, -1, 11])
def test_impossible_number_of_clients(clients):
    with pytest.raises(InputError, match=f"num_clients must be between 1 and the 10 training examples, got {clients}$"):
        iid(10, clients, seed=0)


@pytest.mark.parametrize(
    ("size", "fraction", "held_out"),
    [(10, 0.2, 2), (10, 0.25, 2), (2, 0.01, 1), (2, 0.99, 1), (3, 0.9, 2), (50, 0.5, 25)],
)
def test_validation_share_leaves_something_on_both_sides(size, fraction, held_out):
    part = np.arange(100, 100 + size)
    (shard,) = split_train_validation([part], validation_fraction=fraction, seed=0)
    assert (len(shard.train), len(shard.validation)) == (size - held_out, held_out)
    assert sorted([*shard.train, *shard.validation]) == part.tolist()
    assert shard.train.tolist() == sorted(shard.train) and shard.validation.tolist() == sorted(shard.validation)
    assert shard.train.dtype == shard.validation.dtype == np.int64


def test_every_client_keeps_its_own_examples():
    parts = iid(97, 5, seed=3)
    shards = split_train_validation(parts, validation_fraction=0.2, seed=0)
    for part, shard in zip(parts, shards, strict=True):
        assert sorted([*shard.train, *shard.validation]) == part.tolist()


def test_split_depends_on_the_seed_alone():
    parts = [np.arange(50), np.arange(50, 100)]
    first, again, other = (split_train_validation(parts, validation_fraction=0.5, seed=seed) for seed in (0, 0, 1))
    for a, b, c in zip(first, again, other, strict=True):
        assert np.array_equal(a.validation, b.validation) and not np.array_equal(a.validation, c.validation)
    assert not np.array_equal(first[0].validation, first[1].validation - 50), "clients must not share the draw"


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_impossible_validation_fraction(fraction):
    with pytest.raises(InputError, match=f"validation_fraction must be > 0 and < 1, got {fraction}$"):
        split_train_validation([np.arange(4)], validation_fraction=fraction, seed=0)


@pytest.mark.parametrize("smallest", [0, 1])
def test_client_with_too_few_examples_to_split(smallest):
    with pytest.raises(InputError, match=f"num_clients=2 leaves a client with {smallest}"):
        split_train_validation([np.arange(4), np.arange(smallest)], validation_fraction=0.5, seed=0)


def test_stratified_split_keeps_each_clients_mixture_of_classes():
    parts = dirichlet(LABELS, 20, alpha=0.3, seed=0)
    shards = split_train_validation(parts, validation_fraction=0.2, seed=0, labels=LABELS)
    for part, shard in zip(parts, shards, strict=True):
        assert sorted([*shard.train, *shard.validation]) == part.tolist()
        whole, held_out = (np.bincount(LABELS[indices], minlength=10) for indices in (part, shard.validation))
        assert np.abs(held_out - len(shard.validation) * whole / len(part)).max() < 1
        assert len(shard.validation) == round(0.2 * len(part))


MIXTURES = {  # sizes of classes, fraction, and what is held out of each class on average
    "one large and nine rare": ([82] + [2] * 9, 0.2, [16.4] + [0.4] * 9),
    "one large and twenty single ones": ([20] + [1] * 20, 0.25, [5] + [0.25] * 20),
    "single ones that largest remainders would never take": ([57, 1, 1, 1], 0.2, [11.4, 0.2, 0.2, 0.2]),
    "single ones that largest remainders would always take": ([8, 1, 1], 0.25, [1.6, 0.2, 0.2]),
    "no remainders": ([40, 30, 30], 0.1, [4, 3, 3]),
    "halves": ([3, 3, 3, 3], 0.5, [1.5] * 4),
    "two examples": ([1, 1], 0.5, [0.5, 0.5]),
    "one class": ([7], 0.3, [2]),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", MIXTURES)
def test_a_class_has_its_share_of_validation_in_every_draw_and_exactly_over_seeds(kind):
    sizes, fraction, expected = MIXTURES[kind]
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    draws = 2000
    held_out = np.array(
        [
            np.bincount(labels[shard.validation], minlength=len(sizes))
            for seed in range(draws)
            for shard in split_train_validation(
                [np.arange(len(labels))], validation_fraction=fraction, seed=seed, labels=labels
            )
        ]
    )
    assert (np.abs(held_out - expected) < 1).all()
    assert len(set(held_out.sum(axis=1))) == 1
    assert held_out.mean(axis=0) == pytest.approx(np.array(expected), abs=5 * 0.5 / np.sqrt(draws))


def test_every_example_of_a_class_is_validated_equally_often():
    labels = np.repeat([0, 1, 2], [30, 8, 2])
    taken = np.zeros(40)
    for seed in range(2000):
        (shard,) = split_train_validation([np.arange(40)], validation_fraction=0.2, seed=seed, labels=labels)
        taken[shard.validation] += 1
    assert taken / 2000 == pytest.approx(0.2, abs=0.05)


def test_clients_with_the_same_classes_do_not_share_the_draw():
    labels = np.tile([0, 1], 40)
    shards = split_train_validation([np.arange(40), np.arange(40, 80)], validation_fraction=0.5, seed=0, labels=labels)
    assert not np.array_equal(shards[0].validation, shards[1].validation - 40)


# Last batches ------------------------------------------------------------------------------


def shard_of(count):
    return Shard(train=np.arange(100, 100 + count), validation=np.arange(count, count + 3))


@pytest.mark.parametrize(
    ("count", "kept"),
    [
        (1, 1),
        (5, 5),
        (19, 19),
        (20, 20),
        (21, 20),
        (29, 20),
        (30, 30),
        (39, 39),
        (40, 40),
        (41, 40),
        (49, 40),
        (50, 50),
    ],
)
def test_less_than_half_a_batch_is_left_out_and_a_client_with_one_batch_keeps_all(count, kept):
    (shard,) = trim_last_batch([shard_of(count)], batch_size=20, seed=0)
    assert len(shard.train) == len(set(shard.train.tolist())) == kept
    assert set(shard.train) <= set(range(100, 100 + count))
    assert shard.train.tolist() == sorted(shard.train) and shard.train.dtype == np.int64
    assert shard.validation.tolist() == [count, count + 1, count + 2]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4, 5, 7, 16, 20, 21])
def test_no_last_batch_has_less_than_half_of_a_batch(batch_size):
    shards = trim_last_batch([shard_of(count) for count in range(1, 120)], batch_size=batch_size, seed=0)
    for count, shard in zip(range(1, 120), shards, strict=True):
        last = (len(shard.train) - 1) % batch_size + 1
        assert 2 * last >= batch_size or len(shard.train) == count < batch_size
        assert 2 * (count - len(shard.train)) < batch_size


def test_what_is_left_out_is_drawn_by_the_seed_and_the_shards_stay_as_they_are():
    shards = [shard_of(29), shard_of(29), shard_of(40)]
    first, again, other = (trim_last_batch(shards, batch_size=20, seed=seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a.train, b.train) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0].train, other[0].train)
    assert not np.array_equal(first[0].train, first[1].train), "clients must not share the draw"
    assert first[2] is shards[2] and [len(shard.train) for shard in shards] == [29, 29, 40]
    left_out = np.zeros(29)
    for seed in range(600):
        (shard,) = trim_last_batch([shard_of(29)], batch_size=20, seed=seed)
        left_out[np.setdiff1d(np.arange(29), shard.train - 100)] += 1
    assert left_out / 600 == pytest.approx(9 / 29, abs=0.1)


def test_trimming_twice_changes_nothing_more():
    once = trim_last_batch([shard_of(count) for count in (7, 29, 33, 60)], batch_size=20, seed=0)
    assert all(a is b for a, b in zip(once, trim_last_batch(once, batch_size=20, seed=1), strict=True))
    assert trim_last_batch([], batch_size=20, seed=0) == []


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, None, True])
def test_impossible_batch_size(batch_size):
    with pytest.raises(InputError, match=f"batch_size must be a whole number >= 1, got {batch_size}$"):
        trim_last_batch([shard_of(4)], batch_size=batch_size, seed=0)


# What is no partition ----------------------------------------------------------------------

CALLS = {
    "iid": lambda labels=LABELS, clients=20, seed=0: iid(len(labels), clients, seed=seed),
    "dirichlet": lambda labels=LABELS, clients=20, seed=0: dirichlet(labels, clients, alpha=1, seed=seed),
    "classes": lambda labels=LABELS, clients=20, seed=0: classes_per_client(
        labels, clients, num_classes_each=2, seed=seed
    ),
    "quantity": lambda labels=LABELS, clients=20, seed=0: quantity_skew(len(labels), clients, alpha=1, seed=seed),
    **{
        f"{name} by name": lambda labels=LABELS, clients=20, seed=0, name=name: make_partition(
            name, labels, clients, seed=seed
        )
        for name in PARTITIONS
    },
    "split": lambda labels=LABELS, clients=20, seed=0: split_train_validation(
        [np.arange(10)] * clients, validation_fraction=0.2, seed=seed, labels=labels
    ),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("seed", "sentence"),
    [
        (-1, "seed must be >= 0, got -1$"),
        (1.5, "seed must be a whole number, got 1.5$"),
        ("0", "seed must be a whole number, got '0'$"),
        (None, "seed must be a whole number, got None$"),
    ],
)
def test_a_seed_that_cannot_work(call, seed, sentence):
    with pytest.raises(InputError, match=sentence):
        CALLS[call](seed=seed)


@pytest.mark.parametrize("call", [call for call in CALLS if call != "split"])
@pytest.mark.parametrize("clients", [2.5, 2.0, float("nan"), "2"])
def test_a_number_of_clients_that_is_not_whole(call, clients):
    with pytest.raises(InputError, match="num_clients must be a whole number, got "):
        CALLS[call](clients=clients)


@pytest.mark.parametrize("call", [call for call in CALLS if call not in ("iid", "quantity")])
@pytest.mark.parametrize(
    ("labels", "got"),
    [
        (LABELS.reshape(2500, 2), "an array of shape \\(2500, 2\\)"),
        (np.where(np.arange(5000) == 7, np.nan, LABELS), "nan"),
        (np.where(np.arange(5000) == 7, np.inf, LABELS), "inf"),
        (LABELS + 0.5, r"\d.5"),
        (LABELS.astype(str), r"\d"),
        (np.array(3), r"an array of shape \(\)"),
    ],
    ids=["two dimensions", "nan", "inf", "halves", "texts", "one number"],
)
def test_labels_that_cannot_work(call, labels, got):
    with pytest.raises(InputError, match=f"labels must hold one whole number per example, got {got}$"):
        CALLS[call](labels=labels)


@pytest.mark.parametrize("call", [call for call in CALLS if "by name" in call or call in ("dirichlet", "classes")])
@pytest.mark.parametrize("kind", [np.float32, np.uint8, np.int32])
def test_labels_of_any_type_give_the_same_parts(call, kind):
    for part, same in zip(CALLS[call](), CALLS[call](labels=LABELS.astype(kind)), strict=True):
        np.testing.assert_array_equal(part, same)


@pytest.mark.parametrize("seed", [np.int64(3), np.uint8(3)])
def test_whole_numbers_of_numpy_are_whole_numbers(seed):
    for part, same in zip(iid(100, np.int64(4), seed=seed), iid(100, 4, seed=3), strict=True):
        np.testing.assert_array_equal(part, same)


def test_no_clients_to_split():
    with pytest.raises(InputError, match="parts must hold the examples of at least one client, got none$"):
        split_train_validation([], validation_fraction=0.2, seed=0)


@pytest.mark.parametrize("min_size", [2.5, 2.0, "2"])
def test_a_smallest_size_that_is_not_whole(min_size):
    for name in ("dirichlet", "quantity"):
        with pytest.raises(InputError, match="min_size must be a whole number, got "):
            make_partition(name, LABELS, 10, min_size=min_size, seed=0)


@pytest.mark.parametrize("number", [1.5, float("nan"), float("inf")])
def test_a_number_of_classes_that_is_not_whole(number):
    with pytest.raises(InputError, match=f"classes_per_client must be a whole number, got {number}$"):
        make_partition("pathological", LABELS, 10, seed=0, classes_per_client=number)


def test_a_seed_of_a_feature_skew():
    with pytest.raises(InputError, match="seed must be >= 0, got -1$"):
        feature_skew(IMAGES, PARTS, kind="noise", strength=1, seed=-1)


def test_groups_without_a_name():
    with pytest.raises(InputError, match="group_ids must hold one group per example, got nan$"):
        by_group(np.array([1.0, np.nan, 2.0]))


# Dirichlet --------------------------------------------------------------------------------


def test_dirichlet_is_close_to_iid_for_a_large_alpha_and_skewed_for_a_small_one():
    even, skewed = (counts_of(dirichlet(LABELS, 10, alpha=alpha, seed=0)) for alpha in (1e4, 0.1))
    assert even.min() > 40 and even.max() < 60
    assert (skewed == 0).mean() > 0.3
    shares = skewed / skewed.sum(axis=1, keepdims=True)
    assert shares.max(axis=1).mean() > 0.4


def test_dirichlet_proportions_have_the_mean_and_the_variance_of_the_distribution():
    """The first class is shared out before any client is full: its shares are Dir(alpha) exactly.

    A share of Dir_N(alpha) has mean 1/N and variance (1/N)(1 - 1/N) / (N alpha + 1).
    """
    alpha, clients = 0.7, 5
    labels = np.arange(20_000) % 10
    first = np.array(
        [counts_of(dirichlet(labels, clients, alpha=alpha, seed=seed, min_size=1), labels)[:, 0] for seed in range(400)]
    )
    shares = first / first.sum(axis=1, keepdims=True)
    variance = (1 / clients) * (1 - 1 / clients) / (clients * alpha + 1)
    assert shares.mean(axis=0) == pytest.approx(1 / clients, abs=0.04)
    assert shares.var() == pytest.approx(variance, rel=0.1)


def test_dirichlet_gives_nothing_more_to_a_client_that_has_an_equal_share():
    """Only the class with which a client passes its equal share can bring it above; the next ones give it nothing."""
    labels = np.arange(10_000) % 10
    for seed in range(20):
        counts = counts_of(dirichlet(labels, 10, alpha=0.1, seed=seed, min_size=1), labels)
        before = np.cumsum(counts, axis=1) - counts
        assert (counts[before >= 1000] == 0).all()


def test_dirichlet_meets_the_minimum_size():
    assert min(map(len, dirichlet(LABELS, 50, alpha=0.2, seed=0, min_size=20))) >= 20


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"alpha": 0}, "alpha must be > 0 and finite, got 0$"),
        ({"alpha": -1}, "alpha must be > 0 and finite, got -1$"),
        ({"alpha": float("nan")}, "alpha must be > 0 and finite, got nan$"),
        ({"alpha": float("inf")}, "alpha must be > 0 and finite, got inf$"),
        ({"num_clients": 0}, "num_clients must be between 1 and the 5000 training examples, got 0$"),
        ({"num_clients": 501}, "num_clients must be <= 500, since each client needs min_size=10 of the 5000"),
        ({"min_size": 0}, "min_size must be >= 1, got 0$"),
        (
            {"alpha": 0.001, "num_clients": 100},
            "min_size=10 could not be met in 200 draws of 100 clients with alpha=0.001",
        ),
    ],
)
def test_impossible_dirichlet(change, sentence):
    with pytest.raises(InputError, match=sentence):
        dirichlet(**({"labels": LABELS, "num_clients": 10, "alpha": 0.5, "seed": 0} | change))


# Classes per client -----------------------------------------------------------------------


@pytest.mark.parametrize(("clients", "each"), [(10, 1), (10, 2), (10, 3), (7, 2), (5, 2), (4, 3), (30, 2), (10, 10)])
def test_every_client_has_so_many_classes_and_every_class_an_owner(clients, each):
    for seed in range(10):
        counts = counts_of(classes_per_client(LABELS, clients, num_classes_each=each, seed=seed))
        np.testing.assert_array_equal((counts > 0).sum(axis=1), each)
        assert (counts > 0).any(axis=0).all()


def test_client_i_has_class_i_and_owners_share_equally():
    counts = counts_of(classes_per_client(LABELS, 10, num_classes_each=3, seed=0))
    assert (np.diag(counts) > 0).all()
    for of_class in counts.T:
        owned = of_class[of_class > 0]
        assert owned.max() - owned.min() <= 1


def test_labels_need_not_be_numbered_from_zero():
    labels = np.repeat([3, 7, 9], 20)
    parts = classes_per_client(labels, 3, num_classes_each=1, seed=0)
    assert [set(labels[part]) for part in parts] == [{3}, {7}, {9}]


@pytest.mark.parametrize(
    ("clients", "each", "sentence"),
    [
        (10, 0, "classes_per_client must be between 1 and the 10 classes of the data, got 0$"),
        (10, 11, "classes_per_client must be between 1 and the 10 classes of the data, got 11$"),
        (3, 2, "num_clients=3 with classes_per_client=2 have room for 6 of 10 classes"),
        (0, 2, "num_clients must be between 1 and the 5000"),
    ],
)
def test_impossible_classes_per_client(clients, each, sentence):
    with pytest.raises(InputError, match=sentence):
        classes_per_client(LABELS, clients, num_classes_each=each, seed=0)


def test_a_class_with_fewer_examples_than_owners():
    with pytest.raises(InputError, match="num_clients=9 gives class 2 with its 2 examples to 3 clients"):
        classes_per_client(np.array([0] * 50 + [1] * 50 + [2] * 2), 9, num_classes_each=1, seed=0)


# Quantity, groups, features ---------------------------------------------------------------


def test_quantity_skew_changes_sizes_and_not_mixtures():
    parts = quantity_skew(len(LABELS), 10, alpha=0.5, seed=1)
    sizes = np.array([len(part) for part in parts])
    assert sizes.max() > 5 * sizes.min() and sizes.min() >= 10
    shares = counts_of(parts)[sizes > 300] / sizes[sizes > 300, None]
    assert np.abs(shares - 0.1).max() < 0.06


@pytest.mark.parametrize(("alpha", "sentence"), [(0, "alpha must be > 0"), (0.001, "could not be met in 200 draws")])
def test_impossible_quantity_skew(alpha, sentence):
    with pytest.raises(InputError, match=sentence):
        quantity_skew(1000, 50, alpha=alpha, seed=0)


def test_groups_become_clients_in_the_order_of_their_names():
    parts = by_group(np.array(["b", "a", "c", "a", "b"]))
    assert [part.tolist() for part in parts] == [[1, 3], [0, 4], [2]]


@pytest.mark.parametrize("groups", [np.array([]), np.zeros((2, 2))])
def test_impossible_groups(groups):
    with pytest.raises(InputError, match="group_ids must hold one group per example"):
        by_group(groups)


IMAGES = torch.randint(256, (40, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
PARTS = [np.arange(0, 10), np.arange(10, 20), np.arange(20, 40)]


@pytest.mark.parametrize(("kind", "strength"), [("noise", 60), ("rotation", 40), ("brightness", 0.7)])
def test_feature_skew_grows_from_client_to_client_and_copies_nothing_else(kind, strength):
    before = IMAGES.clone()
    changed = feature_skew(IMAGES, PARTS, kind=kind, strength=strength, seed=0)
    assert torch.equal(IMAGES, before)
    assert changed.shape == IMAGES.shape and changed.dtype == torch.uint8
    change = [(changed[part].float() - IMAGES[part].float()).abs().mean().item() for part in PARTS]
    assert change[0] == 0 < change[1] < change[2]
    assert torch.equal(changed, feature_skew(IMAGES, PARTS, kind=kind, strength=strength, seed=0))


def test_brightness_and_noise_are_what_they_say():
    dark = feature_skew(IMAGES, PARTS, kind="brightness", strength=0.5, seed=0)
    assert torch.equal(dark[20:], (IMAGES[20:].float() / 2).round().to(torch.uint8))
    grey = torch.full((60, 1, 20, 20), 128, dtype=torch.uint8)
    noisy = feature_skew(grey, [np.arange(0), np.arange(60)], kind="noise", strength=20, seed=0).float()
    assert noisy.mean().item() == pytest.approx(128, abs=0.5) and noisy.std().item() == pytest.approx(20, rel=0.03)


@pytest.mark.parametrize(
    ("kind", "strength", "sentence"),
    [
        ("blur", 1, "kind must be 'noise', 'rotation', 'brightness', got 'blur'"),
        ("noise", -1, "strength must be >= 0 and finite, got -1"),
        ("noise", float("nan"), "strength must be >= 0 and finite, got nan"),
        ("brightness", 1.5, "strength must be between 0 and 1, got 1.5"),
    ],
)
def test_impossible_feature_skew(kind, strength, sentence):
    with pytest.raises(InputError, match=sentence):
        feature_skew(IMAGES, PARTS, kind=kind, strength=strength, seed=0)


# By name ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "direct"),
    [
        ("iid", lambda: iid(len(LABELS), 10, seed=4)),
        ("dirichlet:0.3", lambda: dirichlet(LABELS, 10, alpha=0.3, seed=4)),
        ("pathological:3", lambda: classes_per_client(LABELS, 10, num_classes_each=3, seed=4)),
        ("quantity:2", lambda: quantity_skew(len(LABELS), 10, alpha=2, seed=4)),
    ],
)
def test_a_name_gives_the_partition_of_its_function(text, direct):
    named = parse_partition(text).make(LABELS, 10, seed=4)
    assert all(np.array_equal(a, b) for a, b in zip(named, direct(), strict=True))


def test_every_rule_takes_its_own_number_out_of_all_that_are_given():
    numbers = {rule.argument: rule.default + 1 for rule in PARTITIONS.values() if rule.argument is not None}
    assert len(numbers) > 1
    for rule in PARTITIONS.values():
        named = make_partition(rule.name, LABELS, 10, seed=4, **numbers)
        direct = rule.make(LABELS, 10, 0 if rule.argument is None else numbers[rule.argument], 10, 4)
        assert all(np.array_equal(a, b) for a, b in zip(named, direct, strict=True))
    with pytest.raises(InputError, match=f"numbers must be among {', '.join(sorted(numbers))}, got 'beta'"):
        make_partition("iid", LABELS, 10, seed=4, beta=1)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("even", f"partition must be one of {', '.join(PARTITIONS)}, got 'even'"),
        ("iid:3", "partition iid takes no number, got 'iid:3'"),
        ("dirichlet", "partition must look like dirichlet:alpha, with a number > 0, got 'dirichlet'"),
        ("dirichlet:x", "partition must look like dirichlet:alpha"),
        ("dirichlet:-1", "partition must look like dirichlet:alpha"),
        ("pathological:1.5", "partition must look like pathological:classes_per_client"),
        ("quantity:nan", "partition must look like quantity:alpha"),
    ],
)
def test_a_partition_that_cannot_be_read(text, sentence):
    with pytest.raises(InputError, match=sentence):
        parse_partition(text)


def test_an_unknown_name():
    known = ", ".join(map(repr, PARTITIONS))
    with pytest.raises(InputError, match=f"partition must be {known}, got 'even'"):
        make_partition("even", LABELS, 3, seed=0)
