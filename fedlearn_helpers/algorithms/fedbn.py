"""FedBN: clients share everything but the normalization layers.

    client k:  train all layers, keep those that normalize, send the others
    server:    averages the others as FedAvg does

A normalization layer holds what is particular to a client's images, such as how bright they are: its scale and shift,
and BatchNorm's running mean and variance as well. Layers are told by their type, since names prove nothing. Without
such layers it is FedAvg.

Source: Li et al. 2021, https://arxiv.org/abs/2102.07623, algorithm 1.
"""

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from fedlearn_helpers.algorithms.algorithm import Algorithm
from fedlearn_helpers.algorithms.fedper import train_client
from fedlearn_helpers.algorithms.own_parts import adapt, without

_NORMALIZATION = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)  # the first: BatchNorm and InstanceNorm


def normalization_names(model: nn.Module) -> list[str]:
    """Return the names of all weights and running statistics of normalization layers."""
    layers = [name for name, module in model.named_modules() if isinstance(module, _NORMALIZATION)]
    return [name for name in model.state_dict() if name.rpartition(".")[0] in layers]


ALGORITHM = Algorithm("fedbn", "FedBN", train_client, adapt=adapt, first=without(normalization_names), keeps_state=True)
