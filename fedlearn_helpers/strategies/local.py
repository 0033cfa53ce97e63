"""A client's local training, and the two places in a step where an algorithm may correct it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from torch import Tensor, nn

from fedlearn_helpers.data import ImageDataset
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.federation.device_mod import MAX_STEPS
from fedlearn_helpers.partition import Shard
from fedlearn_helpers.seeds import derive_seed
from fedlearn_helpers.training import train


@dataclass(frozen=True)
class Recipe:
    """How a client trains: stochastic gradient descent (SGD), which the strategies' papers assume.

    Attributes:
        local_epochs: passes over the client's training images in a round, >= 1.
        batch_size: images a step, >= 1.
        learning_rate: > 0.
        momentum: of SGD, in [0, 1); starts anew in every round.
        weight_decay: >= 0.

    Raises:
        InputError: a value out of range.
    """

    local_epochs: int = 1
    batch_size: int = 32
    learning_rate: float = 0.05
    momentum: float = 0.0
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        for name in ("local_epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be >= 1, got {getattr(self, name)}")
        if not self.learning_rate > 0:
            raise InputError(f"learning_rate must be > 0, got {self.learning_rate}")
        if not 0 <= self.momentum < 1:
            raise InputError(f"momentum must be in [0, 1), got {self.momentum}")
        if not self.weight_decay >= 0:
            raise InputError(f"weight_decay must be >= 0, got {self.weight_decay}")

    def new_optimizer(self, model: nn.Module) -> torch.optim.SGD:
        """Return a new SGD for this model."""
        return torch.optim.SGD(
            model.parameters(),
            lr=self.learning_rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            fused=True,
        )


class LocalTraining:
    """One client in one round: the received model, about to be trained on the client's images.

    Args:
        message: has the model in "arrays" and settings in "config".
        context: of the client; its state outlives the round.
        dataset: all images, on the model's device.
        shard: the client's.
        model: gets the received weights.
        recipe: how to train.
        seed: of the run.

    Attributes:
        content: all records of the message.
        config: the settings in it.
        state: what the client keeps from round to round.
        model: trained in place.
        start: (by name) copies of the received parameters, w_t in the papers. Buffers are not in it.
        recipe: as given.
        steps: how many steps `train` took.
    """

    def __init__(
        self,
        message: Message,
        context: Context,
        dataset: ImageDataset,
        shard: Shard,
        model: nn.Module,
        recipe: Recipe,
        seed: int,
    ) -> None:
        self.content, self.config, self.state = message.content, message.content["config"], context.state
        self.model, self.recipe, self.steps = model, recipe, 0
        model.load_state_dict(self.content["arrays"].to_torch_state_dict())
        self.start = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
        self.dataset, self.shard = dataset, shard
        self._optimizer = recipe.new_optimizer(model)
        client = context.node_config["partition-id"]
        self._seed = derive_seed(seed, "train", self.config["server-round"], client)
        self._loss = 0.0

    def before_each_step(self, correct: Callable[[], None]) -> None:
        """Call `correct` when the gradients are there: what it adds to them counts as part of the local loss."""
        self._optimizer.register_step_pre_hook(lambda *_: correct())

    def after_each_step(self, correct: Callable[[], None]) -> None:
        """Call `correct` when a step has been taken: what it does to the parameters stays out of the momentum."""
        self._optimizer.register_step_post_hook(lambda *_: correct())

    def train(self) -> None:
        """Train the model for the local epochs, or for the steps that the message allows, if those are fewer."""
        images, examples = self.shard.train, len(self.shard.train)
        steps_an_epoch = -(-examples // self.recipe.batch_size)
        all_steps = self.recipe.local_epochs * steps_an_epoch
        self.steps = min(int(self.config.get(MAX_STEPS, all_steps)), all_steps)
        epochs, rest = divmod(self.steps, steps_an_epoch)
        seen, total = 0, 0.0
        if epochs:
            seen += epochs * examples
            total += seen * self._take_steps(images, epochs, self._seed)
        if rest:  # part of an epoch: so many batches from a random order
            order = torch.randperm(examples, generator=torch.Generator().manual_seed(self._seed)).numpy()
            part = images[order[: rest * self.recipe.batch_size]]
            seen += len(part)
            total += len(part) * self._take_steps(part, 1, self._seed + 1)
        self._loss = total / seen

    def _take_steps(self, indices: Tensor, epochs: int, seed: int) -> float:
        return train(
            self.model,
            self.dataset.train_images,
            self.dataset.train_labels,
            indices,
            self._optimizer,
            epochs=epochs,
            batch_size=self.recipe.batch_size,
            seed=seed,
        )

    def reply(self, **metrics: float) -> RecordDict:
        """Return the trained model and what is to be known about the training: the content of the client's answer."""
        known = {"loss": self._loss, "steps": self.steps, "num-examples": len(self.shard.train)}
        return RecordDict({"arrays": ArrayRecord(self.model.state_dict()), "metrics": MetricRecord(known | metrics)})


def tensors(record: RecordDict, key: str, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors under `key`, or zeros like those in `like` where there is no such key yet."""
    if key not in record:
        return {name: torch.zeros_like(tensor) for name, tensor in like.items()}
    kept = record[key].to_torch_state_dict()
    return {name: kept[name].to(tensor.device) for name, tensor in like.items()}


def setting(config: ConfigRecord, name: str) -> float:
    """Return a setting that the server must have sent.

    Raises:
        InputError: it has not.
    """
    if name not in config:
        raise InputError(f"the server's message must have {name!r} in its config, got {sorted(config)}")
    return float(config[name])
