"""LoRA: what an adapter computes, what of it is sent, and what merging makes of it."""

import copy
import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

from fedlearn_helpers.algorithms import ALGORITHMS, LocalConfig
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments import federate
from fedlearn_helpers.language.lora import Adapted, adapter_bytes, linear_layers, merged, with_adapters
from fedlearn_helpers.language.text import ALPHABET, TEXT, as_dataset
from fedlearn_helpers.language.transformer import Transformer, new_transformer
from fedlearn_helpers.models import copy_of_weights, count_bytes, count_parameters
from fedlearn_helpers.training import train

KINDS = ("lora", "ffa", "fedex")
TOKENS = torch.randint(len(ALPHABET), (3, 20), generator=torch.Generator().manual_seed(0))


def moved(adapted, seed=1):
    """Give an adapted model other adapters, all of them."""
    generator = torch.Generator().manual_seed(seed)
    state = {
        name: torch.randn(tensor.shape, generator=generator) * 0.1 for name, tensor in adapted.state_dict().items()
    }
    adapted.load_state_dict(state)
    return adapted


@pytest.mark.parametrize("kind", KINDS)
def test_at_first_the_model_does_what_it_did(kind):
    model = new_transformer(0)
    adapted = with_adapters(model, 2, alpha=8, seed=0, kind=kind)
    torch.testing.assert_close(adapted(TOKENS), model(TOKENS), rtol=0, atol=0)
    assert not torch.equal(moved(adapted)(TOKENS), model(TOKENS))


def test_an_adapter_adds_its_product():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3)).double()
    adapted = moved(with_adapters(model, 2, alpha=6, seed=0).double())
    state = adapted.state_dict()
    x = torch.randn(7, 5, dtype=torch.float64)
    weight = model[0].weight + 6 / 2 * state["0.B.weight"] @ state["0.A.weight"]
    torch.testing.assert_close(adapted(x), model[1](x @ weight.T + model[0].bias))


@pytest.mark.parametrize("kind", KINDS)
def test_merging_changes_nothing(kind):
    adapted = moved(with_adapters(new_transformer(0).double(), 2, alpha=8, seed=0, kind=kind).double())
    one = merged(adapted)
    torch.testing.assert_close(one(TOKENS), adapted(TOKENS))
    assert isinstance(one, Transformer) and list(one.state_dict()) == list(new_transformer(0).state_dict())
    assert not torch.equal(one.blocks[0].query.weight, adapted.base.blocks[0].query.linear.weight), "a copy"


class Tied(nn.Module):
    """The embedding's weights are the head's, and the same layer is there twice."""

    def __init__(self):
        super().__init__()
        self.token, self.first, self.head = nn.Embedding(9, 6), nn.Linear(6, 6), nn.Linear(6, 9, bias=False)
        self.second, self.head.weight = self.first, self.token.weight

    def forward(self, tokens):
        return self.head(self.second(torch.tanh(self.first(self.token(tokens)))))


@pytest.mark.parametrize("layers", [("head",), ("first",), ("first", "head")])
def test_merging_leaves_what_shares_its_weights(layers):
    torch.manual_seed(0)
    adapted = moved(with_adapters(Tied(), 2, alpha=8, seed=0, layers=layers))
    tokens, before = torch.arange(9), adapted(torch.arange(9))
    one = merged(adapted)
    torch.testing.assert_close(one(tokens), before)
    torch.testing.assert_close(adapted(tokens), before, rtol=0, atol=0)
    assert torch.equal(one.token.weight, adapted.base.token.weight)
    one.head.weight = one.token.weight
    assert torch.allclose(one(tokens), before) != ("head" in layers), "tied again, the head has lost its change"


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_learned_collects_no_gradients(kind):
    adapted = with_adapters(new_transformer(0), 2, alpha=8, seed=0, kind=kind)
    adapted(TOKENS).sum().backward()
    learned = {id(parameter) for parameter in adapted.parameters()}
    assert all((id(weight) in learned) == (weight.grad is not None) for weight in adapted.base.parameters())


@pytest.mark.parametrize("rank", [1, 3])
def test_a_change_has_the_rank(rank):
    adapted = moved(with_adapters(new_transformer(0), rank, alpha=8, seed=0))
    changes = [layer.change() for layer in adapted.base.modules() if hasattr(layer, "change")]
    assert len(changes) == 12 and all(torch.linalg.matrix_rank(change) == rank for change in changes)


def test_only_adapters_are_in_the_state():
    model = new_transformer(0)
    names = {"lora": {"A", "B"}, "ffa": {"B"}, "fedex": {"A", "B", "R"}}
    for kind in KINDS:
        adapted = with_adapters(model, 2, alpha=8, seed=0, kind=kind)
        assert {name.split(".")[1] for name in adapted.state_dict()} == names[kind]
        assert {name.split(".")[1] for name, _ in adapted.named_parameters()} == names[kind] - {"R"}
        shared = adapted.shared()
        assert len(shared) == (12 if kind == "ffa" else 0)
        assert not set(shared) & set(adapted.state_dict())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rank", [1, 2, 8])
def test_bytes_are_those_of_the_formula(kind, rank):
    model = new_transformer(0)
    assert count_bytes(with_adapters(model, rank, alpha=8, seed=0, kind=kind)) == adapter_bytes(model, rank, kind=kind)
    if kind == "lora":  # eight layers of 64 x 64, two of 256 x 64 and two of 64 x 256
        assert adapter_bytes(model, rank) == 4 * rank * (8 * 128 + 4 * 320)
    assert adapter_bytes(model, 2 * rank, kind="ffa") == 2 * adapter_bytes(model, rank, kind="ffa")


@pytest.mark.parametrize("kind", KINDS)
def test_training_changes_adapters_alone(kind):
    model = new_transformer(0)
    adapted = with_adapters(model, 2, alpha=8, seed=0, kind=kind)
    before, base = copy_of_weights(adapted), copy_of_weights(adapted.base)
    optimizer = torch.optim.SGD(adapted.parameters(), lr=0.1)
    inputs, targets = TOKENS[:, :-1].byte(), TOKENS[:, 1:]
    for seed in range(2):
        train(adapted, inputs, targets, range(3), optimizer, epochs=1, batch_size=3, seed=seed, task=TEXT)
    changed = {name for name, tensor in adapted.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {name for name, _ in adapted.named_parameters()}
    learned = {"lora": "AB", "ffa": "B", "fedex": "AB"}[kind]
    for name, tensor in adapted.base.state_dict().items():
        is_adapter = name.split(".")[-2] in learned and name.endswith(".weight")
        assert torch.equal(tensor, base[name]) != is_adapter, name
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, new_transformer(0).state_dict()[name]), "the model that was given stays as it is"


def test_a_copy_is_a_whole():
    adapted = with_adapters(new_transformer(0), 2, alpha=8, seed=0)
    copied = moved(copy.deepcopy(adapted))
    assert not torch.equal(copied(TOKENS), adapted(TOKENS)), "its adapters are in its own base"
    assert copied.base is not adapted.base
    copied.load_state_dict(adapted.state_dict())
    torch.testing.assert_close(copied(TOKENS), adapted(TOKENS), rtol=0, atol=0)


def test_the_base_is_moved_too():
    adapted = with_adapters(new_transformer(0), 2, alpha=8, seed=0)
    adapted.double()
    assert all(tensor.dtype == torch.float64 for tensor in (*adapted.state_dict().values(), *adapted.base.parameters()))
    adapted.eval()
    assert not any(module.training for module in adapted.base.modules())
    adapted.train()
    assert all(module.training for module in adapted.base.modules())


def test_the_seed_decides_a():
    first, again, other = (with_adapters(new_transformer(0), 2, alpha=8, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first if ".A." in name)


def test_layers_can_be_named():
    model = new_transformer(0)
    adapted = with_adapters(model, 2, alpha=8, seed=0, layers=("query", "value"))
    assert {name.split(".")[0] for name in adapted.state_dict()} == {
        f"blocks/{block}/{layer}" for block in (0, 1) for layer in ("query", "value")
    }
    assert "head" not in linear_layers(model) and "head" in linear_layers(model, ("head",))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 0}, "alpha must be > 0, got 0"),
        ({"alpha": float("nan")}, "alpha must be > 0, got nan"),
        ({"seed": -1}, "seed must be >= 0, got -1"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    options = {"model": new_transformer(0), "rank": 2, "alpha": 8, "seed": 0} | options
    with pytest.raises(InputError, match=re.escape(message)):
        with_adapters(options.pop("model"), options.pop("rank"), **options)


NAMES = "layers must be names of linear layers ('query', 'key', 'value', 'out', 'up', 'down', 'head'), got "


@pytest.mark.parametrize(
    "call",
    [lambda model, **options: with_adapters(model, alpha=8, seed=0, **options), adapter_bytes],
    ids=["adapters", "bytes"],
)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 0}, "rank must be a whole number >= 1, got 0"),
        ({"rank": -3}, "rank must be a whole number >= 1, got -3"),
        ({"rank": 2.5}, "rank must be a whole number >= 1, got 2.5"),
        ({"rank": 65}, "rank must be <= 64, the smallest size of these layers, got 65"),
        ({"rank": 46, "layers": ("head",)}, "rank must be <= 45, the smallest size of these layers, got 46"),
        ({"kind": "dora"}, "kind must be 'lora', 'ffa', 'fedex', got 'dora'"),
        ({"layers": ("q",)}, f"{NAMES}('q',)"),
        ({"layers": ("query", "valeu")}, f"{NAMES}('query', 'valeu')"),
        ({"layers": "query"}, f"{NAMES}'query'"),
        ({"layers": "queryvalue"}, f"{NAMES}'queryvalue'"),
        ({"layers": ()}, f"{NAMES}()"),
        ({"model": nn.Linear(2, 2)}, "model must have two linear layers or more, got "),
        ({"model": nn.ReLU(), "layers": ("q",)}, "layers must be names of linear layers (there are none), got ('q',)"),
    ],
)
def test_bytes_and_adapters_refuse_the_same(call, options, message):
    options = {"model": new_transformer(0), "rank": 2} | options
    with pytest.raises(InputError, match=re.escape(message)):
        call(options.pop("model"), **options)


class Tiny(nn.Module):
    """A language model with two linear layers, quick enough for all algorithms."""

    def __init__(self):
        super().__init__()
        self.token, self.hidden, self.head = (
            nn.Embedding(len(ALPHABET), 8),
            nn.Linear(8, 8),
            nn.Linear(8, len(ALPHABET)),
        )

    def forward(self, tokens):
        return self.head(torch.tanh(self.hidden(self.token(tokens))))


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_every_algorithm_trains_adapters(algorithm):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    dataset, shards = as_dataset(["to be or not to be " * 4, "the rest is silence " * 4, "who is there " * 6], length=8)
    model = with_adapters(Tiny(), 2, alpha=4, seed=0)
    config = LocalConfig(batch_size=4, learning_rate=0.05)
    result = federate(
        algorithm, dataset, shards, num_rounds=2, local_config=config, seed=0, workers=1, model=model, label=None
    )
    final = result.model.to_torch_state_dict()
    assert all("hidden." in name and name.endswith(("A.weight", "B.weight")) for name in final)
    assert count_parameters(model) == 2 * 2 * 8
    assert np.isfinite(result.members.own).all()
    if set(final) == set(model.state_dict()):
        assert any(not torch.equal(final[name], tensor) for name, tensor in model.state_dict().items())


def test_float64_adapters_make_a_float64_model():
    adapted = moved(with_adapters(new_transformer(0), 2, alpha=8, seed=0))
    whole = copy.deepcopy(adapted).double()
    double = {name: tensor.double() for name, tensor in adapted.state_dict().items()}
    scores = functional_call(adapted, double, (TOKENS,))
    assert scores.dtype == torch.float64 and isinstance(adapted, Adapted)
    torch.testing.assert_close(scores, whole(TOKENS), rtol=1e-12, atol=1e-12)
    assert adapted.base.head.weight.dtype == torch.float32
