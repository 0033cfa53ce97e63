"""The figures of the second wrap-up."""

from collections.abc import Mapping, Sequence

import numpy as np

from fedlearn_helpers import plots
from fedlearn_helpers.plots import STYLES, Drawing, new_figure

_LOOKS = ({"color": STYLES["federated"]["color"], "marker": "o"}, {"color": "#832db6", "marker": "s"})


def class_counts(counts: np.ndarray, class_names: Sequence[str]) -> Drawing:
    """Draw which shop has how many images of which class.

    Args:
        counts: (clients, classes) numbers of training images.
        class_names: one name per class.
    """
    missing = int((counts == 0).sum())
    return Drawing(
        plots.class_counts(counts, class_names),
        f"Images of every class at every one of {len(counts)} shops: of {counts.size} pairs {missing} are empty.",
    )


def by_the_clock(curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Drawing:
    """Draw the accuracy of the server's model over simulated time.

    Args:
        curves: by rule, the seconds at which its rounds ended and the accuracies from then on; two of them.
    """
    figure, axis = new_figure(7, 3.4)
    for (rule, (seconds, accuracies)), look in zip(curves.items(), _LOOKS, strict=True):
        axis.step(seconds, 100 * accuracies, where="post", linewidth=2, markersize=5, label=rule, **look)
    axis.set(xlabel="simulated seconds", ylabel="accuracy on the test images (%)")
    figure.legend(loc="outside upper center", ncols=2)
    ends = [
        f"{rule} ends at {100 * reached[-1]:.0f} % after {when[-1]:.0f} s" for rule, (when, reached) in curves.items()
    ]
    return Drawing(figure, f"Accuracy of the server's model over simulated time: {', '.join(ends)}.")
