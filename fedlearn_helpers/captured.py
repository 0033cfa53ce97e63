"""Steps of training that a GPU records once and replays: launching its kernels takes longer than computing them.

A recorded step (a CUDA graph) reads and writes the same places in memory every time: the model's weights, into which
each client's are loaded, a batch's indices, and what an algorithm corrects with. So one recording serves all clients,
and whatever decides its bits is in its key. What cannot be recorded is trained by `training.train`, step by step.
"""

import functools
import random
import types
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_modules
from torch.optim import optimizer as optimizers

from fedlearn_helpers.device import is_out_of_memory
from fedlearn_helpers.seeds import seeded
from fedlearn_helpers.tasks import IMAGES, Task

DEVICE = "cuda"  # where steps are recorded
_MOST = 4  # recordings of one model: each has memory of its own, and a new one takes some 20 ms
_WARM_UP = 3  # steps before the recording, in which libraries and the optimizer allocate what they keep
_OPTIMIZERS = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)
_PLAIN = (bool, int, float, str, tuple, types.NoneType, types.FunctionType)  # values that are compared by value
_MODULE_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_PARAMETER_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")


@dataclass(frozen=True, eq=False)
class Correction:
    """What an algorithm changes in every step of an optimizer, parameter by parameter.

    Attributes:
        function: called with the gradient, where it is one `of_gradients`, the parameter, the parameter's entry of each
            constant, and the numbers by name; changes the first of them in place. It computes with nothing else.
        parameters: of the model, by name.
        constants: tensors for each parameter, by its name; of the same shapes for every client.
        numbers: by name.
        of_gradients: whether it is called before the step, to change gradients, or after it, to change parameters.
    """

    function: Callable[..., object]
    parameters: Mapping[str, nn.Parameter]
    constants: tuple[Mapping[str, Tensor], ...]
    numbers: Mapping[str, float]
    of_gradients: bool

    def register(self, optimizer: torch.optim.Optimizer) -> None:
        """Let the optimizer call it in every step."""
        if self.of_gradients:
            optimizer.register_step_pre_hook(self)
        else:
            optimizer.register_step_post_hook(self)

    @torch.no_grad()
    def __call__(self, *_: object) -> None:
        """Correct all parameters, or their gradients."""
        for name, parameter in self.parameters.items():
            constants = [tensors[name] for tensors in self.constants]
            if self.of_gradients:
                assert parameter.grad is not None, "every parameter of the model takes part in the loss"
                self.function(parameter.grad, parameter, *constants, **self.numbers)
            else:
                self.function(parameter, *constants, **self.numbers)

    @property
    def is_of_a_module(self) -> bool:
        """Whether the function is a module's, and not made anew by another function, with what that had at hand."""
        return "<locals>" not in getattr(self.function, "__qualname__", "<locals>")

    @property
    def key(self) -> Hashable:
        """What must be the same for a recording to be used."""
        return self.function, tuple(self.numbers.items()), self.of_gradients


def captured(train: Callable[..., float]) -> Callable[..., float]:
    """Decorate `training.train`: on a GPU, a recorded step is replayed where there can be one."""

    @functools.wraps(train)
    def train_by_recording(
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        indices: Tensor | np.ndarray,
        optimizer: torch.optim.Optimizer,
        **options: Any,
    ) -> float:
        if images.device.type == DEVICE and 1 <= options["batch_size"] <= len(indices) and options["epochs"] >= 1:
            loss = _train(model, images, labels, torch.as_tensor(indices), optimizer, **options)
            if loss is not None:
                return loss
        return train(model, images, labels, indices, optimizer, **options)

    return train_by_recording


def _train(
    model: nn.Module,
    examples: Tensor,
    targets: Tensor,
    indices: Tensor,
    optimizer: torch.optim.Optimizer,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    task: Task = IMAGES,
) -> float | None:
    """Do what `training.train` does by a recorded step; return None, and do nothing, where there can be none."""
    model.train()
    generator = torch.Generator().manual_seed(seed)
    orders = [indices[torch.randperm(len(indices), generator=generator)].to(examples.device) for _ in range(epochs)]
    step = _step_for(model, examples, targets, orders[0][:batch_size], optimizer, task)
    if step is None:
        return None
    step.begin(optimizer)
    for order in orders:
        for batch in order.split(batch_size):
            if len(batch) == batch_size:
                step.replay(batch)
            else:
                step.take(model, batch)
    step.end(optimizer)
    model.zero_grad()
    return step.total.item() / (epochs * len(indices))


class _Step:
    """A step of training at fixed places in memory; `replay` takes it once it is recorded."""

    def __init__(
        self, examples: Tensor, targets: Tensor, batch: Tensor, optimizer: torch.optim.Optimizer, task: Task
    ) -> None:
        self._examples, self._targets, self._task = examples, targets, task
        self._batch = batch.clone()
        self.total = torch.zeros((), device=examples.device)  # of the losses of all examples so far
        fixed = {"fused": True, "foreach": False, "capturable": True}
        groups = [{name: fixed.get(name, value) for name, value in group.items()} for group in optimizer.param_groups]
        kind: Any = type(optimizer)
        self._optimizer: torch.optim.Optimizer = kind(groups)
        self._corrections = [
            replace(given, constants=tuple(_copies(tensors) for tensors in given.constants))
            for given in _hooks(optimizer)
        ]
        for correction in self._corrections:
            correction.register(self._optimizer)

    def take(self, model: nn.Module, batch: Tensor) -> None:
        """Take a step as `training.train` does."""
        model.zero_grad()
        loss = self._task.loss(model(self._task.inputs(self._examples[batch])), self._targets[batch])
        loss.backward()
        self._optimizer.step()
        self.total += loss.detach() * len(batch)

    def record(self, model: nn.Module) -> None:
        """Record a step; the model, and all random numbers, are afterwards as before.

        Raises:
            NotRecordable: a step does something that a recording does not repeat.
        """
        with _left_as_it_was(model), seeded(0):
            before = _settings(model), _random_states()
            self._replay = record(functools.partial(self.take, model, self._batch), self.total.device)
            if (_settings(model), _random_states()) != before:
                raise NotRecordable

    def replay(self, batch: Tensor) -> None:
        """Take the recorded step on another batch."""
        self._batch.copy_(batch)
        self._replay()

    def begin(self, optimizer: torch.optim.Optimizer) -> None:
        """Go on where an optimizer is, with the constants of its corrections; without a state it is at the start."""
        self.total.zero_()
        for parameter, state in self._optimizer.state.items():
            given = optimizer.state.get(parameter, {})
            for name, tensor in state.items():
                tensor.zero_() if given.get(name) is None else tensor.copy_(given[name])
        for own, correction in zip(self._corrections, _hooks(optimizer), strict=True):
            for fixed, constants in zip(own.constants, correction.constants, strict=True):
                for name, tensor in fixed.items():
                    tensor.copy_(constants[name])

    def end(self, optimizer: torch.optim.Optimizer) -> None:
        """Give the optimizer the state in which it would be."""
        on_gpu = {id(p): g.get("fused") or g.get("capturable") for g in optimizer.param_groups for p in g["params"]}
        for parameter, state in self._optimizer.state.items():
            copies = _copies(state)
            if "step" in copies and not on_gpu[id(parameter)]:
                copies["step"] = copies["step"].cpu()
            optimizer.state[parameter] = copies


class NotRecordable(Exception):
    """A step does something that a recording does not repeat, such as drawing random numbers."""


_STEPS: WeakKeyDictionary[nn.Module, OrderedDict[Hashable, _Step | None]] = WeakKeyDictionary()


def _step_for(
    model: nn.Module, examples: Tensor, targets: Tensor, batch: Tensor, optimizer: torch.optim.Optimizer, task: Task
) -> _Step | None:
    """Return the recorded step for all of this, recording it if need be; None where there can be none."""
    if not _is_plain(model, examples, optimizer):
        return None
    key = _key(model, examples, targets, len(batch), optimizer, task)
    try:
        steps = _STEPS.setdefault(model, OrderedDict())
        known = key in steps
    except TypeError:  # something of it cannot be compared
        return None
    if known:
        steps.move_to_end(key)
    else:
        steps[key] = _recorded(model, _Step(examples, targets, batch, optimizer, task))
        if len(steps) > _MOST:
            steps.popitem(last=False)
    return steps[key]


def _recorded(model: nn.Module, step: _Step) -> _Step | None:
    try:
        step.record(model)
    except Exception as error:  # of any kind; a step that can never be taken says why when it is taken
        if is_out_of_memory(error):
            raise
        return None
    return step


def record(step: Callable[[], None], device: torch.device) -> Callable[[], object]:
    """Record what a step does on a GPU, and return what does it again."""
    with torch.cuda.device(device):
        stream, current, waiting = _side_stream(device), torch.cuda.current_stream(), torch.cuda.get_sync_debug_mode()
        stream.wait_stream(current)
        try:
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UP):
                    step()
                torch.cuda.set_sync_debug_mode("error")  # a step that waits for the GPU would break off a recording
                step()
        finally:
            torch.cuda.set_sync_debug_mode(waiting)
            current.wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            step()
    return graph.replay


@functools.cache
def _side_stream(device: torch.device) -> torch.cuda.Stream:
    """Return the stream on which all steps are recorded, so that cuBLAS has one workspace for all."""
    return torch.cuda.Stream(device)


def _is_plain(model: nn.Module, examples: Tensor, optimizer: torch.optim.Optimizer) -> bool:
    """Tell whether training is made of nothing but the model, the optimizer and known corrections."""
    modules, parameters, groups = list(model.modules()), list(model.parameters()), optimizer.param_groups
    hooks = [getattr(module, kind) for module in modules for kind in _MODULE_HOOKS]
    hooks += [getattr(parameter, kind, None) for parameter in parameters for kind in _PARAMETER_HOOKS]
    options = [value for group in groups for name, value in group.items() if name != "params"]
    known = {id(parameter) for parameter in parameters}
    return (
        type(optimizer) in _OPTIMIZERS
        and all(p.dtype == torch.float32 and p.device == examples.device for p in parameters)
        and known.issuperset(id(parameter) for group in groups for parameter in group["params"])
        and all(isinstance(option, _PLAIN) for option in options)  # a rate in a tensor may change in its place
        and not any(group.get("dampening") or group.get("differentiable") for group in groups)
        and not any(hooks)
        and not torch_modules._has_any_global_hook()
        and not optimizers._global_optimizer_pre_hooks
        and not optimizers._global_optimizer_post_hooks
        and all(isinstance(hook, Correction) and hook.is_of_a_module for hook in _hooks(optimizer))
        and torch.is_grad_enabled()
        and not torch.is_autocast_enabled(examples.device.type)
    )


def _key(
    model: nn.Module,
    examples: Tensor,
    targets: Tensor,
    batch_size: int,
    optimizer: torch.optim.Optimizer,
    task: Task,
) -> Hashable:
    """Return all that decides what a recorded step does: what is not written in the places that it reads."""
    own = [*model.parameters(), *model.buffers()]
    return (
        tuple((id(tensor), tensor.requires_grad) for tensor in own),
        tuple((t.data_ptr(), t.dtype, t.shape, t.stride()) for t in (*own, examples, targets)),
        batch_size,
        task,
        type(optimizer),
        tuple(
            (tuple(map(id, group["params"])), tuple((name, group[name]) for name in sorted(group) if name != "params"))
            for group in optimizer.param_groups
        ),
        tuple(correction.key for correction in _hooks(optimizer)),
        tuple((id(module), type(module), tuple(settings.items())) for module, settings in _settings(model)),
    )


def _hooks(optimizer: torch.optim.Optimizer) -> list[Any]:
    return [*optimizer._optimizer_step_pre_hooks.values(), *optimizer._optimizer_step_post_hooks.values()]


def _settings(model: nn.Module) -> list[tuple[nn.Module, dict[str, Any]]]:
    """Return what each module is set to, such as its momentum, or the function that takes the place of its own."""
    return [
        (module, {name: value for name, value in vars(module).items() if isinstance(value, _PLAIN)})
        for module in model.modules()
    ]


@contextmanager
def _left_as_it_was(model: nn.Module) -> Iterator[None]:
    tensors = [tensor.detach() for tensor in (*model.parameters(), *model.buffers())]
    copies, settings = [tensor.clone() for tensor in tensors], _settings(model)
    try:
        yield
    finally:
        for tensor, copy in zip(tensors, copies, strict=True):
            tensor.copy_(copy)
        for module, values in settings:
            vars(module).update(values)
        model.zero_grad()


def _random_states() -> list[object]:
    """Return the states of all global random generators, to be compared."""
    kind, numbers, *rest = np.random.get_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    torch_states = [bytes(state.numpy()) for state in (torch.get_rng_state(), *cuda)]
    return [random.getstate(), kind, bytes(np.asarray(numbers)), rest, torch_states]


def _copies(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}
