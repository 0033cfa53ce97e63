"""What is learned: how stored examples become inputs of a model, and how its outputs are judged."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Task:
    """A kind of learning problem. Images are one, tables and texts are others.

    Attributes:
        name: what is learned from, for messages.
        inputs: maps stored examples (n, ...) to what a model takes, (n, ...) float or int64.
        loss: called with outputs (n, ...) and targets (n, ...), returns their mean loss; with `reduction="sum"` its
            sum. PyTorch's functional losses are of this form.
        predict: maps outputs to predictions (n, ...) and to how sure the model is of each example's, (n,) in [0, 1].
        metric: called with predictions (n, ...) and targets (n, ...) of all examples that are evaluated, returns one
            number per example, whose mean is reported as accuracy.
    """

    name: str
    inputs: Callable[[Tensor], Tensor]
    loss: Callable[..., Tensor]
    predict: Callable[[Tensor], tuple[Tensor, Tensor]]
    metric: Callable[[Tensor, Tensor], Tensor]
