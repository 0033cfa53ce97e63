"""Scenarios: who has which examples, and who comes when the training is over."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from fedlearn_helpers.data import ImageDataset
from fedlearn_helpers.errors import InputError, check_number, check_whole_number
from fedlearn_helpers.partition.feature_skew import feature_skew
from fedlearn_helpers.partition.registry import PARTITIONS, PATTERNS, parse_partition
from fedlearn_helpers.partition.split import Shard, split_train_validation, trim_last_batch
from fedlearn_helpers.seeds import derive_seed

_QUARTER_TURNS = {2: 2, 4: 1}  # by number of kinds: between one kind and the next
SCENARIOS = f"{PATTERNS}, turned:KINDS, darker:SHARE"
"""How scenarios are written, for help texts."""


@dataclass(frozen=True)
class Scenario:
    """Clients and their images.

    Attributes:
        dataset: the images that clients have, changed as the scenario wants it.
        members: one shard per client that trains, of indices into this data set.
        unseen: one shard per client that never trains.
        kinds: of each member, the number of its kind; all 0 where there are no kinds.
    """

    dataset: ImageDataset
    members: list[Shard]
    unseen: list[Shard]
    kinds: list[int]


def check_scenario(text: str) -> None:
    """Check the name of a scenario.

    Raises:
        InputError: an unknown one, or a number out of range.
    """
    name, _, number = text.partition(":") if isinstance(text, str) else ("", "", "")
    if name == "turned":
        if number not in ("2", "4"):
            raise InputError(f"scenario turned must be turned:2 or turned:4, got {text!r}")
    elif name == "darker":
        try:
            if not 0 < float(number) <= 1:
                raise ValueError
        except ValueError:
            raise InputError(f"scenario darker needs a number > 0 and <= 1, as in darker:0.9, got {text!r}") from None
    else:
        if name not in PARTITIONS:
            raise InputError(f"partition must be one of {', '.join(PARTITIONS)}, turned, darker, got {text!r}")
        parse_partition(text)


def make_scenario(
    text: str,
    dataset: ImageDataset,
    *,
    num_clients: int,
    num_unseen: int = 0,
    max_images: int | None = None,
    validation_fraction: float = 0.2,
    trim_for: int | None = None,
    seed: int,
) -> Scenario:
    """Deal images out to clients that train and to unseen ones.

    Args:
        text: a partition as `parse_partition` reads it, such as "dirichlet:0.1"; "turned:2" or "turned:4" for so many
            kinds of clients with the same mixture of classes, whose images are turned by another angle each; or
            "darker:0.9": the same mixture, and images that are darker from client to client, the last one's by 90 %.
        dataset: all images; stays as it is.
        num_clients: that train, >= 1.
        num_unseen: that do not, >= 0; drawn from all clients, so they are like the others.
        max_images: of the training images, so many are used; None means all.
        validation_fraction: share of each client's images that it keeps for validation, in (0, 1).
        trim_for: a batch size: no client's last batch is to be small, as `trim_last_batch` says; None leaves no example
            out.
        seed: decides who gets what, and who is unseen.

    Raises:
        InputError: an unknown scenario, or one that cannot be made.
    """
    check_scenario(text)
    check_whole_number("num_clients", num_clients, 1)
    check_whole_number("num_unseen", num_unseen, 0)
    if max_images is not None:
        check_whole_number("max_images", max_images, 1)
    if trim_for is not None:
        check_whole_number("trim_for", trim_for, 1)
    check_number("validation_fraction", validation_fraction, "> 0 and < 1", lambda share: 0 < share < 1)
    name, _, number = text.partition(":")
    changes_images = name in ("turned", "darker")
    chosen = np.arange(len(dataset.train_labels))
    if max_images is not None and max_images < len(chosen):
        order = np.random.default_rng(derive_seed(seed, "chosen images")).permutation(len(chosen))
        chosen = np.sort(order[:max_images])
        if changes_images:  # so that no more than these are copied
            of = torch.as_tensor(chosen)
            dataset = replace(dataset, train_images=dataset.train_images[of], train_labels=dataset.train_labels[of])
            chosen = np.arange(max_images)
    labels = dataset.train_labels.cpu().numpy()
    count, kinds = num_clients + num_unseen, 1
    partition = parse_partition("iid" if changes_images else text)
    parts = [chosen[part] for part in partition.make(labels[chosen], count, seed=seed)]
    if name == "turned":
        kinds = int(number)
        dataset = _turned(dataset, parts, kinds)
    elif name == "darker":
        darker = feature_skew(dataset.train_images, parts, kind="brightness", strength=float(number), seed=seed)
        dataset = replace(dataset, train_images=darker)
    order = np.random.default_rng(derive_seed(seed, "newcomers")).permutation(count)  # a name of a stream, kept
    shards = split_train_validation(parts, validation_fraction=validation_fraction, seed=seed, labels=labels)
    if trim_for is not None:
        shards = trim_last_batch(shards, batch_size=trim_for, seed=derive_seed(seed, "last batch"))
    unseen = sorted(order[:num_unseen])
    members = [client for client in range(count) if client not in unseen]
    return Scenario(
        dataset,
        members=[shards[client] for client in members],
        unseen=[shards[client] for client in unseen],
        kinds=[client % kinds for client in members],
    )


def _turned(dataset: ImageDataset, parts: Sequence[np.ndarray], kinds: int) -> ImageDataset:
    """Turn the images of every client by the angle of its kind; client i is of kind i mod `kinds`."""
    images = dataset.train_images.clone()
    if images.shape[-1] != images.shape[-2]:
        raise InputError(f"scenario turned needs square images, got {images.shape[-2]}x{images.shape[-1]} pixels")
    for client, part in enumerate(parts):
        indices = torch.as_tensor(part)
        turns = _QUARTER_TURNS[kinds] * (client % kinds)
        images[indices] = torch.rot90(images[indices], turns, dims=(-2, -1))
    return replace(dataset, train_images=images)
