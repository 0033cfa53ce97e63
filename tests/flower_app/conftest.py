"""Makes the app importable, as Flower does."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "flower_app"))


@pytest.fixture
def noise(monkeypatch):
    """Replace the data set by 80 + 40 images of noise; return how often it has been loaded."""
    from app_runs import forget_data
    from workbook_app import task

    from fedlearn_helpers.data import ImageDataset

    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (120, 1, 16, 16), generator=generator, dtype=torch.uint8)
    labels = torch.randint(3, (120,), generator=generator)
    loaded = []

    def load(name):
        loaded.append(name)
        return ImageDataset(name, images[:80], labels[:80], images[80:], labels[80:], ("a", "b", "c"), "Noise.")

    monkeypatch.setattr(task, "load_dataset", load)
    forget_data()
    yield loaded
    forget_data()
