"""The figure of `fedlearn sweep`."""

import numpy as np
import pandas as pd
import pytest

from fedlearn_helpers import plots
from workbook_tools.execution.sweep_figure import draw_sweep


def test_a_sweep_shows_means_ranges_and_every_seed():
    table = pd.DataFrame(
        {
            "alpha": [0.1, 0.1, 10, 10] * 2,
            "partition": ["x"] * 4 + ["y"] * 4,
            "fedavg_test_accuracy": [0.2, 0.4, 0.6, 0.8] * 2,
            "rounds": [1, 2, 3, float("nan")] * 2,
        }
    )
    figure = draw_sweep(table, "alpha", ["fedavg_test_accuracy", "rounds"], ["partition"])
    assert [axis.get_title() for axis in figure.axes] == ["partition = x", "partition = y"]
    axis = figure.axes[0]
    assert axis.get_xscale() == "log" and axis.get_xlabel() == "alpha"
    mean, seeds, other, other_seeds = axis.lines
    np.testing.assert_allclose(mean.get_xydata(), [[0.1, 0.3], [10, 0.7]])
    assert mean.get_color() == plots.STYLES["federated"]["color"] != other.get_color()
    assert len(seeds.get_xydata()) == 4 and len(other_seeds.get_xydata()) == 3
    band = axis.collections[0].get_paths()[0].get_extents()
    assert (band.y0, band.y1) == pytest.approx((0.2, 0.8))


def test_a_sweep_over_names_has_them_on_the_axis():
    table = pd.DataFrame({"partition": ["iid", "iid", "dirichlet"], "seed": [0, 1, 0], "error": [1.0, 2.0, 5.0]})
    axis = draw_sweep(table, "partition", ["error"]).axes[0]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["iid", "dirichlet"]
    np.testing.assert_allclose(axis.lines[0].get_xydata(), [[0, 1.5], [1, 5]])
