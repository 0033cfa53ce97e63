"""The limit: the bare training step as a CUDA graph, written by hand; no messages, no averaging, no evaluation."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fedlearn_helpers.tasks import normalize

_WARM_UPS = 3


def captured_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor, batch_size: int
) -> Callable[[Tensor], None]:
    """Return a function that takes one training step on the images whose indices, (batch_size,), it is given.

    On a processor, where there are no graphs, the function takes the same step launch by launch.
    """
    model.train()
    chosen = torch.zeros(batch_size, dtype=torch.int64, device=images.device)
    total = torch.zeros((), device=images.device)

    def step() -> None:
        loss = F.cross_entropy(model(normalize(images[chosen])), labels[chosen])
        loss.backward()
        optimizer.step()
        total.add_(loss.detach())

    if not images.is_cuda:

        def step_on_processor(batch: Tensor) -> None:
            chosen.copy_(batch)
            optimizer.zero_grad()
            step()

        return step_on_processor

    chosen.copy_(torch.arange(batch_size) % len(images))
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(_WARM_UPS):
            optimizer.zero_grad(set_to_none=True)
            step()
    torch.cuda.current_stream().wait_stream(side)
    # Without gradients before the capture, backward makes them in the graph's own memory, and each replay writes there.
    optimizer.zero_grad(set_to_none=True)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()

    return _Replay(graph, chosen, step)


@dataclass(frozen=True)
class _Replay:
    """A recorded step. What it reads and writes belongs to `step`, and must live as long as the recording."""

    graph: torch.cuda.CUDAGraph
    chosen: Tensor
    step: Callable[[], None]

    def __call__(self, batch: Tensor) -> None:
        self.chosen.copy_(batch)
        self.graph.replay()


def new_adam(model: nn.Module, learning_rate: float) -> torch.optim.Adam:
    """Return an Adam that can be captured, where the model is on a GPU."""
    on_gpu = next(model.parameters()).is_cuda
    return torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True, capturable=on_gpu)


def seconds_of(step: Callable[[Tensor], None], images: Tensor, batch_size: int, steps: int) -> float:
    """Return how long so many steps take, each on the next images of a random order."""
    order = torch.randperm(len(images)).to(images.device)
    batches = order[: len(order) // batch_size * batch_size].split(batch_size)
    _wait_for(images)
    start = time.perf_counter()
    for number in range(steps):
        step(batches[number % len(batches)])
    _wait_for(images)
    return time.perf_counter() - start


def _wait_for(images: Tensor) -> None:
    if images.is_cuda:
        torch.cuda.synchronize()
