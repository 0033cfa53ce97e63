"""Feature skew: all clients have the same classes, but their images look different, as if from other cameras."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from fedlearn_helpers.errors import check_number, check_one_of
from fedlearn_helpers.partition.checks import new_generator
from fedlearn_helpers.seeds import derive_seed

FEATURE_SKEWS = {
    "noise": "standard deviation of Gaussian noise at the last client, in grey levels of 255",
    "rotation": "angle at the last client, in degrees",
    "brightness": "by how much the last client's images are darker, as a share in [0, 1]",
}


def feature_skew(images: Tensor, parts: Sequence[np.ndarray], *, kind: str, strength: float, seed: int) -> Tensor:
    """Change the images of every client by its own strength: 0 at client 0, the full strength at the last client.

    Client i of N gets `strength · i / (N - 1)`; noise that grows from client to client is that of NIID-Bench (Li et al.
    2022, https://arxiv.org/abs/2102.02079), section 4.2.

    Args:
        images: (n, channels, height, width) uint8; stays as it is.
        parts: one array of indices per client, disjoint.
        kind: a key of `FEATURE_SKEWS`.
        strength: of the last client's change, >= 0; `FEATURE_SKEWS` has the units.
        seed: of the noise.

    Returns:
        A new tensor like `images`. It is one copy of the data set, whatever the number of clients.

    Raises:
        InputError: an unknown kind, or a strength out of range.
    """
    check_one_of("kind", kind, FEATURE_SKEWS)
    if kind == "brightness":
        check_number("strength", strength, "between 0 and 1", lambda share: 0 <= share <= 1)
    else:
        check_number("strength", strength, ">= 0 and finite", lambda amount: amount >= 0)
    new_generator(seed)  # refuses one that cannot work
    changed = images.clone()
    for client, part in enumerate(parts):
        amount = strength * client / max(len(parts) - 1, 1)
        if amount:
            indices = torch.as_tensor(part)
            changed[indices] = _change(images[indices], kind, amount, derive_seed(seed, "features", client))
    return changed


def _change(images: Tensor, kind: str, amount: float, seed: int) -> Tensor:
    if kind == "rotation":
        from torchvision.transforms.functional import InterpolationMode, rotate  # takes half a second

        return rotate(images, amount, InterpolationMode.BILINEAR)
    if kind == "brightness":
        return (images.float() * (1 - amount)).round().to(torch.uint8)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(images.shape, generator=generator) * amount
    return (images.float() + noise.to(images.device)).round().clamp(0, 255).to(torch.uint8)
