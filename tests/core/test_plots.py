"""Figures: alt text that reaches the page, and the same style for the same thing everywhere."""

import numpy as np
import pytest

from fedlearn_helpers import plots


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
