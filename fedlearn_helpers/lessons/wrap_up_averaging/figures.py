"""The figures of the first wrap-up."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fedlearn_helpers.plots import STYLES, Drawing, new_figure


def gain_of_each_shop(shops: pd.DataFrame, centralized: float) -> Drawing:
    """Draw every shop's accuracy alone and in the federation, over its number of images.

    Args:
        shops: one row a shop, with the columns images, alone and federated; accuracies in [0, 1].
        centralized: accuracy of one model that has the images of all shops.
    """
    figure, axis = new_figure(7, 3.6)
    ordered = shops.sort_values("images")
    axis.vlines(ordered["images"], 100 * ordered["alone"], 100 * ordered["federated"], color="#1b1b1b", linewidth=1)
    look = {"color": STYLES["local only"]["color"], "marker": STYLES["local only"]["marker"]}
    label = "local only, the better of its two"
    axis.plot(ordered["images"], 100 * ordered["alone"], linestyle="none", markersize=9, label=label, **look)
    federated = ordered["federated"].iloc[-1]
    axis.axhline(100 * federated, label="federated, one model", **{**STYLES["federated"], "marker": ""})
    axis.axhline(100 * centralized, label="centralized", **{**STYLES["centralized"], "marker": ""})
    axis.set_xscale("log")
    axis.set_xticks(ordered["images"], [f"{images:,}" for images in ordered["images"]])
    axis.minorticks_off()
    axis.locator_params(axis="y", steps=[1, 2, 5, 10])
    axis.set(xlabel="training images of the shop", ylabel="accuracy on the test images (%)")
    figure.legend(loc="outside upper center", ncols=3, fontsize=9)
    gains = 100 * (ordered["federated"] - ordered["alone"]).to_numpy()
    words = [f"{images} images {gain:+.1f}" for images, gain in zip(ordered["images"], gains, strict=True)]
    return Drawing(
        figure,
        f"Gain of every shop in points, by its training images: {', '.join(words)}. Federated "
        f"{federated:.1%}, centralized {centralized:.1%}.",
    )


def curve_and_lines(curve: Sequence[float], alone: float, centralized: float) -> Drawing:
    """Draw the federation's accuracy round by round, and two accuracies as lines.

    Args:
        curve: one accuracy a round, from round 1 on.
        alone: the best of the shops alone.
        centralized: accuracy of one model that has the images of all shops.
    """
    figure, axis = new_figure(7, 3.4)
    axis.plot(range(1, len(curve) + 1), 100 * np.array(curve), label="federated", **STYLES["federated"])
    axis.axhline(100 * alone, label="the best of the shops alone", **{**STYLES["local only"], "marker": ""})
    axis.axhline(100 * centralized, label="centralized", **{**STYLES["centralized"], "marker": ""})
    axis.set(xlabel="round", ylabel="accuracy on the test images (%)")
    axis.xaxis.get_major_locator().set_params(integer=True)
    figure.legend(loc="outside upper center", ncols=3)
    told = []
    for name, line in (("the best of the shops alone", alone), ("centralized", centralized)):
        above = [str(number) for number, accuracy in enumerate(curve, 1) if accuracy > line]
        told.append(f"Above {name}, {line:.1%}, in {len(above)} of them: {', '.join(above) or 'none'}.")
    return Drawing(figure, f"The federation's accuracy in {len(curve)} rounds, and two lines. {' '.join(told)}")


def two_losses(reported: np.ndarray, pooled: np.ndarray) -> Drawing:
    """Draw the loss that a server logs from round 2 on, and the mean loss over all training images.

    Args:
        reported, pooled: one loss a round, from round 1 on.
    """
    figure, axis = new_figure(7, 3.2)
    start = min(1, len(reported) - 1)  # in the first round losses are so high that no difference can be seen
    rounds = np.arange(start, len(reported)) + 1
    axis.plot(rounds, reported[start:], "^--", color="#832db6", label="the server's log")
    axis.plot(rounds, pooled[start:], "o-", color=STYLES["federated"]["color"], label="mean over all training images")
    axis.set(xlabel="round", ylabel="loss")
    figure.legend(loc="outside upper center", ncols=2)
    return Drawing(
        figure,
        f"Two means of the losses that the shops' models had: in the last round the log says {reported[-1]:.2f}, and "
        f"over all training images it is {pooled[-1]:.2f}.",
    )
