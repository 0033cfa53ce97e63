"""A client's local training, and the two places in a step where an algorithm may correct it."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from torch import Tensor, nn
from torch.func import functional_call

from fedlearn_helpers.data import Dataset
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.partition import Shard
from fedlearn_helpers.seeds import derive_seed
from fedlearn_helpers.simulation.position import client_of, training_round
from fedlearn_helpers.training import Evaluation, evaluate, train

MAX_STEPS = "max-steps"  # in a message's config: the client takes so many steps and no more


@dataclass(frozen=True)
class LocalConfig:
    """The local training configuration: stochastic gradient descent (SGD), as the algorithms' papers assume.

    Attributes:
        local_epochs: passes over the client's training examples in a round, >= 1.
        batch_size: examples a step, >= 1.
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
    """One client in one round: the received model, about to be trained on the client's examples.

    Args:
        message: has the model in "arrays" and settings in "config".
        context: of the client; its state outlives the round.
        dataset: all examples, on the model's device.
        shard: the client's.
        model: gets the received weights.
        local_config: how to train.
        seed: of the run.
        first: the weights of what the server does not send, where it sends a part of the model only.
        purpose: together with seed, round and client it decides the order of the examples.

    Attributes:
        content: all records of the message.
        config: the settings in it.
        state: what the client keeps from round to round.
        model: trained in place.
        start: (by name) copies of the received parameters, w_t in the papers. Buffers are not in it.
        dataset, shard, local_config: as given.
        steps: how many steps `train` took.
    """

    def __init__(
        self,
        message: Message,
        context: Context,
        dataset: Dataset,
        shard: Shard,
        model: nn.Module,
        local_config: LocalConfig,
        seed: int,
        *,
        first: Mapping[str, Tensor] | None = None,
        purpose: str = "train",
    ) -> None:
        self.content, self.config, self.state = message.content, message.content.config_records["config"], context.state
        self.model, self.local_config, self.steps = model, local_config, 0
        self.dataset, self.shard = dataset, shard
        self._seed = derive_seed(seed, purpose, training_round(self.content), client_of(context))
        self._loss: float | None = None
        received: Mapping[str, Tensor] = self.received.to_torch_state_dict()
        if first is not None:
            received = dict(first) | {name: tensor for name, tensor in received.items() if name in first}
        self.load(received)
        self.start = self.parameters()

    @property
    def received(self) -> ArrayRecord:
        """The arrays that the server has sent."""
        return self.content.array_records["arrays"]

    def parameters(self) -> dict[str, Tensor]:
        """Return copies of the model's parameters by name. Buffers are not in it."""
        return {name: parameter.detach().clone() for name, parameter in self.model.named_parameters()}

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Go on with other weights, with a new optimizer and without corrections."""
        self.model.load_state_dict(weights)
        self._optimizer = self.local_config.new_optimizer(self.model)

    def before_each_step(self, correct: Callable[[], None]) -> None:
        """Call `correct` when the gradients are there: what it adds to them counts as part of the local loss."""
        self._optimizer.register_step_pre_hook(lambda *_: correct())

    def after_each_step(self, correct: Callable[[], None]) -> None:
        """Call `correct` when a step has been taken: what it does to the parameters stays out of the momentum."""
        self._optimizer.register_step_post_hook(lambda *_: correct())

    def train(self, epochs: int | None = None) -> None:
        """Train the model for the local epochs, or for the steps that the message allows, if those are fewer.

        Args:
            epochs: in place of the configuration's; >= 1.
        """
        seed = self._next_seed()
        indices, examples = self.shard.train, len(self.shard.train)
        steps_an_epoch = -(-examples // self.local_config.batch_size)
        all_steps = (epochs or self.local_config.local_epochs) * steps_an_epoch
        self.steps = min(int(cast(int, self.config.get(MAX_STEPS, all_steps))), all_steps)
        whole, rest = divmod(self.steps, steps_an_epoch)
        seen, total = 0, 0.0
        if whole:
            seen += whole * examples
            total += seen * self._take_steps(indices, whole, seed)
        if rest:  # part of an epoch: so many batches from a random order
            order = torch.randperm(examples, generator=torch.Generator().manual_seed(seed)).numpy()
            part = indices[order[: rest * self.local_config.batch_size]]
            seen += len(part)
            total += len(part) * self._take_steps(part, 1, seed + 1)
        self._loss = total / seen

    def _take_steps(self, indices: np.ndarray, epochs: int, seed: int) -> float:
        return train(
            self.model,
            self.dataset.train_inputs,
            self.dataset.train_targets,
            indices,
            self._optimizer,
            epochs=epochs,
            batch_size=self.local_config.batch_size,
            seed=seed,
            task=self.dataset.task,
        )

    def _next_seed(self) -> int:
        """Return a seed for every order of the examples that this round needs; a part of an epoch needs two."""
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
        """Return the mean loss of the model with these parameters on a batch, to be differentiated by them.

        Args:
            parameters: by name; the model itself stays as it is.
            batch: (n,) int64, training examples.
        """
        task, dataset = self.dataset.task, self.dataset
        outputs = functional_call(self.model, dict(parameters), (task.inputs(dataset.train_inputs[batch]),))
        return task.loss(outputs, dataset.train_targets[batch])

    def training_loss(self) -> float:
        """Return the mean loss of the model, as it is now, on all of the client's training examples."""
        return self._evaluate(self.shard.train).loss

    def _evaluate(self, indices: np.ndarray) -> Evaluation:
        dataset = self.dataset
        return evaluate(self.model, dataset.train_inputs, dataset.train_targets, indices, task=dataset.task)

    def batches(self, epochs: int | None = None) -> Iterator[Tensor]:
        """Yield the client's training examples, batch after batch, for algorithms with steps of their own.

        Every epoch is in another order. The message may allow fewer steps, as in `train`.

        Args:
            epochs: in place of the configuration's; >= 1.
        """
        generator = torch.Generator().manual_seed(self._next_seed())
        examples = torch.as_tensor(self.shard.train)
        most, taken = float(cast(float, self.config.get(MAX_STEPS, math.inf))), 0
        for _ in range(epochs or self.local_config.local_epochs):
            order = examples[torch.randperm(len(examples), generator=generator)]
            for batch in order.to(self.dataset.train_inputs.device).split(self.local_config.batch_size):
                if taken >= most:
                    return
                self.steps = taken = taken + 1
                yield batch

    def reply(self, **metrics: float) -> RecordDict:
        """Return what the client answers: the weights that the server has sent, as they are now, and metrics."""
        known: dict[str, float] = {"steps": self.steps, "num-examples": len(self.shard.train)}
        if self._loss is not None:  # algorithms with steps of their own do not measure it
            known = {"loss": self._loss} | known
        received = self.received
        weights = {name: tensor for name, tensor in self.model.state_dict().items() if name in received}
        return RecordDict({"arrays": ArrayRecord(weights), "metrics": MetricRecord({**known, **metrics})})


def tensors(record: RecordDict, key: str, like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors under `key`, or zeros like those in `like` where there is no such key yet."""
    if key not in record:
        return {name: torch.zeros_like(tensor) for name, tensor in like.items()}
    kept = record.array_records[key].to_torch_state_dict()
    return {name: kept[name].to(tensor.device) for name, tensor in like.items()}


def setting(config: ConfigRecord, name: str) -> float:
    """Return a number that the server must have sent.

    Raises:
        InputError: it has not.
    """
    if name not in config:
        raise InputError(f"the server's message must have {name!r} in its config, got {sorted(config)}")
    return float(cast(float, config[name]))


def gradient_of(parameter: nn.Parameter) -> Tensor:
    """Return the gradient that the last backward pass has left, to be changed in place."""
    assert parameter.grad is not None, "every parameter of the model takes part in the loss"
    return parameter.grad
