"""Histograms, counts by codes, cross tables: those of pooled data."""

import numpy as np
import pytest
from made_up_sites import NUMBERS, MadeUpSite, made_up_sites, pooled, regrouped

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.statistics.answers import ANSWERS
from fedlearn_helpers.statistics.asking import ask_sites, in_process
from fedlearn_helpers.statistics.columns import LABELS, Category
from fedlearn_helpers.statistics.groups import cross_table, frequencies, prevalence
from fedlearn_helpers.statistics.histograms import histograms

EDGES = {"column 0": np.array([-5.0, 0, 10, 12.5, 40]), "column 1": [0, 1, 2]}
CODE, LABEL = Category(1, "code", (2, 0, 1)), Category(LABELS, "label", (0, 1))


def test_histograms():
    sites = made_up_sites(1)
    values = pooled(sites).values
    secure, _ = ask_sites(lambda ask: histograms(ask, NUMBERS[:2], EDGES), sites, ANSWERS, secure=3)
    for found in (histograms(in_process(regrouped(sites, 0), ANSWERS), NUMBERS[:2], EDGES), secure):
        assert list(found) == list(EDGES)
        for place, (name, edges) in enumerate(EDGES.items()):
            column = values[~np.isnan(values[:, place]), place]
            one = found[name]
            assert one.counts.tolist() == np.histogram(column, edges)[0].tolist()
            assert one.counts.dtype == np.int64
            assert one.below == (column < edges[0]).sum()
            assert one.above == (column > edges[-1]).sum()
            assert one.missing == np.isnan(values[:, place]).sum()
            assert one.counts.sum() + one.below + one.above + one.missing == len(values)
    assert secure["column 1"].above > 0  # the 3s; and the 2s are in the last bin


@pytest.mark.parametrize("edges", [[1], [1, 1], [2, 1], [0, np.nan], [0, np.inf], [[0, 1]]])
def test_edges_must_rise(edges):
    ask = in_process(made_up_sites(), ANSWERS)
    with pytest.raises(InputError, match="edges of column 0 must be at least two finite numbers in rising order"):
        histograms(ask, NUMBERS[:1], {"column 0": edges})
    with pytest.raises(InputError, match="edges must have those of column 1, got column 0"):
        histograms(ask, NUMBERS[1:2], {"column 0": [0, 1]})


def test_frequencies():
    sites = made_up_sites(2)
    column = pooled(sites).values[:, 1]
    code, label = frequencies(in_process(sites, ANSWERS), [CODE, LABEL])
    assert code.counts.tolist() == [(column == one).sum() for one in (2, 0, 1)]
    assert code.other == (column == 3).sum() > 0
    assert code.missing == np.isnan(column).sum() > 0
    assert (label.counts.sum(), label.other, label.missing) == (len(column), 0, 0)
    with pytest.raises(InputError, match="code must have no values but its codes"):
        code.most_frequent()


@pytest.mark.parametrize(("values", "expected"), [([3, 1, 3], 3), ([3, 1], 1), ([np.nan, 2], 2)])
def test_the_most_frequent_code_is_the_smallest_of_several(values, expected):
    site = MadeUpSite("a", np.array(values, float)[:, None], np.zeros(len(values)))
    (found,) = frequencies(in_process([site], ANSWERS), [Category(0, "x", (3, 2, 1))])
    assert found.most_frequent() == expected


def test_a_code_that_nobody_has_measured_has_no_most_frequent():
    site = MadeUpSite("a", np.full((2, 1), np.nan), np.zeros(2))
    (found,) = frequencies(in_process([site], ANSWERS), [Category(0, "thal", (3, 6))])
    with pytest.raises(InputError, match="got no value of thal"):
        found.most_frequent()


def test_cross_tables_and_prevalence():
    sites = made_up_sites(3)
    rows = pooled(sites)
    table = cross_table(in_process(regrouped(sites, 1), ANSWERS), [LABEL, CODE])
    assert table.shape == (3, 4)
    assert table.sum() == len(rows.labels)
    for i, label in enumerate(LABEL.codes):
        for j, code in enumerate(CODE.codes):
            assert table[i, j] == ((rows.labels == label) & (rows.values[:, 1] == code)).sum()
    assert table[0, -1] == ((rows.labels == 0) & ~np.isin(rows.values[:, 1], CODE.codes)).sum() > 0
    found = prevalence(in_process(sites, ANSWERS), LABEL, 1, CODE)
    assert found.cases.tolist() == table[1, :3].tolist()
    assert found.rows.tolist() == table[:2, :3].sum(axis=0).tolist()
    assert found.shares().tolist() == [rows.labels[rows.values[:, 1] == code].mean() for code in CODE.codes]
    three, _ = ask_sites(lambda ask: cross_table(ask, [LABEL, CODE, CODE]), sites, ANSWERS, secure=3)
    assert three.sum() == table.sum()
    assert (np.diagonal(three, axis1=1, axis2=2) == table).all()


def test_bad_categories():
    ask = in_process(made_up_sites(), ANSWERS)
    for statistic in (frequencies, cross_table):
        with pytest.raises(InputError, match="categories must be at least one column"):
            statistic(ask, [])
    with pytest.raises(InputError, match="positive must be one of the codes"):
        prevalence(ask, LABEL, 2, CODE)
    with pytest.raises(InputError, match="every group must have rows with a known label, got none where code is 9"):
        prevalence(ask, LABEL, 1, Category(1, "code", (0, 9))).shares()
    for codes in ((), (1, 1), (1, np.nan)):
        with pytest.raises(InputError, match="codes of sex must be"):
            Category(0, "sex", codes)
