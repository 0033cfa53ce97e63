"""The personalization methods by name: what each does on the clients and on the server, and its own settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from flwr.app import RecordDict
from flwr.serverapp.strategy import FedAvg
from torch import Tensor, nn

from fedlearn_helpers.algorithms import (
    apfl,
    ditto,
    fedbn,
    fedper,
    fedrep,
    fine_tuning,
    global_model,
    ifca,
    per_fedavg,
    pfedme,
)
from fedlearn_helpers.algorithms.local import LocalTraining, Recipe
from fedlearn_helpers.algorithms.registry import Setting, check_settings
from fedlearn_helpers.errors import InputError, check_one_of

State = Mapping[str, Tensor]


def _whole_model(model: nn.Module, settings: Mapping[str, float], seed: int) -> State:
    return model.state_dict()


def _without(own_names: Callable[[nn.Module], list[str]], model: nn.Module, *_: object) -> State:
    own = own_names(model)
    return {name: tensor for name, tensor in model.state_dict().items() if name not in own}


def _clusters(model: nn.Module, settings: Mapping[str, float], seed: int) -> State:
    return ifca.join(ifca.first_models(model, int(settings["clusters"]), seed))


@dataclass(frozen=True)
class Personalization:
    """A method.

    Attributes:
        title: as its paper spells it.
        train_client: a client's turn in a round.
        adapt: makes the client's own model from the received one and the client's state, which stays as it is; a
            newcomer has no state. The model that the client uses and is measured by.
        settings: by name; the server sends them to the clients.
        first: what the server holds before the first round, from the first model, the settings and the seed.
        new_strategy: the server's half, called with the options of Flower's `FedAvg`.
        any_model: whether it can train a model with buffers, such as BatchNorm's running statistics.
        plain_steps: whether it takes SGD's steps itself, without momentum and weight decay.
    """

    title: str
    train_client: Callable[[LocalTraining], RecordDict]
    adapt: Callable[[LocalTraining], None]
    settings: Mapping[str, Setting] = field(default_factory=dict)
    first: Callable[[nn.Module, Mapping[str, float], int], State] = _whole_model
    new_strategy: Callable[..., FedAvg] = FedAvg
    any_model: bool = True
    plain_steps: bool = False

    def check(self, recipe: Recipe, model: nn.Module) -> None:
        """Check that the method can train this model by this recipe.

        Raises:
            InputError: it cannot.
        """
        if not self.any_model and (buffers := [name for name, _ in model.named_buffers()]):
            raise InputError(
                f"model must have no buffers for {self.title}, which takes gradients at weights that are not the "
                f"model's own, got {buffers[0]!r}; use GroupNorm in place of BatchNorm"
            )
        for name in ("momentum", "weight_decay"):
            if self.plain_steps and getattr(recipe, name):
                raise InputError(f"{name} must be 0 for {self.title}, got {getattr(recipe, name)}")


def _per_fedavg(title: str, hessian: per_fedavg.Hessian) -> Personalization:
    return Personalization(
        title,
        partial(per_fedavg.train_client, hessian=hessian),
        per_fedavg.adapt,
        {"alpha": Setting(0.05)},
        any_model=False,
        plain_steps=True,
    )


PERSONALIZATIONS: dict[str, Personalization] = {
    "global": Personalization("FedAvg", global_model.train_client, global_model.adapt),
    "finetune": Personalization("Fine-tuning", fine_tuning.train_client, fine_tuning.adapt),
    "perfedavg": _per_fedavg("Per-FedAvg", "first order"),
    "perfedavg-hf": _per_fedavg("Per-FedAvg (HF)", "hessian free"),
    "perfedavg-exact": _per_fedavg("Per-FedAvg (exact)", "exact"),
    "fedper": Personalization("FedPer", fedper.train_client, fedper.adapt, first=partial(_without, fedper.head_names)),
    "fedrep": Personalization(
        "FedRep",
        fedrep.train_client,
        fedrep.adapt,
        {fedrep.HEAD_EPOCHS: Setting(1, least=1, whole=True)},
        first=partial(_without, fedper.head_names),
    ),
    "fedbn": Personalization(
        "FedBN", fedbn.train_client, fedbn.adapt, first=partial(_without, fedbn.normalization_names)
    ),
    "ditto": Personalization("Ditto", ditto.train_client, ditto.adapt, {ditto.LAMBDA: Setting(0.1)}),
    "apfl": Personalization(
        "APFL",
        apfl.train_client,
        apfl.adapt,
        {apfl.ALPHA: Setting(0.5, most=1.0, may_be_most=True)},
        any_model=False,
        plain_steps=True,
    ),
    "pfedme": Personalization(
        "pFedMe",
        pfedme.train_client,
        pfedme.adapt,
        {pfedme.LAMBDA: Setting(1.0, may_be_least=False), pfedme.INNER_STEPS: Setting(3, least=1, whole=True)},
        any_model=False,
        plain_steps=True,
    ),
    "ifca": Personalization(
        "IFCA",
        ifca.train_client,
        ifca.adapt,
        {"clusters": Setting(2, least=1, whole=True)},
        first=_clusters,
        new_strategy=ifca.IFCA,
    ),
}


def find_personalization(name: str) -> Personalization:
    """Return a method by name.

    Raises:
        InputError: an unknown name; the message lists the known ones.
    """
    check_one_of("method", name, PERSONALIZATIONS)
    return PERSONALIZATIONS[name]


def complete_personal_settings(name: str, given: Mapping[str, float] | None = None) -> dict[str, float]:
    """Return all settings of a method: those given, and defaults for the others.

    Raises:
        InputError: an unknown method or setting, or a value out of range.
    """
    return check_settings(name, find_personalization(name).settings, given or {})
