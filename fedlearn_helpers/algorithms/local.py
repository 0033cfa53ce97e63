"""A client's local training, and the two places in a step where an algorithm may correct it."""

import functools
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from torch import Tensor, nn
from torch.func import functional_call

from fedlearn_helpers.captured import Correction, repeated
from fedlearn_helpers.data import Dataset
from fedlearn_helpers.errors import InputError, check_number, check_whole_number
from fedlearn_helpers.partition import Shard
from fedlearn_helpers.seeds import derive_seed
from fedlearn_helpers.simulation.position import client_of, training_round
from fedlearn_helpers.training import Evaluation, evaluate, in_dtype, train

MAX_STEPS = "max-steps"  # in a message's config: the client computes so many gradients of batches and no more
_NO_LIMIT = sys.maxsize


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
            check_number(name, getattr(self, name), ">= 1", lambda number: number >= 1)
            check_whole_number(name, getattr(self, name), 1)
        check_number("learning_rate", self.learning_rate, "> 0", lambda rate: rate > 0)
        check_number("momentum", self.momentum, "in [0, 1)", lambda momentum: 0 <= momentum < 1)
        check_number("weight_decay", self.weight_decay, ">= 0", lambda decay: decay >= 0)

    @property
    def sgd(self) -> Callable[..., torch.optim.SGD]:
        """SGD with all but the learning rate: called with parameters and `lr`."""
        return functools.partial(torch.optim.SGD, momentum=self.momentum, weight_decay=self.weight_decay)

    def new_optimizer(self, model: nn.Module) -> torch.optim.SGD:
        """Return a new SGD for this model."""
        return self.sgd(model.parameters(), lr=self.learning_rate, fused=True)


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
        allowed: how many gradients of batches the message allows in this round.
        steps: how many were computed so far; a step of SGD takes one, and one of another kind may take several.

    Raises:
        InputError: a message that allows less than one step.
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
        self.allowed = int(cast(int, self.config.get(MAX_STEPS, _NO_LIMIT)))
        if self.allowed < 1:
            raise InputError(f"{MAX_STEPS} must be >= 1, got {self.allowed}")
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
        """Go on with other weights, with a new optimizer and without corrections.

        What the model counts in whole numbers, as BatchNorm does, is rounded: Flower's averages of it are floats.
        """
        counters = [name for name, buffer in self.model.named_buffers() if not buffer.is_floating_point()]
        averaged = [name for name in counters if name in weights and weights[name].is_floating_point()]
        if averaged:
            weights = {**weights, **{name: weights[name].round() for name in averaged}}
        self.model.load_state_dict(weights)
        self._optimizer = self.local_config.new_optimizer(self.model)

    def before_each_step(
        self, correct: Callable[..., object], *constants: Mapping[str, Tensor], **numbers: float
    ) -> None:
        """Correct the gradients when they are there: what is added to them counts as part of the local loss.

        On a GPU such steps are recorded, and quick, where `correct` is a function of a module.

        Args:
            correct: is called for every parameter with its gradient, to be changed in place, the parameter, the
                parameter's entry of each of the constants, and the numbers. It computes with nothing else.
            constants: tensors by name of the parameter; they stay as they are while the model trains.
            numbers: by name.
        """
        self._correct(correct, constants, numbers, of_gradients=True)

    def after_each_step(
        self, correct: Callable[..., object], *constants: Mapping[str, Tensor], **numbers: float
    ) -> None:
        """Correct the parameters when a step has been taken: what that does to them stays out of the momentum.

        Args:
            correct: as for `before_each_step`, but it gets no gradient, and changes the parameter in place.
            constants, numbers: as there.
        """
        self._correct(correct, constants, numbers, of_gradients=False)

    def _correct(
        self,
        correct: Callable[..., object],
        constants: tuple[Mapping[str, Tensor], ...],
        numbers: Mapping[str, float],
        *,
        of_gradients: bool,
    ) -> None:
        parameters = dict(self.model.named_parameters())
        Correction(correct, parameters, constants, numbers, of_gradients).register(self._optimizer)

    def train(self, epochs: int | None = None, *, most: int = _NO_LIMIT) -> None:
        """Train the model for the local epochs, or for the steps that the message still allows, if those are fewer.

        Args:
            epochs: in place of the configuration's; >= 1.
            most: so many steps and no more, for algorithms that train again in the same round; >= 0.

        Raises:
            InputError: the client has no training examples.
        """
        seed = self._next_seed()
        indices, examples = self.shard.train, len(self.shard.train)
        steps_an_epoch = self._steps_an_epoch()
        all_steps = (epochs or self.local_config.local_epochs) * steps_an_epoch
        steps = min(all_steps, most, self.allowed - self.steps)
        if steps == 0:
            return
        self.steps += steps
        whole, rest = divmod(steps, steps_an_epoch)
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

    def _steps_an_epoch(self) -> int:
        if len(self.shard.train) == 0:
            raise InputError("indices must name at least one training example, got none")
        return -(-len(self.shard.train) // self.local_config.batch_size)

    def _next_seed(self) -> int:
        """Return a seed for every order of the examples that this round needs; a part of an epoch needs two."""
        self._seed += 2
        return self._seed - 2

    @contextmanager
    def only(self, names: Collection[str]) -> Iterator[None]:
        """Inside the block, training changes these parameters and no others; what is frozen stays so."""
        held = [
            parameter
            for name, parameter in self.model.named_parameters()
            if parameter.requires_grad and name not in names
        ]
        for parameter in held:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in held:
                parameter.requires_grad_(True)

    def loss(self, parameters: Mapping[str, Tensor], batch: Tensor) -> Tensor:
        """Return the mean loss of the model with these parameters on a batch, to be differentiated by them.

        Args:
            parameters: by name; the model itself stays as it is.
            batch: (n,) int64, training examples.
        """
        task, dataset = self.dataset.task, self.dataset
        inputs = in_dtype(task.inputs(dataset.train_inputs[batch]), next(iter(parameters.values())).dtype)
        outputs = functional_call(self.model, dict(parameters), (inputs,))
        return task.loss(outputs, dataset.train_targets[batch])

    def repeat(
        self,
        step: Callable[..., Sequence[dict[str, Tensor]]],
        states: Sequence[dict[str, Tensor]],
        batches: Sequence[Tensor],
        **numbers: float,
    ) -> Sequence[dict[str, Tensor]]:
        """Return the states after `states = step(self.loss, *states, batch, **numbers)` for every batch.

        On a GPU such steps are recorded, and quick, where `step` is a function of a module.

        Args:
            step: computes new states with nothing but its arguments.
            states: tensors by name.
            batches: as `batches` yields them.
            numbers: by name.
        """
        return repeated(
            step,
            self.loss,
            states,
            batches,
            numbers,
            model=self.model,
            examples=self.dataset.train_inputs,
            targets=self.dataset.train_targets,
            task=self.dataset.task,
        )

    def training_loss(self) -> float:
        """Return the mean loss of the model, as it is now, on all of the client's training examples."""
        return self._evaluate(self.shard.train).loss

    def _evaluate(self, indices: np.ndarray) -> Evaluation:
        dataset = self.dataset
        return evaluate(self.model, dataset.train_inputs, dataset.train_targets, indices, task=dataset.task)

    def batches(self, count: int = 1, *, gradients: int, epochs: int | None = None) -> Iterator[tuple[Tensor, ...]]:
        """Yield the client's training examples, batch after batch, for algorithms with steps of their own.

        Every epoch is in another order. The message may allow fewer steps, as in `train`.

        Args:
            count: so many independent batches for each step.
            gradients: of batches that a step computes, >= 1.
            epochs: in place of the configuration's; >= 1.

        Raises:
            InputError: the client has no training examples.
        """
        all_steps = (epochs or self.local_config.local_epochs) * self._steps_an_epoch()
        steps = min(all_steps, (self.allowed - self.steps) // gradients)
        orders = [self._batches_in_random_order(self._next_seed()) for _ in range(count)]
        for _ in range(steps):
            self.steps += gradients
            yield tuple(next(order) for order in orders)

    def _batches_in_random_order(self, seed: int) -> Iterator[Tensor]:
        """Yield batches without end, every epoch in another order."""
        generator = torch.Generator().manual_seed(seed)
        examples = torch.as_tensor(self.shard.train)
        while True:
            order = examples[torch.randperm(len(examples), generator=generator)]
            yield from order.to(self.dataset.train_inputs.device).split(self.local_config.batch_size)

    def reply(self, **metrics: float) -> RecordDict:
        """Return what the client answers: the weights that the server has sent, as they are now, and metrics.

        One of them is `steps`, the gradients of batches that were computed so far.
        """
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
