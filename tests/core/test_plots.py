"""Figures: alt text that reaches the page, and the same style for the same thing everywhere."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from fedlearn_helpers import plots
from fedlearn_helpers.lessons.centralized_cnn import figures as centralized_cnn
from fedlearn_helpers.lessons.non_iid_data import figures as non_iid_data
from fedlearn_helpers.lessons.personalization import figures as personalization


def test_show_puts_the_alt_text_into_an_image(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    drawing = plots.Drawing(plots.curves({"x": ([1], [2])}, xlabel="x", ylabel="y"), 'Steps: "send" & <train>.')
    drawing.show()
    assert 'alt="Steps: &quot;send&quot; &amp; &lt;train&gt;."' in shown[0].data
    assert shown[0].data.startswith("<img") and "max-width:100%" in shown[0].data
    assert drawing._repr_html_() == drawing.html() == shown[0].data


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
        plots.class_counts(np.array([[3, 1], [0, 4]]), ["cat", "dog"]),
        plots.curves({"x": ([1], [2])}, xlabel="epoch", ylabel="loss (nats)"),
        plots.client_strip({"federated": [0.5]}, ylabel="accuracy"),
    ]
    for figure in figures:
        assert figure.axes[0].get_xlabel() and figure.axes[0].get_ylabel()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [1, 6, 7])
def test_predictions_of_any_number_of_images(channels, count):
    images = np.zeros((count, channels, 8, 8), np.uint8)
    figure = plots.predictions(images, [0] * count, [0, *[1] * (count - 1)], [0.5] * count, ["cat", "dog"])
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert len(titles) == count
    assert "✓ cat (50%)" in titles[0] and all("✗ dog" in title for title in titles[1:])


@pytest.mark.parametrize(("confidence", "said"), [(0.5, "50%"), (0.994, "99%"), (0.995, ">99%"), (1.0, ">99%")])
def test_confidence_is_not_rounded_up_to_certainty(confidence, said):
    figure = plots.predictions(np.zeros((1, 1, 8, 8), np.uint8), [0], [0], [confidence], ["cat"])
    assert f"cat ({said})" in figure.axes[0].get_title()


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


def test_a_logarithmic_axis_has_plain_numbers():
    figure = plots.curves({"x": ([0.1, 1, 10], [1, 2, 3])}, xlabel="alpha", ylabel="y", log_x=True)
    figure.canvas.draw()
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["0.1", "1", "10"]


def test_the_legend_of_clients_covers_none_of_them():
    figure = plots.client_strip({"local only": [0.1, 0.2], "federated": [0.3, 0.4]}, ylabel="accuracy")
    assert figure.axes[0].get_legend() is None
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["local only", "federated"]


DOLLARS = ("$", "$$", "$5 to $10", "cost_$_vs_$", r"\$5", "plain")


def pictures_with_names(names):
    images, count = np.zeros((len(names), 1, 8, 8), np.uint8), len(names)
    yield plots.predictions(images, range(count), range(count), [0.5] * count, names)
    yield plots.class_counts(np.ones((2, count), int), names)
    yield plots.curves({name: ([1, 10], [1, 100]) for name in names}, xlabel=names[0], ylabel=names[1], log=True)
    yield plots.comparison(pd.DataFrame({"algorithm": names, "scenario": names[0], "seed": 0, "test_accuracy": 0.5}))


def test_names_with_dollars_are_drawn_as_they_are():
    for figure in pictures_with_names(DOLLARS):
        plots.image(figure, "names")
        drawn = [text for text in figure.findobj(Text) if "$" in text.get_text()]
        drawn = [text for text in drawn if "mathdefault" not in text.get_text()]  # of a logarithmic axis
        assert drawn and not any(text.get_parse_math() for text in drawn)


def test_ticks_of_a_logarithmic_axis_stay_formulas():
    figure = plots.curves({"x": ([1, 2], [1e-3, 1e3])}, xlabel="x", ylabel="y", log=True)
    for _ in range(2):
        plots.image(figure, "curves")
        ticks = [tick for tick in figure.axes[0].get_yticklabels() if tick.get_text()]
        assert len(ticks) > 2 and all(tick.get_parse_math() and "mathdefault" in tick.get_text() for tick in ticks)


def drawings_of_lessons(names):
    counts = np.ones((3, len(names)), int)
    yield centralized_cnn.confusion(np.eye(len(names)), names, "None is confused.")
    yield non_iid_data.who_holds_what({"rule": counts}, names)
    yield non_iid_data.images_of_each_class(counts, names, "rule")
    yield personalization.classes_of_clients(counts, names, scenario="iid", num_unseen=1)


def test_lessons_draw_names_with_dollars():
    for drawing in drawings_of_lessons(DOLLARS):
        assert drawing.html().startswith("<img")
        drawn = [text for text in drawing.figure.findobj(Text) if "$" in text.get_text()]
        assert len(drawn) >= len(DOLLARS) - 1 and not any(text.get_parse_math() for text in drawn)
