"""A model in two parts: what the server sends and averages, and what every client keeps for itself.

The server's arrays decide: a parameter or buffer that is not in them is the client's own. It lives in the client's
state under one key, survives rounds in which the client does not take part, and is never sent.
"""

from collections.abc import Callable, Mapping
from typing import Any

from flwr.app import ArrayRecord
from torch import Tensor, nn

from fedlearn_helpers.algorithms.local import LocalTraining, setting

OWN = "own"  # in a client's state
ADAPTATION_EPOCHS = "adaptation-epochs"  # in a message's config


def own_names(local: LocalTraining) -> list[str]:
    """Return the names of the weights that the server has not sent."""
    received = local.received
    return [name for name in local.model.state_dict() if name not in received]


def recall(local: LocalTraining) -> bool:
    """Put the client's own weights into its model, if it has any yet; return whether it has."""
    if OWN not in local.state:
        return False
    local.load(local.model.state_dict() | local.state.array_records[OWN].to_torch_state_dict())
    return True


def keep(local: LocalTraining) -> None:
    """Keep the client's own weights for its next round."""
    state = local.model.state_dict()
    local.state[OWN] = ArrayRecord({name: state[name] for name in own_names(local)})


def adapt(local: LocalTraining) -> None:
    """Complete the received model by the client's own part; an unseen client trains that part first."""
    own = own_names(local)
    if own and not recall(local):
        with local.only(own):
            local.train(adaptation_epochs(local))


def adaptation_epochs(local: LocalTraining) -> int:
    """Return how many epochs a client may take to adapt a model before it is measured.

    Raises:
        InputError: the server's message does not say.
    """
    return int(setting(local.config, ADAPTATION_EPOCHS))


def without(names_of: Callable[[nn.Module], list[str]]) -> Callable[..., Mapping[str, Tensor]]:
    """Return what an algorithm's server holds first: the model without the weights that clients keep.

    Args:
        names_of: returns the names of those weights.
    """

    def shared_part(model: nn.Module, *_: Any) -> dict[str, Tensor]:
        own = set(names_of(model))
        return {name: tensor for name, tensor in model.state_dict().items() if name not in own}

    return shared_part
