"""Steps of training that a GPU records once and replays: launching its kernels takes longer than computing them.

A recorded step (a CUDA graph) reads and writes the same places in memory every time: the model's weights, into which
each client's are loaded, a batch's indices, and what an algorithm corrects with. So one recording serves all clients,
and whatever decides its bits is in its key. What cannot be recorded is trained by `training.train`, step by step.
"""

import functools
import logging
import random
import types
import warnings
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
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
    def key(self) -> Hashable:
        """What must be the same for a recording to be used."""
        return self.function, _globals_of(self.function), tuple(self.numbers.items()), self.of_gradients


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


Parameters = dict[str, Tensor]


def repeated(
    step: Callable[..., Sequence[Parameters]],
    loss: Callable[[Mapping[str, Tensor], Tensor], Tensor],
    states: Sequence[Parameters],
    batches: Sequence[Tensor],
    numbers: Mapping[str, float],
    *,
    model: nn.Module,
    examples: Tensor,
    targets: Tensor,
    task: Task,
) -> Sequence[Parameters]:
    """Return the states after `states = step(loss, *states, batch, **numbers)` for every batch.

    On a GPU, the step is recorded where it can be.

    Args:
        step: computes new states with nothing but its arguments.
        loss: of the model with some parameters on a batch, computed with the model, the task, and what is in examples
            and targets.
        states: tensors by name.
        batches: (n,) int64 each; one after another.
        numbers: by name.
        model, examples, targets, task: what the loss computes with.
    """
    recorded = None
    if batches and examples.device.type == DEVICE and _is_plain(model, examples) and _is_of_a_module(step):
        key = (
            *(step, _globals_of(step), tuple(numbers.items()), len(batches[0]), _key_of_task(task)),
            *(_key_of_model(model), _places((examples, targets))),
            tuple((name, tensor.shape, tensor.dtype) for state in states for name, tensor in state.items()),
        )
        recorded = _kept(model, key, lambda: _Repeated(step, loss, states, batches[0], model, numbers))
    if recorded is None:
        for batch in batches:
            states = step(loss, *states, batch, **numbers)
        return states
    recorded.put(states)
    for batch in batches:
        if len(batch) == len(batches[0]):
            recorded.replay(batch)
        else:
            recorded.put(step(loss, *recorded.states, batch, **numbers))
    return [_copies(state) for state in recorded.states]


class _Repeated:
    """A step from states to states, at fixed places in memory."""

    def __init__(
        self,
        step: Callable[..., Sequence[Parameters]],
        loss: Callable[[Mapping[str, Tensor], Tensor], Tensor],
        states: Sequence[Parameters],
        batch: Tensor,
        model: nn.Module,
        numbers: Mapping[str, float],
    ) -> None:
        self.states, self._batch = [_copies(state) for state in states], batch.clone()

        def take() -> None:
            self.put(step(loss, *self.states, self._batch, **numbers))

        self._replay = _recorded(take, model, batch.device)

    def put(self, states: Sequence[Parameters]) -> None:
        """Go on with other states."""
        for fixed, state in zip(self.states, states, strict=True):
            for name, tensor in fixed.items():
                tensor.copy_(state[name])

    def replay(self, batch: Tensor) -> None:
        """Take the recorded step on another batch."""
        self._batch.copy_(batch)
        self._replay()


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
        """Take a step as `training.train` does.

        Gradients are those of leaves made here: what belongs to a graph that the parameters are part of elsewhere, such
        as that of a loss that a notebook still has, belongs to another stream, which breaks off a recording.

        Raises:
            NotRecordable: gradients do not come through the model alone.
        """
        model.zero_grad()
        parameters = dict(model.named_parameters())
        leaves = {name: p.detach().requires_grad_(p.requires_grad) for name, p in parameters.items()}
        outputs = functional_call(model, leaves, (self._task.inputs(self._examples[batch]),))
        loss = self._task.loss(outputs, self._targets[batch])
        loss.backward()
        if any(parameter.grad is not None for parameter in parameters.values()):
            raise NotRecordable  # the loss reads them, and not through the model
        for name, parameter in parameters.items():
            parameter.grad = leaves[name].grad
        self._optimizer.step()
        self.total += loss.detach() * len(batch)

    def record(self, model: nn.Module) -> None:
        """Record a step; the model, and all random numbers, are afterwards as before.

        Raises:
            NotRecordable: a step does something that a recording does not repeat.
        """
        with _left_as_it_was(model):
            self._replay = _recorded(functools.partial(self.take, model, self._batch), model, self.total.device)

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


_RECORDINGS: WeakKeyDictionary[nn.Module, OrderedDict[Hashable, Any]] = WeakKeyDictionary()


def _step_for(
    model: nn.Module, examples: Tensor, targets: Tensor, batch: Tensor, optimizer: torch.optim.Optimizer, task: Task
) -> _Step | None:
    """Return the recorded step for all of this, recording it if need be; None where there can be none."""
    if not (_is_plain(model, examples) and _takes_plain_steps(optimizer, model)):
        return None
    key = _key(model, examples, targets, len(batch), optimizer, task)

    def new() -> _Step:
        step = _Step(examples, targets, batch, optimizer, task)
        step.record(model)
        return step

    return _kept(model, key, new)


def _kept(model: nn.Module, key: Hashable, new: Callable[[], Any]) -> Any:
    """Return what was recorded for a model under a key, or else a new recording; None where there can be none."""
    try:
        recordings = _RECORDINGS.setdefault(model, OrderedDict())
        known = key in recordings
    except TypeError:  # something of it cannot be compared
        return None
    if known:
        recordings.move_to_end(key)
        return recordings[key]
    try:
        recordings[key] = new()
    except Exception as error:  # of any kind; a step that can never be taken says why when it is taken
        if is_out_of_memory(error):
            raise
        logging.getLogger(__name__).debug("Training goes step by step, since a step cannot be recorded", exc_info=error)
        recordings[key] = None
    if len(recordings) > _MOST:
        recordings.popitem(last=False)
    return recordings[key]


def _recorded(step: Callable[[], None], model: nn.Module, device: torch.device) -> Callable[[], object]:
    """Record a step; random generators are afterwards as before.

    Raises:
        NotRecordable: a step does something that a recording does not repeat.
    """
    with seeded(0):
        before = _settings(model), _random_states()
        replay = record(step, device)
        if (_settings(model), _random_states()) != before:
            raise NotRecordable
    return replay


def record(step: Callable[[], None], device: torch.device) -> Callable[[], object]:
    """Record what a step does on a GPU, and return what does it again."""
    with torch.cuda.device(device):
        stream, current, waiting = _side_stream(device), torch.cuda.current_stream(), torch.cuda.get_sync_debug_mode()
        stream.wait_stream(current)
        try:
            with torch.cuda.stream(stream):
                for _ in range(_WARM_UP):
                    step()
                with warnings.catch_warnings(action="ignore"):  # it is new, PyTorch says
                    torch.cuda.set_sync_debug_mode("error")
                step()  # is an error if it waits for the GPU, which would break off a recording
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


def _is_plain(model: nn.Module, examples: Tensor) -> bool:
    """Tell whether a model is of float32, and all that it computes with is in its weights and settings."""
    modules, parameters = list(model.modules()), list(model.parameters())
    hooks = [getattr(module, kind) for module in modules for kind in _MODULE_HOOKS]
    hooks += [getattr(parameter, kind, None) for parameter in parameters for kind in _PARAMETER_HOOKS]
    return (
        all(p.dtype == torch.float32 and p.device == examples.device for p in parameters)
        and not any(isinstance(value, Tensor) for module in modules for value in vars(module).values())
        and not any(hooks)
        and not torch_modules._has_any_global_hook()
        and torch.is_grad_enabled()
        and not torch.is_autocast_enabled(examples.device.type)
    )


def _takes_plain_steps(optimizer: torch.optim.Optimizer, model: nn.Module) -> bool:
    """Tell whether the optimizer changes the model's parameters by known rules alone."""
    groups = optimizer.param_groups
    options = [value for group in groups for name, value in group.items() if name != "params"]
    known = {id(parameter) for parameter in model.parameters()}
    return (
        type(optimizer) in _OPTIMIZERS
        and known.issuperset(id(parameter) for group in groups for parameter in group["params"])
        and all(isinstance(option, _PLAIN) for option in options)  # a rate in a tensor may change in its place
        and not any(group.get("dampening") or group.get("differentiable") for group in groups)
        and not optimizers._global_optimizer_pre_hooks
        and not optimizers._global_optimizer_post_hooks
        and all(isinstance(hook, Correction) and _is_of_a_module(hook.function) for hook in _hooks(optimizer))
    )


def _is_of_a_module(function: Callable[..., object]) -> bool:
    """Tell whether a function is a module's, and not made anew by another, with what that had at hand."""
    return "<locals>" not in getattr(function, "__qualname__", "<locals>")


def _key(
    model: nn.Module,
    examples: Tensor,
    targets: Tensor,
    batch_size: int,
    optimizer: torch.optim.Optimizer,
    task: Task,
) -> Hashable:
    """Return all that decides what a recorded step does: what is not written in the places that it reads."""
    return (
        _key_of_model(model),
        _places((examples, targets)),
        batch_size,
        _key_of_task(task),
        type(optimizer),
        tuple(
            (tuple(map(id, group["params"])), tuple((name, group[name]) for name in sorted(group) if name != "params"))
            for group in optimizer.param_groups
        ),
        tuple(correction.key for correction in _hooks(optimizer)),
    )


def _key_of_model(model: nn.Module) -> Hashable:
    own = [*model.parameters(), *model.buffers()]
    layers = [
        (id(module), type(module), tuple(settings.items()), _globals_of(type(module).forward))
        for module, settings in _settings(model)
    ]
    return _places(own), tuple((id(tensor), tensor.requires_grad) for tensor in own), tuple(layers)


def _key_of_task(task: Task) -> Hashable:
    return task, _globals_of(task.inputs), _globals_of(task.loss)


def _globals_of(function: Callable[..., Any]) -> Hashable:
    """Return the numbers, texts and tensors that a notebook's own function reads from its notebook."""
    code = getattr(function, "__code__", None)
    if code is None or function.__module__ != "__main__":
        return ()
    named = [(name, function.__globals__.get(name)) for name in code.co_names]
    return tuple(
        (name, _places([value]) if isinstance(value, Tensor) else value)
        for name, value in named
        if isinstance(value, _PLAIN + (Tensor,))
    )


def _places(tensors: Iterable[Tensor]) -> Hashable:
    return tuple((tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride()) for tensor in tensors)


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


def _copies(tensors: Mapping[str, Tensor]) -> Parameters:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}
