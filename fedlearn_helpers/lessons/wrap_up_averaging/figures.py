"""The figures of the first wrap-up."""

import numpy as np
import pandas as pd

from fedlearn_helpers.plots import STYLES, Drawing, new_figure


def gain_of_each_shop(shops: pd.DataFrame) -> Drawing:
    """Draw every shop's accuracy alone and in the federation, over its number of images.

    Args:
        shops: one row a shop, with the columns images, alone and federated; accuracies in [0, 1].
    """
    figure, axis = new_figure(7, 3.6)
    ordered = shops.sort_values("images")
    axis.vlines(ordered["images"], 100 * ordered["alone"], 100 * ordered["federated"], color="#1b1b1b", linewidth=1)
    for column, style in (("alone", STYLES["local only"]), ("federated", STYLES["federated"])):
        label = "local only, early stopping" if column == "alone" else "federated"
        look = {"color": style["color"], "marker": style["marker"]}
        axis.plot(ordered["images"], 100 * ordered[column], linestyle="none", markersize=9, label=label, **look)
    axis.set_xscale("log")
    axis.set_xticks(ordered["images"], [f"{images:,}" for images in ordered["images"]])
    axis.minorticks_off()
    axis.set(xlabel="training images of the shop", ylabel="accuracy on the test images (%)")
    figure.legend(loc="outside upper center", ncols=2)
    gains = 100 * (ordered["federated"] - ordered["alone"]).to_numpy()
    words = [f"{images} images {gain:+.0f}" for images, gain in zip(ordered["images"], gains, strict=True)]
    return Drawing(figure, f"Gain of every shop in points, by its training images: {', '.join(words)}.")


def two_losses(reported: np.ndarray, pooled: np.ndarray) -> Drawing:
    """Draw the loss that a server logs, round by round, and the mean loss over all training images.

    Args:
        reported, pooled: one loss a round, from round 1 on.
    """
    figure, axis = new_figure(7, 3.2)
    rounds = np.arange(1, len(reported) + 1)
    axis.plot(rounds, reported, "^--", color="#832db6", label="in the server's log")
    axis.plot(rounds, pooled, "o-", color=STYLES["federated"]["color"], label="mean over all training images")
    axis.set(xlabel="round", ylabel="loss")
    figure.legend(loc="outside upper center", ncols=2)
    return Drawing(
        figure,
        f"Two losses of the same models: in the last round the log says {reported[-1]:.2f}, and over all "
        f"training images it is {pooled[-1]:.2f}.",
    )
