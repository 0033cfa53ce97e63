"""Figures: alt text that reaches the page, and the same style for the same thing everywhere."""

import numpy as np
import pandas as pd
import pytest

from fedlearn_helpers import plots
from fedlearn_helpers.lessons.common import diagrams


def test_show_puts_the_alt_text_into_an_image(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    plots.show(diagrams.one_round(), alt='Four steps: "send" & <train>.')
    assert 'alt="Four steps: &quot;send&quot; &amp; &lt;train&gt;."' in shown[0].data
    assert shown[0].data.startswith("<img") and "max-width:100%" in shown[0].data


def test_a_way_of_learning_looks_the_same_in_every_figure():
    curves = plots.curves(
        {"local only, client 0": ([1, 2], [0.1, 0.2]), "federated": ([1, 2], [0.2, 0.3])},
        xlabel="round",
        ylabel="accuracy",
        lines={"centralized": 0.5},
    )
    strip = plots.client_strip({"local only": [0.1, 0.2], "federated": [0.3, 0.4]}, ylabel="accuracy")
    for figure in (curves, strip):
        for line in figure.axes[0].lines:
            name = next((name for name in plots.STYLES if line.get_label().startswith(name)), None)
            if name:
                assert line.get_color() == plots.STYLES[name]["color"]


def test_styles_differ_in_greyscale_too():
    for part in ("marker", "linestyle"):
        assert len({style[part] for style in plots.STYLES.values()}) == len(plots.STYLES)


def test_axes_are_labelled():
    figures = [
        plots.confusion(np.array([[3, 1], [0, 4]]), ["cat", "dog"]),
        plots.class_counts(np.array([[3, 1], [0, 4]]), ["cat", "dog"]),
        plots.curves({"x": ([1], [2])}, xlabel="epoch", ylabel="loss (nats)"),
        plots.client_strip({"federated": [0.5]}, ylabel="accuracy"),
    ]
    for figure in figures:
        assert figure.axes[0].get_xlabel() and figure.axes[0].get_ylabel()


def test_confusion_shows_shares_of_the_true_class():
    figure = plots.confusion(np.array([[3, 1], [0, 0]]), ["cat", "dog"])
    assert sorted(text.get_text() for text in figure.axes[0].texts) == ["25%", "75%"]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [1, 6, 7])
def test_predictions_of_any_number_of_images(channels, count):
    images = np.zeros((count, channels, 8, 8), np.uint8)
    figure = plots.predictions(images, [0] * count, [0, *[1] * (count - 1)], [0.5] * count, ["cat", "dog"])
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert len(titles) == count
    assert "✓ cat (50%)" in titles[0] and all("✗ dog" in title for title in titles[1:])


def test_a_class_without_enough_images_leaves_places_empty():
    figure = plots.class_examples(np.zeros((3, 1, 8, 8), np.uint8), np.array([0, 0, 1]), ["a", "b"], per_class=2)
    assert sum(len(axis.images) for axis in figure.axes) == 3


def test_several_seeds_are_a_mean_and_a_band_over_their_range():
    figure = plots.curves(
        {"federated": ([0, 1], [[0.1, 0.5], [0.3, 0.7]]), "local only": ([0, 1], [0.1, 0.2])},
        xlabel="round",
        ylabel="accuracy",
    )
    (axis,) = figure.axes
    assert axis.lines[0].get_ydata().tolist() == pytest.approx([0.2, 0.6])
    (band,) = axis.collections
    corners = band.get_paths()[0].vertices
    assert {(x, round(y, 9)) for x, y in corners} == {(0, 0.1), (0, 0.3), (1, 0.5), (1, 0.7)}


def test_a_chosen_setting_stands_out_among_all():
    settings = pd.DataFrame({"accuracy": [0.5, 0.6, 0.7], "megabytes": [1.0, 2.0, 4.0]})
    (axis,) = plots.tradeoff(settings, chosen=1).axes
    assert [text.get_text() for text in axis.texts] == ["0", "1", "2"]
    everything, chosen = axis.lines
    assert everything.get_xdata().tolist() == [1.0, 2.0, 4.0]
    assert (chosen.get_xdata(), chosen.get_ydata()) == ([2.0], [0.6])
    assert axis.get_xlabel() and axis.get_ylabel()


def test_one_client_among_all():
    counts = np.array([[3, 0], [1, 2]])
    left, right = plots.one_client(counts, ["cat", "dog"], {"federated": [0.5, 0.9]}, client=1).axes
    assert [bar.get_height() for bar in left.patches] == [1, 2]
    assert right.lines[0].get_ydata().tolist() == [0.5, 0.9]
    assert right.lines[1].get_ydata() == [0.9]


def test_partition_maps_share_one_scale():
    maps = {"even": np.array([[5, 5], [5, 5]]), "skewed": np.array([[10, 0], [0, 10]])}
    even, skewed = plots.partition_maps(maps, ["cat", "dog"]).axes
    assert [axis.get_title() for axis in (even, skewed)] == ["even", "skewed"]
    areas = [axis.collections[0].get_sizes() for axis in (even, skewed)]
    assert len(areas[0]) == 4 and len(areas[1]) == 2  # nothing is drawn where there is nothing
    assert areas[1] == pytest.approx(2 * areas[0][:2])


def test_accuracy_by_distance_has_a_mark_for_every_seed():
    ways = ("local only", "centralized", "fedavg")
    rows = [
        {"strategy": way, "partition": rule, "heterogeneity": x + seed / 100, "test_accuracy": 0.5}
        for way in ways
        for rule, x in (("iid", 0.1), ("pathological:1", 0.9))
        for seed in (0, 1)
    ]
    figure = plots.accuracy_by_distance(pd.DataFrame(rows))
    (axis,) = figure.axes
    marks = [line for line in axis.lines if line.get_linestyle() == "None"]
    assert [len(line.get_xdata()) for line in marks] == [4, 4, 4]
    assert {line.get_color() for line in marks} == {style["color"] for style in plots.STYLES.values()}
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["local only", "centralized", "federated"]
    assert {text.get_text() for text in axis.texts} == {"iid", "pathological:1"}


def test_rules_are_rows_in_their_order():
    table = pd.DataFrame(
        {
            "partition": ["iid", "noise", "noise"],
            "local only": [0.1, 0.2, 0.3],
            "fedavg": [0.4, 0.5, 0.6],
            "centralized": [0.7, 0.8, 0.9],
        }
    )
    (axis,) = plots.by_rule(table, xlabel="accuracy").axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["iid", "noise"]
    assert [line.get_ydata().tolist() for line in axis.lines] == [[0, 1, 1]] * 3


def test_cosines_are_written_into_the_cells():
    left, right, bar = plots.cosines({"a": np.array([[1, -0.04], [-0.04, 1]]), "b": np.eye(2)}).axes
    assert [text.get_text() for text in left.texts] == ["1.0", "0.0", "0.0", "1.0"]
    assert (left.get_title(), right.get_title(), bar.get_ylabel()) == ("a", "b", "cosine of the angle")


def test_between_two_models_every_curve_looks_different():
    series = {"A": [1.0, 0.5], "B": [0.0, 0.5], "all": [0.5, 0.5]}
    first, second = plots.between_models([0, 1], {"few": series, "many": series}).axes
    for axis in (first, second):
        looks = {(line.get_marker(), line.get_linestyle()) for line in axis.lines[:3]}
        assert len(looks) == 3


def test_a_logarithmic_axis_has_plain_numbers():
    figure = plots.curves({"x": ([0.1, 1, 10], [1, 2, 3])}, xlabel="alpha", ylabel="y", log_x=True)
    figure.canvas.draw()
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["0.1", "1", "10"]


# The map of a round ------------------------------------------------------------------------

X, Y = [np.array([0.0, 1.0]), np.array([2.0])], [np.array([1.0, 3.0]), np.array([5.0])]


def half_way(weights, x, y, steps):
    goal = np.array([2.0, 1.0]) if len(x) == 2 else np.array([0.0, 5.0])
    return goal + (weights - goal) * 0.5**steps


def test_the_map_averages_by_weights():
    picture = diagrams.WeightSpace(X, Y, half_way, np.zeros(2), local_steps=1, weights=[3, 1])
    assert picture.average.tolist() == pytest.approx([0.75, 1.0])
    text = picture.describe(step=3)
    assert "client 0 to 1.00, 0.50; client 1 to 0.00, 2.50" in text
    assert "slope 0.75, intercept 1.00" in text
    assert f"error {np.mean((0.75 * np.array([0, 1, 2]) + 1 - np.array([1, 3, 5])) ** 2):.2f} on all points" in text
    assert text.endswith("the centralized line has 0.00.")


@pytest.mark.parametrize(("step", "shown"), [(1, 2), (2, 4), (3, 5)])
def test_the_map_shows_what_has_happened(step, shown):
    picture = diagrams.WeightSpace(X, Y, half_way, np.zeros(2), local_steps=2, weights=[2, 1])
    (axis,) = picture.draw(step).axes
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert len(labels) == shown
    assert ("new global model" in labels) == (step == 3)


def test_a_map_of_numbers_has_each_number_in_its_cell():
    table = pd.DataFrame({"x": [5.4, -12.0], "y": [0.2, np.nan]}, index=["a", "b"])
    axis = plots.numbers(table, limit=10, label="points").axes[0]
    assert [text.get_text() for text in axis.texts] == ["+5", "+0", "-12"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a", "b"]


def test_elsewhere_has_per_cents_in_its_cells_while_there_is_room():
    small, large = plots.elsewhere({"m": np.eye(3)}), plots.elsewhere({"m": np.eye(17)})
    assert sorted(text.get_text() for text in small.axes[0].texts) == ["0"] * 6 + ["100"] * 3
    assert not large.axes[0].texts


def test_choices_have_a_mark_for_every_client_and_round():
    figure = plots.choices(np.array([[0, 1, 1], [0, 0, 1]]), ["x", "x", "y"])
    counted = {line.get_label(): len(line.get_xdata()) for line in figure.axes[0].lines}
    assert counted == {"model 0": 3, "model 1": 3}
    assert len({line.get_marker() for line in figure.axes[0].lines}) == 2


def test_a_sweep_shows_means_ranges_and_every_seed():
    table = pd.DataFrame(
        {
            "alpha": [0.1, 0.1, 10, 10] * 2,
            "partition": ["x"] * 4 + ["y"] * 4,
            "fedavg_test_accuracy": [0.2, 0.4, 0.6, 0.8] * 2,
            "rounds": [1, 2, 3, float("nan")] * 2,
        }
    )
    figure = plots.sweep(table, "alpha", ["fedavg_test_accuracy", "rounds"], ["partition"])
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
    axis = plots.sweep(table, "partition", ["error"]).axes[0]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["iid", "dirichlet"]
    np.testing.assert_allclose(axis.lines[0].get_xydata(), [[0, 1.5], [1, 5]])
