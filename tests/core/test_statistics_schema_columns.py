"""A schema's columns as statistics need them."""

import numpy as np
import pytest

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.statistics.answers import ANSWERS
from fedlearn_helpers.statistics.asking import in_process
from fedlearn_helpers.statistics.imputing import preparation
from fedlearn_helpers.statistics.schema_columns import columns_of, ranges_of
from fedlearn_helpers.tables import HEART, Column, Schema, SiteTable, impute, load_heart


def test_no_decimal_of_the_hospitals_is_lost():
    pooled = np.concatenate([site.values for site in load_heart()])
    for column in columns_of(HEART):
        values = pooled[:, column.place]
        values = values[~np.isnan(values)]
        if hasattr(column, "step"):
            assert np.allclose(np.rint(values / column.step) * column.step, values, rtol=0, atol=1e-9)
            assert (values >= column.low).all() and (values <= column.high).all()
        else:
            assert set(values) <= set(column.codes)


def test_a_preparation_of_all_columns_is_that_of_numpy():
    sites = load_heart()
    pooled = np.concatenate([site.values for site in sites])
    prepared = preparation(in_process(sites, ANSWERS), columns_of(HEART))
    for place, column in enumerate(HEART.columns):
        if column.kind == "number":
            assert prepared.means[place] == pytest.approx(np.nanmean(pooled[:, place]), abs=1e-6)
            assert prepared.deviations[place] == pytest.approx(np.nanstd(pooled[:, place]), rel=1e-6)


@pytest.mark.parametrize("highest", [0.6, 0.7, 1.1, 2.3, 7.8])
def test_a_median_on_the_limit_is_a_value_that_the_schema_allows(highest):
    schema = Schema((Column("fio2", "number", lowest=0.21, highest=highest),), Column("died", "yes-no"))
    site = SiteTable("Basel", schema, [[highest], [highest], [np.nan], [0.3]], [0, 1, 0, 1])
    fill = preparation(in_process([site], ANSWERS), columns_of(schema)).fill
    assert impute(site, fill).values[2, 0] <= highest
    assert fill[0] == pytest.approx(highest, abs=1e-12)


def test_ranges_are_those_of_the_schema():
    ranges = ranges_of(HEART)
    assert ranges.shape == (13, 2) and (ranges[:, 0] < ranges[:, 1]).all()
    assert ranges[0].tolist() == [18, 110] and ranges[1].tolist() == [0, 1] and ranges[2].tolist() == [1, 4]


@pytest.mark.parametrize("limits", [{}, {"lowest": 0.0}, {"lowest": 1.0, "highest": 1.0}])
def test_a_number_without_a_range_is_refused_by_name(limits):
    schema = Schema((Column("weight", "number", **limits),), Column("ill", "yes-no"))
    with pytest.raises(InputError, match="lowest and highest of weight must be finite"):
        columns_of(schema)


@pytest.mark.parametrize("highest", [1e160, 1e-200])
def test_a_range_without_a_usable_step_is_refused_by_name(highest):
    schema = Schema((Column("weight", "number", lowest=0, highest=highest),), Column("ill", "yes-no"))
    with pytest.raises(InputError, match="step of weight must be a number from 1e-100 to 1e100, got 1e"):
        columns_of(schema)
