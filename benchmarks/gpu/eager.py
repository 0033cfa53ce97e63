"""Training and evaluation kernel by kernel, as `train` and `evaluate` did it before steps were captured."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import ModuleType

import torch
from torch.nn import functional as F

from fedlearn_helpers.tasks import normalize
from fedlearn_helpers.training import Evaluation

_EVALUATION_BATCH = 250
nothing_replaced = nullcontext


def train(model, images, labels, indices, optimizer, *, epochs, batch_size, seed):
    """Do what `fedlearn_helpers.training.train` says, one launch after the other."""
    indices = torch.as_tensor(indices)
    generator = torch.Generator().manual_seed(seed)
    model.train()
    total_loss = torch.zeros((), device=images.device)
    for _ in range(epochs):
        order = indices[torch.randperm(len(indices), generator=generator)]
        for batch in order.to(images.device).split(batch_size):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(normalize(images[batch])), labels[batch])
            loss.backward()
            optimizer.step()
            total_loss += loss.detach() * len(batch)
    return total_loss.item() / (epochs * len(indices))


@torch.no_grad()
def evaluate(model, images, labels, indices=None):
    """Do what `fedlearn_helpers.training.evaluate` says, in batches of 250 and with a wait after each."""
    indices = torch.arange(len(images)) if indices is None else torch.as_tensor(indices)
    model.eval()
    total, predictions, confidences = 0.0, [], []
    for batch in indices.to(images.device).split(_EVALUATION_BATCH):
        scores = model(normalize(images[batch]))
        total += F.cross_entropy(scores, labels[batch], reduction="sum").item()
        confidence, prediction = scores.softmax(dim=1).max(dim=1)
        predictions.append(prediction.cpu())
        confidences.append(confidence.cpu())
    predicted = torch.cat(predictions)
    right = (predicted == labels[indices.to(labels.device)].cpu()).sum().item()
    return Evaluation(total / len(indices), right / len(indices), len(indices), predicted, torch.cat(confidences))


@contextmanager
def replaced(module: ModuleType) -> Iterator[None]:
    """Let a module that has imported `train` and `evaluate` call these instead, inside the block."""
    before = module.train, module.evaluate
    module.train, module.evaluate = train, evaluate
    try:
        yield
    finally:
        module.train, module.evaluate = before
