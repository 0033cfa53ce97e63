"""A client's local training, and the two places in a step where an algorithm may correct it."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from fedlearn_helpers.data import ImageDataset
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.partition import Shard
from fedlearn_helpers.seeds import derive_seed
from fedlearn_helpers.training import normalize, train

MAX_STEPS = "max-steps"  # in a message's config: the client takes so many steps and no more


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
        first: the weights of what the server does not send, where it sends a part of the model only.
        purpose: together with seed, round and client it decides the order of the images.

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
        *,
        first: Mapping[str, Tensor] | None = None,
        purpose: str = "train",
    ) -> None:
        self.content, self.config, self.state = message.content, message.content["config"], context.state
        self.model, self.recipe, self.steps = model, recipe, 0
        self.dataset, self.shard = dataset, shard
        client = context.node_config["partition-id"]
        self._seed = derive_seed(seed, purpose, self.config["server-round"], client)
        self._loss: float | None = None
        received = self.content["arrays"].to_torch_state_dict()
        if first is not None:
            received = dict(first) | {name: tensor for name, tensor in received.items() if name in first}
        self.load(received)
        self.start = self.parameters()

    def parameters(self) -> dict[str, Tensor]:
        """Return copies of the model's parameters by name. Buffers are not in it."""
        return {name: parameter.detach().clone() for name, parameter in self.model.named_parameters()}

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Go on with other weights, with a new optimizer and without corrections."""
        self.model.load_state_dict(weights)
        self._optimizer = self.recipe.new_optimizer(self.model)

    def before_each_step(self, correct: Callable[[], None]) -> None:
        """Call `correct` when the gradients are there: what it adds to them counts as part of the local loss."""
        self._optimizer.register_step_pre_hook(lambda *_: correct())

    def after_each_step(self, correct: Callable[[], None]) -> None:
        """Call `correct` when a step has been taken: what it does to the parameters stays out of the momentum."""
        self._optimizer.register_step_post_hook(lambda *_: correct())

    def train(self, epochs: int | None = None) -> None:
        """Train the model for the local epochs, or for the steps that the message allows, if those are fewer.

        Args:
            epochs: in place of the recipe's; >= 1.
        """
        seed = self._next_seed()
        images, examples = self.shard.train, len(self.shard.train)
        steps_an_epoch = -(-examples // self.recipe.batch_size)
        all_steps = (epochs or self.recipe.local_epochs) * steps_an_epoch
        self.steps = min(int(self.config.get(MAX_STEPS, all_steps)), all_steps)
        whole, rest = divmod(self.steps, steps_an_epoch)
        seen, total = 0, 0.0
        if whole:
            seen += whole * examples
            total += seen * self._take_steps(images, whole, seed)
        if rest:  # part of an epoch: so many batches from a random order
            order = torch.randperm(examples, generator=torch.Generator().manual_seed(seed)).numpy()
            part = images[order[: rest * self.recipe.batch_size]]
            seen += len(part)
            total += len(part) * self._take_steps(part, 1, seed + 1)
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

    def _next_seed(self) -> int:
        """Return a seed for every order of the images that this turn needs; one may need two for an epoch."""
        self._seed += 2
        return self._seed - 2

    @contextmanager
    def only(self, names: Collection[str]) -> Iterator[None]:
        """Inside the block, training changes these parameters and no others."""
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name in names)
        try:
            yield
        finally:
            self.model.requires_grad_(True)

    def loss(self, parameters: Mapping[str, Tensor], batch: Tensor) -> Tensor:
        """Return the mean cross-entropy in nats of the model with these parameters, to be differentiated by them.

        Args:
            parameters: by name; the model itself stays as it is.
            batch: (n,) int64, training images.
        """
        scores = functional_call(self.model, dict(parameters), (normalize(self.dataset.train_images[batch]),))
        return F.cross_entropy(scores, self.dataset.train_labels[batch])

    def batches(self, epochs: int | None = None) -> Iterator[Tensor]:
        """Yield the client's training images, batch after batch, for algorithms with steps of their own.

        Every epoch is in another order. The message may allow fewer steps, as in `train`.

        Args:
            epochs: in place of the recipe's; >= 1.
        """
        generator = torch.Generator().manual_seed(self._next_seed())
        images = torch.as_tensor(self.shard.train)
        most, taken = self.config.get(MAX_STEPS, math.inf), 0
        for _ in range(epochs or self.recipe.local_epochs):
            order = images[torch.randperm(len(images), generator=generator)]
            for batch in order.to(self.dataset.train_images.device).split(self.recipe.batch_size):
                if taken >= most:
                    return
                self.steps = taken = taken + 1
                yield batch

    def reply(self, **metrics: float) -> RecordDict:
        """Return what the client answers: the weights that the server has sent, as they are now, and metrics."""
        known = {"steps": self.steps, "num-examples": len(self.shard.train)}
        if self._loss is not None:  # algorithms with steps of their own do not measure it
            known = {"loss": self._loss} | known
        sent = self.content["arrays"]
        weights = {name: tensor for name, tensor in self.model.state_dict().items() if name in sent}
        return RecordDict({"arrays": ArrayRecord(weights), "metrics": MetricRecord(known | metrics)})


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
