"""The table of paired differences that notebooks show."""

import pytest

from fedlearn_helpers.lessons.common.verdicts import verdicts


def test_a_row_has_the_points_of_each_seed_their_mean_and_the_verdict():
    table = verdicts({("own", "a"): [0.01, 0.011, 0.012], ("own", "b"): [0.1, -0.1, 0.03]}, (4, 5, 6)).data
    assert table.columns.tolist() == ["seed 4", "seed 5", "seed 6", "mean", "clear?"]
    assert table.index.tolist() == [("own", "a"), ("own", "b")]
    assert table.iloc[0, :4].tolist() == pytest.approx([1.0, 1.1, 1.2, 1.1])
    assert table["clear?"].tolist() == ["clear", "not clear"]


def test_with_one_seed_nothing_is_clear():
    table = verdicts({"a": [0.5]}, (0,))
    assert table.data["clear?"].tolist() == ["not clear"] and "+50.0" in table.to_html()
