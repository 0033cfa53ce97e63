"""Tables: four hospitals as they were published, the schema's checks, features, splits."""

import hashlib
import re

import numpy as np
import pytest
import torch

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.tables import (
    HEART,
    Column,
    Schema,
    SiteTable,
    Standardizer,
    check_site,
    feature_names,
    impute,
    load_heart,
    model_inputs,
    new_logistic_regression,
    new_small_network,
    split_site,
)
from fedlearn_helpers.tables.heart import EMBEDDED, FILES, NOTICE

NAMES = ["Cleveland", "Hungary", "Switzerland", "VA Long Beach"]
NAN = np.nan

# The four hospitals -----------------------------------------------------------------------


def test_hospitals_have_their_rows_and_their_prevalence():
    sites = load_heart()
    assert [site.name for site in sites] == NAMES
    assert [len(site) for site in sites] == [303, 294, 123, 200]
    assert [int(site.labels.sum()) for site in sites] == [139, 106, 115, 149]
    assert [round(site.labels.mean(), 3) for site in sites] == [0.459, 0.361, 0.935, 0.745]
    for site in sites:
        assert site.values.dtype == np.float64 and site.labels.dtype == np.int64
        assert site.values.shape == (len(site), 13) and site.schema == HEART


def complete_without(sites, *columns):
    kept = [name for name in HEART.names if name not in columns]
    return [int((~np.isnan(site.only(kept).values)).all(axis=1).sum()) for site in sites]


def test_complete_rows_are_flambys_where_a_cholesterol_of_0_counts():
    """FLamby drops slope, ca and thal, then every row with a "?" in another column, and leaves zeros as they are."""
    raw = load_heart(keep_zeros=True)
    assert complete_without(raw, "slope", "ca", "thal") == [303, 261, 46, 130]
    assert complete_without(raw) == [297, 1, 0, 1]
    assert complete_without(load_heart(), "slope", "ca", "thal") == [303, 261, 0, 97], "without zeros none is Swiss"


def test_zeros_that_mean_missing():
    raw, clean = load_heart(keep_zeros=True), load_heart()
    assert (raw[2].column("chol") == 0).all() and np.isnan(clean[2].column("chol")).all()
    for name, zeros in (("chol", [0, 0, 123, 49]), ("trestbps", [0, 0, 0, 1])):
        assert [int((site.column(name) == 0).sum()) for site in raw] == zeros
        before, after = ([int(np.isnan(site.column(name)).sum()) for site in sites] for sites in (raw, clean))
        assert np.subtract(after, before).tolist() == zeros and not any(
            (site.column(name) == 0).any() for site in clean
        )
    assert (clean[0].column("ca") == 0).sum() == 176, "no vessel is a number"


def test_every_value_of_the_hospitals_fits_the_schema():
    for site in load_heart():
        assert not [found for found in check_site(site, HEART) if found.is_error]
    raw = {site.name: [str(f) for f in check_site(site, HEART) if f.is_error] for site in load_heart(keep_zeros=True)}
    assert raw["Cleveland"] == raw["Hungary"] == []
    says = "row 2, chol: must be 50 to 700 mg/dl, got 0 (and in 122 more rows); 0 stands for a missing value"
    assert raw["Switzerland"] == [says]
    assert len(raw["VA Long Beach"]) == 2


def test_embedded_files_are_those_of_the_notice():
    notice = (EMBEDDED / NOTICE).read_text()
    found = dict(re.findall(r"^([0-9a-f]{64})  (\S+)$", notice, flags=re.MULTILINE))
    assert sorted(found.values()) == sorted(FILES.values()) == sorted(path.name for path in EMBEDDED.glob("*.data"))
    for digest, name in found.items():
        assert hashlib.sha256((EMBEDDED / name).read_bytes()).hexdigest() == digest
    for word in ("Janosi", "Steinbrunn", "Pfisterer", "Detrano", "CC BY 4.0", "unchanged"):
        assert word in notice


# Schema and site --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Column("", "number"), "name of a column must be a text without spaces around it, got ''"),
        (lambda: Column(" a", "number"), "name of a column"),
        (lambda: Column("a", "text"), "kind of column 'a' must be 'number', 'category', 'yes-no', got 'text'"),
        (lambda: Column("a", "number", lowest=2, highest=1), "lowest of column 'a' must be <= 1, got 2"),
        (lambda: Column("a", "number", lowest=NAN), "lowest of column 'a'"),
        (lambda: Column("a", "category"), "allowed of column 'a' must be the codes of a category"),
        (lambda: Column("a", "number", allowed=(1,)), "allowed of column 'a'"),
        (lambda: Column("a", "category", allowed=(1, 1)), "allowed of column 'a'"),
        (lambda: Column("a", "category", allowed=(1, NAN)), "allowed of column 'a' must be finite numbers"),
        (lambda: Column("a", "yes-no", lowest=0), "lowest, highest and other_units of column 'a' must be left out"),
        (
            lambda: Column("a", "category", allowed=(1, 2), highest=2),
            "of column 'a' must be left out, .* kind 'category'",
        ),
        (lambda: Column("a", "yes-no", other_units=(("g", 1),)), "of column 'a' must be left out, .* kind 'yes-no'"),
        *(
            (
                lambda factor=factor: Column("a", "number", other_units=(("g", 2), ("t", factor))),
                "factor of 't' of column 'a' must be a number > 0, got",
            )
            for factor in (0, -1, NAN, np.inf, "2")
        ),
        (lambda: Column("a", "yes-no", zero_means_missing=True), "zero_means_missing of column 'a' must be False"),
        (lambda: Schema((), HEART.label), "columns must have at least one column"),
        (lambda: Schema((Column("disease", "number"),), HEART.label), "columns must have names of their own"),
        (lambda: Schema(HEART.columns, Column("stage", "number")), "label must be of kind 'yes-no', got 'number'"),
        (lambda: HEART.only(["age", "weight"]), "column must be 'age', 'sex'.*, got 'weight'"),
        (lambda: HEART.only([]), "columns must have at least one"),
        (lambda: HEART.only(["age", "age"]), "got 'age' twice"),
    ],
)
def test_a_schema_that_cannot_be_is_refused(make, says):
    with pytest.raises(InputError, match=says):
        make()


AGE = Schema((Column("age", "number", unit="years", lowest=0, highest=120),), HEART.label)


@pytest.mark.parametrize(
    ("values", "labels", "says"),
    [
        ([[1.0], [2.0]], [0, NAN], "labels of 'Basel' must be 0 or 1, got nan"),
        ([[1.0], [2.0]], [0, 2], "labels of 'Basel' must be 0 or 1, got 2"),
        ([[1.0], [2.0]], ["yes", "no"], "labels of 'Basel' must be 0 or 1, got yes"),
        ([[1.0]], [0, 1], re.escape("values of 'Basel' must be of shape (2, 1), got (1, 1)")),
        ([[1.0, 2.0], [1.0, 2.0]], [0, 1], re.escape("must be of shape (2, 1), got (2, 2)")),
        ([[1.0], [np.inf]], [0, 1], "values of 'Basel' must be finite or NaN, got inf in 'age'"),
        ([["old"], ["young"]], [0, 1], "values of 'Basel' must be numbers"),
        (np.empty((0, 1)), [], "labels of 'Basel' must be 0 or 1, one for each row"),
    ],
)
def test_a_table_that_cannot_be_is_refused(values, labels, says):
    with pytest.raises(InputError, match=says):
        SiteTable("Basel", AGE, values, labels)


@pytest.mark.parametrize("name", ["", " ", "a ", "a\nb", "a\0", "\udcff", "Zu\u0308rich", None, 3])
def test_names_that_cannot_be_printed_are_refused(name):
    with pytest.raises(InputError, match="name of a site must be printable text"):
        SiteTable(name, AGE, [[1.0]], [1])


def test_a_table_is_a_copy_that_nobody_changes():
    values, labels = np.array([[1.0], [2.0]]), np.array([0, 1])
    site = SiteTable("Zürich 北", AGE, values, labels)
    values[:], labels[:] = 9.0, 1
    assert site.values.tolist() == [[1.0], [2.0]] and site.labels.tolist() == [0, 1]
    for array in (site.values, site.labels, site.rows(np.array([True, False])).values):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 5


def test_units_are_recognized_by_the_median():
    site = load_heart()[0]
    chol = HEART.position("chol")
    values = site.values.copy()
    values[:, chol] /= 38.67
    (error,) = (f for f in check_site(SiteTable("Basel", HEART, values, site.labels), HEART) if f.is_error)
    says = "must be in mg/dl, 50 to 700 mg/dl, got a median of 6.23222, which is plausible in mmol/l: multiply by 38.67"
    assert (error.column, error.says, error.row) == ("chol", says, None)
    values[:, chol] = 5000.0
    (error,) = (f for f in check_site(SiteTable("Basel", HEART, values, site.labels), HEART) if f.is_error)
    assert str(error) == "row 2, chol: must be 50 to 700 mg/dl, got 5000 (and in 302 more rows)"
    values[:, chol] = site.column("chol")
    values[4, chol] = 5.9  # one row does not make a unit
    (error,) = (f for f in check_site(SiteTable("Basel", HEART, values, site.labels), HEART) if f.is_error)
    assert str(error) == "row 6, chol: must be 50 to 700 mg/dl, got 5.9"


def test_a_table_is_compared_with_the_schema_of_the_others():
    site = load_heart()[0]
    (error,) = check_site(site.only(["age", "sex"]), HEART.only(["age", "sex", "cp"]))
    assert error.is_error and error.says == "lacks the column 'cp'"
    (error,) = check_site(site.only(["age", "sex"]), AGE)
    assert error.says == "has the unknown column 'sex'; those of the schema are age"
    assert check_site(site.only(["sex", "age"]), HEART.only(["age", "sex"])) == [], "in any order"
    old = SiteTable("Basel", AGE, [[130.0], [NAN], [50.0]], [1, 1, 1])
    assert [(str(found), found.is_error) for found in check_site(old, AGE)] == [
        ("row 2, age: must be 0 to 120 years, got 130", True),
        ("age: 1 of 3 missing (33.3%)", False),
        ("disease: all 3 labels are 1", False),
    ]
    nothing = SiteTable("Basel", AGE, [[NAN]], [1])
    assert [f.says for f in check_site(nothing, AGE) if f.is_error] == ["has no value in any column"]


# Splits -----------------------------------------------------------------------------------


def test_a_split_has_every_row_once_and_each_class_by_its_share():
    for site in load_heart():
        for seed in range(5):
            train, test = split_site(site, 0.25, seed)
            assert len(train) + len(test) == len(site) and len(test) == round(0.25 * len(site))
            together = np.concatenate([np.c_[part.values, part.labels] for part in (train, test)])
            expected = np.c_[site.values, site.labels]
            np.testing.assert_array_equal(sorted(map(tuple, np.nan_to_num(together, nan=-99).tolist())),
                                          sorted(map(tuple, np.nan_to_num(expected, nan=-99).tolist())))  # fmt: skip
            assert abs(test.labels.sum() - site.labels.mean() * len(test)) < 1


def test_a_split_depends_on_name_and_seed_alone():
    cleveland, hungary, *_ = load_heart()
    again = split_site(load_heart()[0], 0.25, 3)[1]
    np.testing.assert_array_equal(split_site(cleveland, 0.25, 3)[1].values, again.values)
    others = (
        split_site(cleveland, 0.25, 4),
        split_site(SiteTable("Basel", HEART, cleveland.values, cleveland.labels), 0.25, 3),
    )
    for _, other in others:
        assert not np.array_equal(other.values, again.values, equal_nan=True)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, NAN, "0.2", None])
def test_a_fraction_that_is_none_is_refused(fraction):
    with pytest.raises(InputError, match="test_fraction must be > 0 and < 1"):
        split_site(load_heart()[0], fraction, 0)


def test_a_split_needs_a_seed_and_two_rows():
    with pytest.raises(InputError, match="seed must be >= 0, got -1"):
        split_site(load_heart()[0], 0.2, -1)
    with pytest.raises(InputError, match="site must have at least 2 rows.*got 1 in 'Basel'"):
        split_site(SiteTable("Basel", AGE, [[1.0]], [1]), 0.2, 0)
    train, test = split_site(SiteTable("Basel", AGE, [[1.0], [2.0]], [1, 1]), 0.01, 0)
    assert len(train) == len(test) == 1


# Features ---------------------------------------------------------------------------------

SMALL = Schema(
    (
        Column("age", "number", lowest=0, highest=120),
        Column("sex", "yes-no"),
        Column("stage", "category", allowed=(1, 2, 4)),
    ),
    HEART.label,
)
FILL = np.array([50.0, 0.25, 2.0])


def small():
    return SiteTable("Basel", SMALL, [[60.0, 1.0, 4.0], [NAN, NAN, NAN], [40.0, 0.0, 1.0]], [1, 0, 1])


def scale(means=(50.0, NAN, NAN), deviations=(10.0, NAN, NAN), schema=SMALL):
    return Standardizer(schema, np.array(means), np.array(deviations))


def test_features_by_hand():
    inputs = model_inputs(small(), fill=FILL, standardizer=scale(), missing_indicators=["stage", "age"])
    assert feature_names(SMALL, ["stage", "age"]) == (
        "age", "sex", "stage = 1", "stage = 2", "stage = 4", "stage missing", "age missing",
    )  # fmt: skip
    assert inputs.dtype == np.float32
    assert inputs.tolist() == [
        [1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0],
        [0.0, 0.25, 0.0, 1.0, 0.0, 1.0, 1.0],
        [-1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
    ]
    assert model_inputs(small(), fill=FILL, standardizer=scale()).tolist() == inputs[:, :5].tolist()


def test_standardized_by_its_own_statistics_means_are_0_and_deviations_1():
    cleveland = load_heart()[0].only(["age", "thalach"])
    values = cleveland.values
    standardizer = Standardizer(cleveland.schema, values.mean(axis=0), values.std(axis=0))
    inputs = model_inputs(cleveland, fill=values.mean(axis=0), standardizer=standardizer)
    np.testing.assert_allclose(inputs.mean(axis=0), 0.0, atol=1e-6)
    np.testing.assert_allclose(inputs.std(axis=0), 1.0, atol=1e-6)


def test_rows_to_test_on_decide_nothing():
    """A row has the same features whatever rows are beside it."""
    site, every = small(), {"fill": FILL, "standardizer": scale()}
    together = model_inputs(site, **every)
    for row in range(3):
        np.testing.assert_array_equal(model_inputs(site.rows(np.array([row])), **every)[0], together[row])


def test_nothing_is_changed_in_place():
    site, means, deviations, fill = small(), np.array([50.0, 0, 0]), np.array([10.0, 1, 1]), FILL.copy()
    standardizer = Standardizer(SMALL, means, deviations)
    inputs = model_inputs(site, fill=fill, standardizer=standardizer)
    np.testing.assert_array_equal(site.values, small().values)
    assert (means.tolist(), deviations.tolist(), fill.tolist()) == ([50, 0, 0], [10, 1, 1], FILL.tolist())
    means[:] = fill[:] = 7.0
    np.testing.assert_array_equal(model_inputs(site, fill=FILL, standardizer=standardizer), inputs)
    assert inputs.flags.writeable


@pytest.mark.parametrize(
    ("fill", "says"),
    [
        ([NAN, 0, 1], "fill must be 0 to 120 for 'age', got nan"),
        ([np.inf, 0, 1], "fill must be 0 to 120 for 'age', got inf"),
        ([121, 0, 1], "for 'age', got 121"),
        ([50, 1.5, 1], re.escape("fill must be in [0, 1] for 'sex', got 1.5")),
        ([50, NAN, 1], re.escape("fill must be in [0, 1] for 'sex', got nan")),
        ([50, 1, 3], "fill must be one of 1, 2, 4 for 'stage', got 3"),
        ([50, 1], re.escape("fill must be of shape (3,), one for each column, got (2,)")),
        (["a", "b", "c"], "fill must be numbers"),
    ],
)
def test_fill_values_that_cannot_be_are_refused(fill, says):
    with pytest.raises(InputError, match=says):
        impute(small(), np.array(fill))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"means": (NAN, 0, 0)}, "means must be finite, got nan for 'age'"),
        ({"deviations": (0, 1, 1)}, "deviations must be > 0 and finite, got 0 for 'age'"),
        ({"deviations": (-1, 1, 1)}, "deviations must be > 0"),
        ({"deviations": (NAN, 1, 1)}, "deviations must be > 0"),
        ({"deviations": (np.inf, 1, 1)}, "deviations must be > 0"),
        ({"means": (1, 2)}, re.escape("means must be of shape (3,)")),
    ],
)
def test_statistics_that_cannot_be_are_refused(arguments, says):
    with pytest.raises(InputError, match=says):
        scale(**arguments)


def test_features_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="standardizer must be of the schema of site 'Basel'"):
        model_inputs(small(), fill=FILL, standardizer=scale((0,), (1,), AGE))
    with pytest.raises(InputError, match="column must be 'age', 'sex', 'stage', got 'weight'"):
        model_inputs(small(), fill=FILL, standardizer=scale(), missing_indicators=["weight"])
    with pytest.raises(InputError, match="stage of 'Basel' must be one of 1, 2, 4, got 3"):
        model_inputs(SiteTable("Basel", SMALL, [[1.0, 1.0, 3.0]], [1]), fill=FILL, standardizer=scale())
    with pytest.raises(InputError, match="features of 'Basel' must be finite in float32, got others for 'age'"):
        model_inputs(small(), fill=FILL, standardizer=scale(deviations=(1e-45, 1, 1)))


# Models -----------------------------------------------------------------------------------


def test_models_depend_on_their_seed_alone():
    for new_model, shapes in (
        (new_logistic_regression, [(2, 5), (2,)]),
        (new_small_network, [(16, 5), (16,), (2, 16), (2,)]),
    ):
        first, again, other = (list(new_model(5, seed).parameters()) for seed in (1, 1, 2))
        assert [tuple(weights.shape) for weights in first] == shapes
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
        assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))
        with pytest.raises(InputError, match="num_features must be a whole number >= 1, got 0"):
            new_model(0, 1)
