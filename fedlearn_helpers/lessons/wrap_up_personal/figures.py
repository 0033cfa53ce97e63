"""The figures of the third wrap-up."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fedlearn_helpers.plots import STYLES, Drawing, new_figure

_LOOKS = {
    "alone": STYLES["local only"] | {"label": "alone, early stopping"},
    "FedAvg": STYLES["federated"] | {"label": "FedAvg"},
    "fine-tuning": {"color": "#ffa90e", "marker": "s", "label": "fine-tuning"},
    "Ditto": {"color": "#e76300", "marker": "D", "label": "Ditto, λ = 0.3"},
}


def accuracy_of_every_shop(shops: pd.DataFrame) -> Drawing:
    """Draw every shop's accuracy at home with four models.

    Args:
        shops: one row a shop, with the columns validation (how many images) and alone, FedAvg,
            fine-tuning and Ditto, in [0, 1].
    """
    figure, axis = new_figure(7, 3.6)
    places = np.arange(len(shops))
    for shift, (column, look) in zip((-0.24, -0.08, 0.08, 0.24), _LOOKS.items(), strict=True):
        marks = {key: look[key] for key in ("color", "marker")}
        marks["label"] = f"{look['label']} (mean {100 * shops[column].mean():.0f} %)"
        axis.plot(places + shift, 100 * shops[column], linestyle="none", markersize=7, **marks)
    axis.set_xticks(places, [f"{number}\n{images}" for number, images in shops["validation"].items()])
    axis.set(xlabel="shop, and its validation images", ylabel="accuracy at home (%)")
    figure.legend(loc="outside upper center", ncols=2)
    means = ", ".join(f"{column} {100 * shops[column].mean():.0f} %" for column in _LOOKS)
    return Drawing(figure, f"Accuracy of {len(shops)} shops on their own validation images. Means: {means}.")


def report_by_candidates(candidates: Sequence[int], reported: Sequence[float]) -> Drawing:
    """Draw what a report says of models that guess, by how many of them there are to choose from.

    Args:
        candidates: how many models every client chooses from.
        reported: the mean accuracy that is reported, in [0, 1].
    """
    figure, axis = new_figure(7, 3)
    axis.plot(candidates, 100 * np.array(reported), "^--", color="#832db6", label="as reported")
    axis.axhline(50, color="#717581", label="what they are: guesses")
    axis.set_xscale("log")
    axis.set_xticks(candidates, [str(number) for number in candidates])
    axis.minorticks_off()
    axis.set(xlabel="models to choose from", ylabel="mean accuracy (%)")
    axis.set_ylim(bottom=min(45, 100 * min(reported) - 2))  # so that the line at 50 is seen
    figure.legend(loc="outside upper center", ncols=2)
    words = [f"{number} {100 * value:.0f} %" for number, value in zip(candidates, reported, strict=True)]
    return Drawing(figure, f"Reported accuracy of models that guess, by their number: {', '.join(words)}.")
