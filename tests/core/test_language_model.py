"""Text in windows, the small transformer, and the weights that the package brings."""

import hashlib
import math
import re
import sys

import numpy as np
import pytest
import torch

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.language import pretraining
from fedlearn_helpers.language.pretraining import (
    TEXT_SHA256,
    WEIGHTS,
    load_pretrained,
    main,
    pretrained,
    public_text,
)
from fedlearn_helpers.language.text import ALPHABET, TEXT, as_dataset, decode, encode, simplified, windows
from fedlearn_helpers.language.transformer import new_transformer
from fedlearn_helpers.models import count_parameters
from fedlearn_helpers.training import evaluate

ENGLISH = simplified(
    "If the file does not exist, an error is raised. The value of the first argument is the name of the module, and "
    "the second is a list of strings. Note that the function returns a new object when it is called again. "
)


def test_text_is_simplified():
    assert simplified("  To be,\n\tor NOT -- (to) bé?  ") == "to be, or not -- to b ?"
    assert set(simplified("".join(map(chr, range(1, 1000))))) <= set(ALPHABET)
    assert decode(encode(ALPHABET)) == ALPHABET and len(set(ALPHABET)) == len(ALPHABET)


def test_a_target_is_the_next_character():
    inputs, targets = windows("abcdefghij", 3)
    assert [decode(row) for row in inputs] == ["abc", "def", "ghi"]
    assert [decode(row) for row in targets] == ["bcd", "efg", "hij"]
    assert inputs.dtype == torch.uint8 and targets.dtype == torch.int64


def test_clients_keep_their_windows_and_test_on_their_end():
    texts = ["a" * 101, "b" * 31, "c" * 57]
    dataset, shards = as_dataset(texts, length=10)
    for shard, text, count in zip(shards, texts, (10, 3, 5), strict=True):
        own = dataset.train_inputs[np.concatenate([shard.train, shard.validation])]
        assert len(own) == count and decode(own.flatten()) == text[0] * 10 * count
        assert shard.validation.min() > shard.train.max()
    assert decode(dataset.test_inputs.flatten()) == "a" * 20 + "b" * 10 + "c" * 10
    assert sum(len(shard.train) for shard in shards) == 18 - 4


def test_evaluation_does_not_depend_on_batches():
    model = new_transformer(0)
    inputs, targets = windows(ENGLISH * 90)
    assert len(inputs) > 250, "more than one batch, and the last is smaller"
    result = evaluate(model, inputs, targets, task=TEXT)
    with torch.no_grad():
        assert result.loss == pytest.approx(TEXT.loss(model(inputs.long()), targets).item(), rel=1e-5)


def test_a_place_sees_itself_and_those_before():
    model = new_transformer(0)
    tokens = encode(ENGLISH[:64])[None]
    scores = model(tokens)
    for place in (0, 20, 63):
        other = tokens.clone()
        other[0, place] = (other[0, place] + 1) % len(ALPHABET)
        changed = (model(other) != scores).any(dim=2)[0]
        assert not changed[:place].any() and changed[place:].all()
    torch.testing.assert_close(model(tokens[:, :20]), scores[:, :20])


def test_it_is_small_and_of_its_seed():
    model = new_transformer(0)
    assert count_parameters(model) == 109_997
    assert torch.equal(model.head.weight, new_transformer(0).head.weight)
    assert not torch.equal(model.head.weight, new_transformer(1).head.weight)


def test_its_weights_know_technical_english():
    assert WEIGHTS.stat().st_size < 400_000
    notice = next(WEIGHTS.parent.glob("*NOTICE*")).read_text()
    assert hashlib.sha256(WEIGHTS.read_bytes()).hexdigest() in notice
    inputs, targets = windows(ENGLISH)
    own = evaluate(load_pretrained(), inputs, targets, task=TEXT).loss
    assert own < 1.7 < evaluate(new_transformer(0), inputs, targets, task=TEXT).loss
    backwards, targets = windows(ENGLISH[::-1])
    assert evaluate(load_pretrained(), backwards, targets, task=TEXT).loss > own + 1, "and not any text"


def test_pretraining_learns_and_repeats():
    text = ENGLISH * 8
    model, again = (pretrained(text, epochs=2, seed=0) for _ in range(2))
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in model.state_dict().items())
    inputs, targets = windows(text)
    assert evaluate(model, inputs, targets, task=TEXT).loss < math.log(len(ALPHABET)) - 0.5


def test_the_script_refuses_another_text(monkeypatch, tmp_path):
    monkeypatch.setattr(pretraining, "public_text", lambda: ENGLISH)
    with pytest.raises(InputError, match="the topics must be those of Python 3.11.7, with the hash"):
        main(str(tmp_path / "weights.npz"))
    assert not list(tmp_path.iterdir())


def test_the_script_writes_what_is_loaded(monkeypatch, tmp_path):
    path = tmp_path / "weights.npz"
    monkeypatch.setattr(pretraining, "public_text", lambda: ENGLISH)
    monkeypatch.setattr(pretraining, "TEXT_SHA256", hashlib.sha256(ENGLISH.encode()).hexdigest())
    main(str(path))
    monkeypatch.setattr(pretraining, "WEIGHTS", path)
    expected = pretrained(ENGLISH, seed=0).state_dict()
    for name, tensor in load_pretrained().state_dict().items():
        torch.testing.assert_close(tensor, expected[name].half().float(), rtol=0, atol=0)


@pytest.mark.skipif(sys.version_info[:3] != (3, 11, 7), reason="other versions have other topics")
def test_the_public_text_is_that_of_the_weights():
    assert hashlib.sha256(public_text().encode()).hexdigest() == TEXT_SHA256


def test_every_python_has_a_public_text():
    assert len(public_text()) > 300_000


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: encode("To"), "text must have characters of ALPHABET alone, got 'T'; use simplified(text)"),
        (lambda: windows("abc", 3), "text must have at least 4 characters, got 3"),
        (lambda: windows("abc", 0), "length must be a whole number >= 1, got 0"),
        (lambda: as_dataset([]), "texts must have the text of at least one client, got none"),
        (lambda: as_dataset(["a" * 129, "b" * 128]), "texts must have at least 129 characters each"),
        (lambda: as_dataset(["a" * 999], test_fraction=1), "test_fraction must be > 0 and < 1, got 1"),
        (lambda: pretrained("a" * 999, epochs=0, seed=0), "epochs must be a whole number >= 1, got 0"),
        (
            lambda: new_transformer(seed=0)(encode("a" * 65)[None]),
            "tokens must have at most the 64 places of the model's context, got 65",
        ),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(InputError, match=re.escape(message)):
        call()
