"""LoRA: a trained model stays as it is, and learns by a small matrix product beside each of its linear layers.

    y = W x + (alpha / r) B A x        W (out, in) is frozen; A (r, in) and B (out, r) are learned, and r is small

A begins at random and B at 0, so at first the model does what it did. A layer has out * in numbers, and its adapter
r * (out + in). After training, W + (alpha / r) B A is one matrix again: `merged`.

In a federation only adapters travel. `Adapted` has them alone in its state, and holds the frozen model where neither
optimizers nor messages look. So every algorithm can train it. There are three kinds:

    lora    A and B are learned and sent
    ffa     FFA-LoRA: A stays as it began, the same for all clients; B alone is learned and sent
    fedex   FedEx-LoRA: as lora, and the server adds R (out, in):  y = W x + (alpha / r) (B A + R) x

What the last two are good for stands in `federated`.

Sources: Hu et al. 2021, https://arxiv.org/abs/2106.09685, section 4.1; FFA-LoRA: Sun et al. 2024,
https://arxiv.org/abs/2403.12313; FedEx-LoRA: Singhal et al. 2024, https://arxiv.org/abs/2410.09432.
"""

import copy
import math
from collections.abc import Callable, Collection
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from fedlearn_helpers.errors import InputError, check_number, check_one_of, check_whole_number
from fedlearn_helpers.seeds import check_seed, seeded

SENT = {"lora": ("A", "B"), "ffa": ("B",), "fedex": ("A", "B", "R")}
"""What of each adapter is in the model's state, by kind."""
_BYTES = 4  # of a float32


class Residual(nn.Module):
    """R (out, in): a matrix that the server sets, and nobody trains."""

    def __init__(self, out_features: int, in_features: int) -> None:
        super().__init__()
        self.weight: Tensor
        self.register_buffer("weight", torch.zeros(out_features, in_features))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in) to (..., out)."""
        return F.linear(x, self.weight)


class LoRALinear(nn.Module):
    """A linear layer, which is frozen, and its adapter; W, A and B are PyTorch's own layers.

    Args:
        linear: maps (..., in) to (..., out).
        rank: r, >= 1.
        alpha: > 0; the adapter counts alpha / r.
        kind: a key of `SENT`.
    """

    def __init__(self, linear: nn.Module, rank: int, alpha: float, kind: str) -> None:
        super().__init__()
        out_features, in_features = sizes_of(linear)
        self.linear = linear.requires_grad_(False)
        self.A = nn.Linear(in_features, rank, bias=False)
        self.B = nn.Linear(rank, out_features, bias=False)
        self.R = Residual(out_features, in_features) if kind == "fedex" else None
        self.A.requires_grad_("A" in SENT[kind])  # nobody would clear its gradients
        nn.init.kaiming_uniform_(self.A.weight, a=math.sqrt(5))
        nn.init.zeros_(self.B.weight)
        self.scale = alpha / rank

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in) to (..., out)."""
        learned = self.B(self.A(x))
        if self.R is not None:
            learned = learned + self.R(x)
        return self.linear(x) + self.scale * learned

    @torch.no_grad()
    def change(self) -> Tensor:
        """Return what is added to W: (alpha / r) (B A + R), (out, in)."""
        learned = self.B.weight @ self.A.weight
        return self.scale * (learned if self.R is None else learned + self.R.weight)


class Adapted(nn.Module):
    """A model with adapters, whose parameters and state are those of its adapters alone.

    Args:
        base: holds at least one `LoRALinear`; all else in it is frozen.
        kind: a key of `SENT`.

    Attributes:
        base: the whole model. It moves to a device with its adapters, and is copied with them.
    """

    def __init__(self, base: nn.Module, kind: str) -> None:
        super().__init__()
        self._base = (base,)  # PyTorch does not look for parameters in a tuple
        for name, layer in _adapted_layers(base):
            sent = {part: getattr(layer, part) for part in SENT[kind]}
            self.add_module(name.replace(".", "/"), nn.ModuleDict(sent))  # no dots in a module's name

    @property
    def base(self) -> nn.Module:
        """The whole model, frozen layers included."""
        return self._base[0]

    def forward(self, *inputs: Any) -> Any:
        """Do what the base does, with its adapters, in their dtype: some algorithms compute with them in float64."""
        dtype = next(self.parameters()).dtype
        frozen = (*self.base.named_parameters(), *self.base.named_buffers())
        cast = {
            name: tensor.to(dtype) for name, tensor in frozen if tensor.is_floating_point() and tensor.dtype != dtype
        }
        return functional_call(self.base, cast, inputs) if cast else self.base(*inputs)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of the base, too."""
        self.base.train(mode)
        return super().train(mode)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move or convert the base, which holds the adapters."""
        self.base._apply(fn, recurse)
        return self

    def shared(self) -> dict[str, Tensor]:
        """Return copies of those A that are frozen, by the names that they would have in the state: all with "ffa"."""
        sent = self.state_dict()
        all_a = {f"{name.replace('.', '/')}.A.weight": layer.A.weight for name, layer in _adapted_layers(self.base)}
        return {name: weight.detach().clone() for name, weight in all_a.items() if name not in sent}


def with_adapters(
    model: nn.Module, rank: int, *, alpha: float, seed: int, kind: str = "lora", layers: tuple[str, ...] | None = None
) -> Adapted:
    """Return a copy of a model whose linear layers have adapters, and learn by them alone.

    Args:
        model: stays as it is.
        rank: r, >= 1 and at most the smallest size of these layers.
        alpha: > 0.
        seed: decides A.
        kind: a key of `SENT`.
        layers: as in `linear_layers`.

    Raises:
        InputError: an argument out of range, or as `linear_layers`.
    """
    check_one_of("kind", kind, SENT)
    check_number("alpha", alpha, "> 0", lambda number: number > 0)
    seed = check_seed(seed)
    base = copy.deepcopy(model).requires_grad_(False)
    found = linear_layers(base, layers)
    rank = _checked_rank(rank, found.values())
    with seeded(seed):
        for name, layer in found.items():
            device = next(layer.parameters()).device
            _replace(base, name, LoRALinear(layer, rank, alpha, kind).to(device))
    return Adapted(base, kind)


def merged(model: Adapted) -> nn.Module:
    """Return a copy of the base whose layers are plain again: each has W + (alpha / r) (B A + R) as its weights."""
    base = copy.deepcopy(model.base)
    for name, layer in _adapted_layers(base):
        linear: Any = copy.deepcopy(layer.linear)  # its weights may be an embedding's, or another layer's, too
        change = layer.change()
        linear.weight.data += change if isinstance(linear, nn.Linear) else change.T
        _replace(base, name, linear)
    return base


def adapter_bytes(model: nn.Module, rank: int, *, kind: str = "lora", layers: tuple[str, ...] | None = None) -> int:
    """Return the bytes of all adapters in float32, by their formula: per layer 4 r (out + in).

    For "ffa" it is 4 r out, and for "fedex" 4 (r (out + in) + out in), as the server sends it.

    Args:
        model, rank, kind, layers: as in `with_adapters`.
    """
    check_one_of("kind", kind, SENT)
    found = linear_layers(model, layers).values()
    rank, total = _checked_rank(rank, found), 0
    for layer in found:
        out_features, in_features = sizes_of(layer)
        numbers = {"A": rank * in_features, "B": out_features * rank, "R": out_features * in_features}
        total += _BYTES * sum(numbers[part] for part in SENT[kind])
    return total


def linear_layers(model: nn.Module, layers: tuple[str, ...] | None = None) -> dict[str, nn.Module]:
    """Return linear layers of a model by name.

    Args:
        model: with layers of `nn.Linear`, or of GPT-2's `Conv1D`.
        layers: the last parts of these layers' names, such as ("query", "value"); None for all linear layers but the
            last, which gives the scores.

    Raises:
        InputError: there are none, or a name is that of none.
    """
    known = {name: module for name, module in model.named_modules() if _is_linear(module)}
    if layers is None:
        if len(known) < 2:
            raise InputError(f"model must have two linear layers or more, got {', '.join(known) or 'none'}")
        return dict(list(known.items())[:-1])
    last_parts = {name: name.rpartition(".")[2] for name in known}
    if isinstance(layers, str) or not layers or not set(layers) <= set(last_parts.values()):
        named = ", ".join(map(repr, dict.fromkeys(last_parts.values())))
        raise InputError(f"layers must be names of linear layers ({named or 'there are none'}), got {layers!r}")
    return {name: module for name, module in known.items() if last_parts[name] in layers}


def sizes_of(layer: Any) -> tuple[int, int]:
    """Return the output and input size of a linear layer."""
    first, second = layer.weight.shape
    return (first, second) if isinstance(layer, nn.Linear) else (second, first)


def _checked_rank(rank: int, layers: Collection[nn.Module]) -> int:
    rank, smallest = check_whole_number("rank", rank, 1), min(min(sizes_of(layer)) for layer in layers)
    if rank > smallest:
        raise InputError(f"rank must be <= {smallest}, the smallest size of these layers, got {rank}")
    return rank


def _is_linear(module: nn.Module) -> bool:
    """Tell whether a module is a linear layer; GPT-2 has its own, whose weights are (in, out)."""
    return type(module) is nn.Linear or type(module).__name__ == "Conv1D" and hasattr(module, "nf")


def _adapted_layers(base: nn.Module) -> list[tuple[str, LoRALinear]]:
    return [(name, module) for name, module in base.named_modules() if isinstance(module, LoRALinear)]


def _replace(model: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, module)
