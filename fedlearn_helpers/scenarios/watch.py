"""Smartwatches that tell which exercise a shoulder does: each person is a client, and a new person comes.

Ten people did seven exercises of physiotherapy with the left and the right arm, with a watch that measured six axes 50
times a second. Every second measurement is kept, in windows of two seconds. Source: Burns et al. 2018, "Shoulder
physiotherapy exercise recognition: machine learning the inertial signals from a smartwatch",
https://arxiv.org/abs/1802.01489.
"""

from collections.abc import Collection

import numpy as np
import torch
from torch import nn

from fedlearn_helpers.algorithms.local import LocalConfig
from fedlearn_helpers.scenarios.field import EMBEDDED, ClientExamples, FieldScenario, Part, new_scenario
from fedlearn_helpers.seeds import seeded
from fedlearn_helpers.tasks import SIGNALS

FILE = "watch_windows.npz"
EXERCISES = (
    "pendulum",
    "abduction",
    "forward elevation",
    "internal rotation",
    "external rotation",
    "trapezius extension",
    "upright row",
)
"""What the classes are, in their order."""
_TRAINED, _VALIDATED = 0.6, 0.8  # of the windows of a recording, from its beginning
_UNIT = 0.02  # of a stored whole number: g for acceleration, rad/s for rotation
_TYPICAL = (1, 1, 1, 2, 2, 2)  # g, g, g, rad/s, rad/s, rad/s


def new_model(seed: int) -> nn.Sequential:
    """Return a network of two convolutions over time, 4,535 parameters; its weights depend on the seed alone.

    It maps windows (n, 6, 50) to scores (n, 7).
    """
    with seeded(seed):
        return nn.Sequential(
            nn.Conv1d(len(_TYPICAL), 16, 7),
            nn.ReLU(),
            nn.MaxPool1d(2),
            nn.Conv1d(16, 32, 7),
            nn.ReLU(),
            nn.AdaptiveAvgPool1d(1),
            nn.Flatten(),
            nn.Linear(32, len(EXERCISES)),
        )


def load_watch(leave_out: Collection[str] | None, seed: int) -> FieldScenario:
    """Return the scenario; recordings are cut by time, and depend on no seed.

    Args:
        leave_out: people that do not train, "person 1" to "person 10"; None for the first.
        seed: not used.
    """
    with np.load(EMBEDDED / FILE) as file:
        windows, exercise, person, recording = (file[name] for name in ("windows", "exercise", "person", "recording"))
    clients = []
    for number in np.unique(person):
        parts: tuple[list[int], ...] = ([], [], [])
        for made in np.unique(recording[person == number]):
            own = np.flatnonzero(recording == made)
            cuts = [0, int(_TRAINED * len(own)), int(_VALIDATED * len(own)), len(own)]
            for part, begin, end in zip(parts, cuts, cuts[1:], strict=False):
                part.extend(own[begin:end])
        clients.append(ClientExamples(f"person {number}", *(_part(windows, exercise, part) for part in parts)))
    return new_scenario(
        clients,
        leave_out=["person 1"] if leave_out is None else leave_out,
        name="watch",
        about="smartwatches that tell which of seven exercises the arm of their owner does: ten people",
        task=SIGNALS,
        make_model=new_model,
        local_config=LocalConfig(batch_size=8, learning_rate=0.05, momentum=0.9),
        num_rounds=30,
        rate_alone=0.02,
        rate_adapting=0.01,
        epochs_adapting=20,
        metric="the share of windows whose exercise is recognized; always guessing one exercise gives about 0.17",
        attribution="Measurements: Burns et al. 2018, https://arxiv.org/abs/1802.01489, BSD licence.",
    )


def _part(windows: np.ndarray, exercise: np.ndarray, chosen: list[int]) -> Part:
    typical = np.array(_TYPICAL, dtype=np.float32)[:, None]
    inputs = windows[chosen].astype(np.float32) * np.float32(_UNIT) / typical
    return torch.from_numpy(inputs), torch.from_numpy(exercise[chosen].astype(np.int64))
