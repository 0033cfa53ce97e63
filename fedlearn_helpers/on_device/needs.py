"""What a device needs to take part in a round: memory, arithmetic, and bytes on the wire.

Nothing here is a formula for one network: PyTorch is asked while it takes a step of training.

    memory      weights + gradients + what the optimizer keeps + what the backward pass needs of a batch
    arithmetic  epochs x (examples x operations of a step for one example); a multiply-add counts as 2 operations
    wire        the model down, the model up

A forward pass has one multiplication for each pair of a weight and a number it meets; the backward pass has two, one
for the gradient of the weight and one for that of the number. Hence the rule "training costs three forward passes". The
first layer needs no gradient of its input, so small networks with a large first layer stay below it.

The memory is the least that training can do with. A real step takes one to three times as much at its peak (measured:
1.4 times with the small network, 2.0 to 2.4 times with the CNN): gradients of activations come and go, and allocators
and kernels hold more than they use.

Counted are matrix products and convolutions, as `torch.utils.flop_counter` does; activations, pooling and the
optimizer are a few per cent of it. The energy is left out: it depends on the device, far more than on the count.
"""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fedlearn_helpers.algorithms.local import LocalConfig
from fedlearn_helpers.errors import InputError, check_number, check_whole_number
from fedlearn_helpers.models import count_bytes, count_parameters
from fedlearn_helpers.tasks import IMAGES


@dataclass(frozen=True)
class Needs:
    """What one round asks of a device.

    Attributes:
        parameters: how many trainable numbers the model has.
        model_bytes: of weights and buffers.
        gradient_bytes: one number for each parameter.
        optimizer_bytes: what the optimizer keeps between steps, such as the momentum.
        activation_bytes: what the forward pass keeps of one batch for the backward pass, the batch included.
        forward_operations: of one forward pass for one example; a multiply-add counts as 2.
        training_operations: of a forward and a backward pass for one example.
        round_operations: of all steps of a round.
        bytes_down, bytes_up: of the model, without what a protocol adds.
    """

    parameters: int
    model_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    activation_bytes: int
    forward_operations: int
    training_operations: int
    round_operations: int
    bytes_down: int
    bytes_up: int

    @property
    def multiply_adds(self) -> int:
        """Of one forward pass for one example."""
        return self.forward_operations // 2

    @property
    def memory(self) -> int:
        """Bytes that training takes at least; the code itself, PyTorch for instance, comes on top."""
        return self.model_bytes + self.gradient_bytes + self.optimizer_bytes + self.activation_bytes

    def seconds(self, gflops: float) -> float:
        """Return how long the arithmetic of a round takes on a device with so many 10^9 operations a second, > 0.

        Small networks reach a small part of what a chip is sold with: measure it by the time of a round.

        Raises:
            InputError: a number that is not > 0.
        """
        check_number("gflops", gflops, "> 0", lambda value: value > 0)
        return self.round_operations / (1e9 * gflops)


def needs(
    model: nn.Module, image_shape: tuple[int, int, int], *, examples: int, local_config: LocalConfig | None = None
) -> Needs:
    """Return what a round of local training needs.

    Args:
        model: maps normalized images to scores; it stays as it is.
        image_shape: (channels, height, width).
        examples: that the device trains on, >= 1.
        local_config: how it trains; None for the default.

    Raises:
        InputError: a number out of range, or images that the model does not take.
    """
    check_whole_number("examples", examples, 1)
    config = LocalConfig() if local_config is None else local_config
    batch = min(config.batch_size, examples)
    model = copy.deepcopy(model).cpu().train()
    images = torch.zeros(batch, *image_shape, dtype=torch.uint8)
    labels = torch.zeros(batch, dtype=torch.int64)
    try:
        forward = _operations(model, images)
    except RuntimeError:
        shape = " x ".join(map(str, image_shape))
        raise InputError(f"image_shape must be that of the model's images, got {shape}") from None
    training = _operations(model, images, labels)
    kept = _kept_for_backward(model, images, labels)
    optimizer = config.new_optimizer(model)
    model.zero_grad()
    IMAGES.loss(model(IMAGES.inputs(images)), labels).backward()
    optimizer.step()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    states = [value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor)]
    return Needs(
        parameters=count_parameters(model),
        model_bytes=count_bytes(model),
        gradient_bytes=sum(map(_bytes, gradients)),
        optimizer_bytes=sum(map(_bytes, states)),
        activation_bytes=kept,
        forward_operations=forward // batch,
        training_operations=training // batch,
        round_operations=config.local_epochs * examples * (training // batch),
        bytes_down=count_bytes(model),
        bytes_up=count_bytes(model),
    )


def _operations(model: nn.Module, images: Tensor, labels: Tensor | None = None) -> int:
    """Return the operations of a forward pass for a batch; with labels, of a backward pass too."""
    from torch.utils.flop_counter import FlopCounterMode  # a slow import

    with FlopCounterMode(display=False) as counter:
        scores = model(IMAGES.inputs(images))
        if labels is not None:
            IMAGES.loss(scores, labels).backward()
    return counter.get_total_flops()


def _kept_for_backward(model: nn.Module, images: Tensor, labels: Tensor) -> int:
    """Return the bytes that autograd keeps of a batch: every piece of memory once, and no weights."""
    pieces: dict[int, int] = {}
    alive: list[Tensor] = []  # or the next tensor could get the address of one that is gone

    def keep(tensor: Tensor) -> Tensor:
        alive.append(tensor)
        pieces[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        IMAGES.loss(model(IMAGES.inputs(images)), labels)
    for tensor in (*model.parameters(), *model.buffers()):
        pieces.pop(tensor.untyped_storage().data_ptr(), None)
    return sum(pieces.values())


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
