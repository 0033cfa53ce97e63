"""The mean of products is not the product of means: what it costs, and the two ways out."""

import math
import re

import pytest
import torch

from fedlearn_helpers.algorithms import LocalConfig, weighted_mean
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments import federate
from fedlearn_helpers.language.federated import exact_mean, product_error
from fedlearn_helpers.language.lora import with_adapters
from fedlearn_helpers.language.text import as_dataset
from fedlearn_helpers.language.transformer import new_transformer

WEIGHTS = (1, 2, 5)


def states_of(clients=3, layers=("first", "second"), seed=0, residual=False):
    """Return random adapters of layers of different sizes, (4 + i, 6) of rank 2, in float64."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    sent = {layer: normal(4 + i, 6) for i, layer in enumerate(layers)}  # R is the same for all
    states = []
    for _ in range(clients):
        state = {}
        for i, layer in enumerate(layers):
            state |= {f"{layer}.A.weight": normal(2, 6), f"{layer}.B.weight": normal(4 + i, 2)}
            if residual:
                state[f"{layer}.R.weight"] = sent[layer]
        states.append(state)
    return states


def products(states, layer):
    return [state[f"{layer}.B.weight"] @ state[f"{layer}.A.weight"] for state in states]


def mean(tensors, weights=WEIGHTS):
    return sum(weight * tensor for weight, tensor in zip(weights, tensors, strict=True)) / sum(weights)


def test_the_error_is_that_of_its_definition():
    states = states_of()
    averaged = weighted_mean(states, WEIGHTS)
    lost, whole = [], []
    for layer in ("first", "second"):
        whole.append(mean(products(states, layer)).flatten())
        lost.append(whole[-1] - products([averaged], layer)[0].flatten())
    expected = (torch.cat(lost).norm() / torch.cat(whole).norm()).item()
    assert expected > 0.1
    assert product_error(states, WEIGHTS) == pytest.approx(expected, rel=1e-12)


def test_one_client_or_equal_clients_lose_nothing():
    first, *_ = states_of()
    assert product_error([first], [3]) == 0
    assert product_error([first] * 3, WEIGHTS) == 0
    assert product_error(states_of(), [0, 7, 0]) < 1e-15


@pytest.mark.parametrize("part", ["A", "B"])
def test_nothing_is_lost_where_all_have_the_same_of_one(part):
    states = states_of()
    assert product_error(states, WEIGHTS) > 0.1
    same = {name: tensor for name, tensor in states[0].items() if f".{part}." in name}
    assert product_error([state | same for state in states], WEIGHTS) == 0


def test_opposite_clients_lose_all():
    first = states_of()[0]
    opposite = {name: -tensor for name, tensor in first.items()}
    assert product_error([first, opposite], [1, 1]) == pytest.approx(1), "means of A and B are 0, that of B A is not"


def test_products_that_cancel_leave_nothing_to_compare_with():
    first = states_of(layers=("only",))[0]
    other = {name: -tensor if ".B." in name else tensor for name, tensor in first.items()}
    assert product_error([first, other], [1, 1]) == 0
    nothing = {name: torch.zeros_like(tensor) for name, tensor in first.items()}
    assert product_error([nothing] * 2, [1, 1]) == 0
    a, b = torch.tensor([[1.0]]), torch.tensor([[1.0]])
    pairs = [(a, b), (-a, b), (a, -b), (-a, -b), (2 * a, 2 * b), (-2 * a, 2 * b)]
    states = [{"only.A.weight": one, "only.B.weight": two} for one, two in pairs]
    assert product_error(states[:2], [1, 1]) == 0
    assert product_error([states[0], states[3], states[5]], [2, 2, 1]) == math.inf


@pytest.mark.parametrize("seed", range(3))
def test_fedex_starts_from_the_exact_mean(seed):
    states = states_of(seed=seed, residual=True)
    averaged = exact_mean(states, WEIGHTS)
    plain = weighted_mean(states, WEIGHTS)
    for layer in ("first", "second"):
        got = products([averaged], layer)[0] + averaged[f"{layer}.R.weight"]
        exact = mean(products(states, layer)) + states[0][f"{layer}.R.weight"]
        torch.testing.assert_close(got, exact, rtol=1e-12, atol=1e-12)
        without = products([plain], layer)[0] + plain[f"{layer}.R.weight"]
        assert (without - exact).norm() > 0.1, "the mean of A and B alone is another"
        for part in "AB":
            assert torch.equal(averaged[f"{layer}.{part}.weight"], plain[f"{layer}.{part}.weight"])


def test_what_fedex_adds_has_a_bounded_rank():
    states = states_of(clients=2, layers=("only",), residual=True)
    added = exact_mean(states, [1, 1])["only.R.weight"] - states[0]["only.R.weight"]
    assert torch.linalg.matrix_rank(added) == 2, "of two clients around their mean: B_1 - B_2 times A_1 - A_2, rank r"


def test_states_that_are_none_of_adapters_are_refused():
    states = states_of()
    only_b = [{name: tensor for name, tensor in state.items() if ".B." in name} for state in states]
    for wrong in (only_b, [{}], [states[0], only_b[1]], [{"weight": torch.ones(2)}]):
        with pytest.raises(InputError, match="states must have A and B of the same layers, got"):
            product_error(wrong, [1] * len(wrong))
        with pytest.raises(InputError, match="states must have A and B of the same layers, got"):
            exact_mean(wrong, [1] * len(wrong))
    with pytest.raises(InputError, match=re.escape("""states must have R of each layer, got none for 'first'""")):
        exact_mean(states, WEIGHTS)


@pytest.mark.parametrize("server", [product_error, exact_mean])
@pytest.mark.parametrize(
    ("clients", "weights", "says"),
    [
        (2, [2, -1], "weights must be finite, >= 0 and not all zero, got [2, -1]"),
        (2, [math.nan, 1], "weights must be finite, >= 0 and not all zero, got [nan, 1"),
        (2, [0, 0], "weights must be finite, >= 0 and not all zero, got [0, 0]"),
        (2, [1], "states must be at least one, with a weight each, got 2 and 1"),
        (2, [1, 1, 1], "states must be at least one, with a weight each, got 2 and 3"),
        (0, [], "states must be at least one, with a weight each, got 0 and 0"),
    ],
)
def test_weights_that_cannot_average_are_refused(server, clients, weights, says):
    with pytest.raises(InputError, match=re.escape(says)):
        server(states_of(clients, residual=True), weights)


def federated(kind, rounds=2, aggregator=weighted_mean):
    """Return the model, and of each round the error, the clients' states, and the mean."""
    torch.set_num_threads(1)
    texts = ["to be or not to be, that is the question. " * 8, "now is the winter of our discontent. " * 9]
    dataset, shards = as_dataset(texts)
    model = with_adapters(new_transformer(0), 2, alpha=8, seed=0, kind=kind)
    errors, seen = [], []

    def watched(states, weights):
        errors.append(product_error(states, weights, model.shared()))
        seen.append((states, weights, aggregator(states, weights)))
        return seen[-1][-1]

    config = LocalConfig(local_epochs=2, batch_size=2, learning_rate=0.1)
    federate(
        "fedavg", dataset, shards, num_rounds=rounds, local_config=config, seed=0, workers=1, model=model,
        aggregator=watched, label=None,
    )  # fmt: skip
    return model, errors, seen


def test_in_a_federation_lora_loses_and_ffa_does_not():
    _, errors, _ = federated("lora")
    assert all(error > 1e-4 for error in errors)
    _, errors, _ = federated("ffa")
    assert errors == [0, 0]


def test_in_a_federation_fedex_keeps_the_mean_of_products():
    _, errors, seen = federated("fedex", aggregator=exact_mean)
    assert all(error > 1e-4 for error in errors), "clients drift apart as with lora; the server makes up for it"
    residual = 0
    for states, weights, new in seen:
        layer = "blocks/0/up"
        torch.testing.assert_close(states[0][f"{layer}.R.weight"], states[1][f"{layer}.R.weight"], rtol=0, atol=0)
        got = products([new], layer)[0] + new[f"{layer}.R.weight"]
        torch.testing.assert_close(got, mean(products(states, layer), weights) + residual, rtol=1e-5, atol=1e-7)
        residual = new[f"{layer}.R.weight"]
    assert residual.norm() > 0
