"""Label flipping: the attacker trains as it should, on labels that are wrong.

    y <- C - 1 - y        for C classes, on all training examples of the attackers

An attack on data alone: the client's code, and all that it sends, are what they should be.

Source: Tolpegin et al. 2020, https://arxiv.org/abs/2007.08432; all classes are flipped as in Fang et al. 2020,
https://arxiv.org/abs/1911.11815.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

import torch

from fedlearn_helpers.data import ImageDataset
from fedlearn_helpers.partition import Shard
from fedlearn_helpers.robustness.attacks.clients import check_clients, check_only_theirs


def flip_labels(dataset: ImageDataset, shards: Sequence[Shard], attackers: Collection[int]) -> ImageDataset:
    """Return a data set in which the attackers' training labels are flipped; all else is shared with the given one.

    Labels of validation examples stay true, and so what is measured on them.

    Args:
        dataset: stays as it is.
        shards: one per client.
        attackers: numbers of clients, from 0; may be empty.

    Raises:
        InputError: attackers that are no clients, or whose training examples an honest client has, too.
    """
    attackers = check_clients("attackers", attackers, len(shards))
    check_only_theirs(shards, attackers)
    labels = dataset.train_labels.clone()
    for attacker in attackers:
        indices = torch.as_tensor(shards[attacker].train, device=labels.device)
        labels[indices] = dataset.num_classes - 1 - labels[indices]
    return replace(dataset, train_labels=labels)
