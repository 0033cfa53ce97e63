"""A keyboard that guesses the next character: each phone has one person's text, here one role of Shakespeare's.

61 roles of 27 plays, every fifth by length of those with at least 3,000 characters, and 12,000 characters of each at
most. Federated learning of next words on phones: Hard et al. 2018,
https://arxiv.org/abs/1811.03604; roles of Shakespeare as clients: McMahan et al. 2017,
https://arxiv.org/abs/1602.05629.

The model looks at the six characters before (Bengio et al. 2003, "A neural probabilistic language model", with
characters in place of words):

    scores of the next character = W relu(sum_j C_j e(x_{t-j}) + b) + c,    j = 0 ... 5,    e an embedding

As a convolution over time it is several times faster on a processor than a recurrent network of 64 units, and learns
more in the few thousand steps of a short run.
"""

import gzip
import json
from collections.abc import Collection
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fedlearn_helpers.algorithms.local import LocalConfig
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.partition.split import Shard
from fedlearn_helpers.scenarios.field import EMBEDDED, ClientExamples, FieldScenario, Part, new_scenario
from fedlearn_helpers.seeds import seeded
from fedlearn_helpers.tasks import TEXT, in_pieces

FILE = "shakespeare_roles.json.gz"
VOCABULARY = "\n !',-.:;?abcdefghijklmnopqrstuvwxyz"
"""The characters, in lower case; a new line ends a speech."""
LENGTH = 40  # of a piece of text
MOVED = "As You Like It: Rosalind"
"""The client whose phone moves to another country, in `moved_phone`."""
_TRAINED, _VALIDATED = 0.7, 0.85  # of a text, from its beginning
_MOVED_TRAINED = 0.6  # of the text after the move, which is longer than the one before
_EMBEDDING, _LOOKS_BACK, _UNITS = 24, 6, 128


class NextCharacter(nn.Module):
    """Pieces of text (n, length) int64 to scores (n, length, vocabulary) of the character after each of theirs."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(VOCABULARY), _EMBEDDING)
        self.hidden = nn.Conv1d(_EMBEDDING, _UNITS, _LOOKS_BACK)
        self.scores = nn.Linear(_UNITS, len(VOCABULARY))

    def forward(self, characters: Tensor) -> Tensor:
        """Look at each character and the five before it; before the beginning there are zeros."""
        embedded = self.embedding(characters).transpose(1, 2)
        hidden = F.relu(self.hidden(F.pad(embedded, (_LOOKS_BACK - 1, 0))))
        return self.scores(hidden.transpose(1, 2))


def new_model(seed: int) -> NextCharacter:
    """Return a model; its weights depend on the seed alone."""
    with seeded(seed):
        return NextCharacter()


def load_keyboard(leave_out: Collection[str] | None, seed: int) -> FieldScenario:
    """Return the scenario; a text is cut by time, and depends on no seed.

    Args:
        leave_out: roles that do not train; None for every sixth.
        seed: not used.
    """
    clients = [_client(name, text) for name, text in read_texts()["roles"].items()]
    return new_scenario(
        clients,
        leave_out=[client.name for client in clients[5::6]] if leave_out is None else leave_out,
        name="keyboard",
        about="phones that guess the next character of what their owner writes: 61 roles of Shakespeare's plays",
        task=TEXT,
        make_model=new_model,
        local_config=LocalConfig(batch_size=8, learning_rate=0.3, momentum=0.9),
        num_rounds=10,
        rate_alone=0.1,
        rate_adapting=0.02,
        epochs_adapting=3,
        metric="the share of next characters that are guessed right; always guessing a space gives about 0.18",
        attribution="Texts: Shakespeare, editions of Project Gutenberg, in the public domain.",
    )


def moved_phone(scenario: FieldScenario) -> FieldScenario:
    """Return the scenario after one phone has moved to a country where the same language is spelled another way.

    The client `MOVED`, which must be among those that train, now has what the same role says in the First Folio of
    1623: "haue", "vpon", "loue", "selfe". Nothing else changes; so train with `scenario`, give the final model to a
    second run with what this returns, and look at that client. What it is measured on comes later in the play than
    all that it was trained on in either spelling.

    Args:
        scenario: "keyboard", of `load_scenario`.

    Raises:
        InputError: another scenario, or one in which that client does not train.
    """
    if scenario.name != "keyboard" or MOVED not in scenario.clients:
        raise InputError(f"scenario must be 'keyboard', with {MOVED!r} among the clients, got {scenario.name!r}")
    text = read_texts()["first_folio"][MOVED]
    cut = int(_MOVED_TRAINED * len(text))
    train, validation = as_pieces(text[:cut]), as_pieces(text[cut:])
    dataset, own = scenario.dataset, scenario.clients.index(MOVED)
    begin = len(dataset.train_inputs)
    middle = begin + len(train[0])
    shards = list(scenario.shards)
    shards[own] = Shard(np.arange(begin, middle), np.arange(middle, middle + len(validation[0])))
    inputs = torch.cat([dataset.train_inputs, train[0], validation[0]])
    targets = torch.cat([dataset.train_targets, train[1], validation[1]])
    return replace(scenario, dataset=replace(dataset, train_inputs=inputs, train_targets=targets), shards=tuple(shards))


@cache
def read_texts() -> dict[str, dict[str, str]]:
    """Return texts by role, in "roles" and in "first_folio"; they are not to be changed."""
    with gzip.open(EMBEDDED / FILE, "rt", encoding="utf-8") as file:
        return json.load(file)


def as_pieces(text: str) -> Part:
    """Return pieces of a text, (n, LENGTH) uint8, and the characters that follow each of theirs, (n, LENGTH) int64.

    Pieces do not overlap. At most LENGTH characters are left over at the end.

    Raises:
        InputError: a text of LENGTH characters or fewer, or a character that is not in the vocabulary.
    """
    numbers = {character: number for number, character in enumerate(VOCABULARY)}
    lower = text.lower()
    if other := sorted(set(lower) - set(VOCABULARY)):
        raise InputError(f"text must have the characters of VOCABULARY, got {other[0]!r}")
    return in_pieces(torch.tensor([numbers[character] for character in lower], dtype=torch.uint8), LENGTH)


def cut_by_time(text: str) -> tuple[str, str, str]:
    """Return the beginning of a text to train on, what follows to validate on, and the end to test on."""
    first, second = int(_TRAINED * len(text)), int(_VALIDATED * len(text))
    return text[:first], text[first:second], text[second:]


def _client(name: str, text: str) -> ClientExamples:
    return ClientExamples(name, *(as_pieces(part) for part in cut_by_time(text)))
