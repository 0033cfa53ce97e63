"""What must hold exactly for the strategies, whatever the data; each with a control that must fail.

Two kinds of clients: real ones, which train the CNN on images of noise, and quadratic ones, whose optimum is known. A
quadratic client k has the loss (a_k / 2) ||w - b_k||^2, so that its training and its fixed points have closed forms.
"""

import math

import numpy as np
import pytest
import torch
from flwr.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
from noise import distance, noise_images, shards
from torch import nn

from fedlearn_helpers.algorithms import (
    ALGORITHMS,
    STRATEGIES,
    LocalConfig,
    find_algorithm,
    new_strategy,
    uniform_mean,
    weighted_mean,
)
from fedlearn_helpers.algorithms.fednova import NORM, norm_of_steps
from fedlearn_helpers.algorithms.local import LocalTraining, tensors
from fedlearn_helpers.algorithms.scaffold import CHANGE, CONTROL, OWN_CONTROL, correct_step
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments.federate import federate
from fedlearn_helpers.models import new_cnn
from fedlearn_helpers.partition import Shard
from fedlearn_helpers.simulation import keep_result, simulate
from fedlearn_helpers.simulation.grid import InProcessGrid

# Real clients -----------------------------------------------------------------------------

SIZES = (12, 20, 40)


@pytest.fixture(scope="module")
def noise():
    return noise_images(80, 20)


def final_model(
    noise, strategy, *, rounds=2, sizes=SIZES, settings=None, aggregator=None, workers=1, seed=0, **local_config
):
    local_config = LocalConfig(**({"batch_size": 4, "learning_rate": 0.05} | local_config))
    outcome = federate(
        strategy,
        noise,
        shards(sizes),
        num_rounds=rounds,
        local_config=local_config,
        settings=settings,
        aggregator=aggregator,
        seed=seed,
        workers=workers,
        label=None,
    )
    return {name: tensor.double() for name, tensor in outcome.model.to_torch_state_dict().items()}


def clients_models(noise, *, sizes=SIZES, **local_config):
    """What each client alone makes of the first model in round 1."""
    models = []
    for number in range(len(sizes)):

        def keep_only(message, context, call_next, number=number):
            if context.node_config["partition-id"] != number:
                raise RuntimeError("left out")
            return call_next(message, context)

        outcome = federate(
            "fedavg",
            noise,
            shards(sizes),
            num_rounds=1,
            local_config=LocalConfig(**({"batch_size": 4, "learning_rate": 0.05} | local_config)),
            seed=0,
            workers=1,
            mods=[keep_only],
            on_error="reply",
            label=None,
        )
        models.append({name: tensor.double() for name, tensor in outcome.model.to_torch_state_dict().items()})
    return models


def weighted(models, weights):
    total = sum(weights)
    return {name: sum(w / total * m[name] for w, m in zip(weights, models, strict=True)) for name in models[0]}


TOLERANCE = 2e-7  # float32 weights below 1


def test_fedavg_is_the_mean_weighted_by_examples(noise):
    models = clients_models(noise)
    assert distance(final_model(noise, "fedavg", rounds=1), weighted(models, SIZES)) < TOLERANCE
    assert distance(final_model(noise, "fedavg", rounds=1), weighted(models, (1, 1, 1))) > 100 * TOLERANCE, "control"


def test_fedprox_with_mu_0_is_fedavg_bit_for_bit(noise):
    plain = final_model(noise, "fedavg", momentum=0.9)
    assert distance(final_model(noise, "fedprox", settings={"mu": 0}, momentum=0.9), plain) == 0
    assert distance(final_model(noise, "fedprox", settings={"mu": 1}, momentum=0.9), plain) > 1e-4, "control"


def test_fedprox_with_one_local_step_is_fedavg_whatever_mu(noise):
    plain = final_model(noise, "fedavg", batch_size=100)
    assert distance(final_model(noise, "fedprox", settings={"mu": 10}, batch_size=100), plain) == 0
    pulled = final_model(noise, "fedprox", settings={"mu": 10}, batch_size=20)
    assert distance(pulled, final_model(noise, "fedavg", batch_size=20)) > 1e-5, "control: two steps at a client"


@pytest.mark.slow
def test_fedprox_with_a_large_mu_stays_near_the_received_model(noise):
    start = new_cnn(noise.image_shape, noise.num_classes, 0).state_dict()
    moved = {
        mu: distance(final_model(noise, "fedprox", rounds=1, settings={"mu": mu}, local_epochs=10), start)
        for mu in (0, 1, 10)
    }
    assert moved[10] < moved[1] < moved[0]


def test_the_first_round_of_scaffold_is_the_uniform_mean(noise):
    models = clients_models(noise)
    first = final_model(noise, "scaffold", rounds=1)
    assert distance(first, weighted(models, (1, 1, 1))) < TOLERANCE
    assert distance(first, weighted(models, SIZES)) > 100 * TOLERANCE, "control"


def test_scaffold_differs_from_uniform_fedavg_from_the_second_round_on(noise):
    uniform = final_model(noise, "qfedavg", settings={"q": 0})
    assert distance(final_model(noise, "scaffold"), uniform) > 100 * TOLERANCE


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_fednova_with_equal_steps_is_fedavg(noise, momentum):
    """Clients of 12, 12 and 12 images take equal steps; of 12, 20 and 40 they do not."""
    equal = (12, 12, 12)
    plain = final_model(noise, "fedavg", sizes=equal, momentum=momentum)
    assert distance(final_model(noise, "fednova", sizes=equal, momentum=momentum), plain) < TOLERANCE
    plain = final_model(noise, "fedavg", momentum=momentum)
    assert distance(final_model(noise, "fednova", momentum=momentum), plain) > 100 * TOLERANCE, "control"


def test_fednova_hands_changes_per_step_to_another_aggregator(noise):
    """One that does what the default does gives the same up to rounding, another one does not."""
    plain = final_model(noise, "fednova")
    same = final_model(noise, "fednova", aggregator=lambda states, weights: weighted_mean(states, weights))
    assert distance(same, plain) < TOLERANCE
    assert distance(final_model(noise, "fednova", aggregator=uniform_mean), plain) > 100 * TOLERANCE, "control"


def test_fednova_does_not_count_a_client_that_took_no_step(noise):
    """It has no change per step; and where nobody took one the model stays."""

    def idle(*clients):
        def without_steps(message, context, call_next):
            reply = call_next(message, context)
            if context.node_config["partition-id"] in clients and message.metadata.message_type == "train":
                reply.content["metrics"][NORM] = 0.0
            return reply

        config = LocalConfig(batch_size=4, learning_rate=0.05)
        options = {"local_config": config, "seed": 0, "workers": 1, "label": None, "mods": [without_steps]}
        return federate("fednova", noise, shards(SIZES), num_rounds=1, **options).model.to_torch_state_dict()

    models = clients_models(noise)[:2]
    assert all(torch.isfinite(tensor).all() for tensor in idle(2).values())
    start = new_cnn(noise.image_shape, noise.num_classes, 0).state_dict()
    assert distance(idle(0, 1, 2), start) == 0
    assert distance(idle(1, 2), models[0]) < TOLERANCE
    assert distance(idle(2), start) > 100 * TOLERANCE, "control"


def test_the_first_round_of_fedavgm_is_fedavg(noise):
    assert distance(final_model(noise, "fedavgm", rounds=1), final_model(noise, "fedavg", rounds=1)) < TOLERANCE
    assert distance(final_model(noise, "fedavgm"), final_model(noise, "fedavg")) > 100 * TOLERANCE, "control: round 2"


def test_q_fedavg_with_q_0_is_the_uniform_mean(noise):
    models = clients_models(noise)
    uniform = weighted(models, (1, 1, 1))
    assert distance(final_model(noise, "qfedavg", rounds=1, settings={"q": 0}), uniform) < 10 * TOLERANCE
    assert distance(final_model(noise, "qfedavg", rounds=1, settings={"q": 2}), uniform) > 100 * TOLERANCE, "control"


def test_q_fedavg_measures_the_loss_of_the_received_model_on_all_training_images(noise):
    from fedlearn_helpers.training import evaluate

    outcome = federate(
        "qfedavg", noise, shards(SIZES), num_rounds=1, local_config=LocalConfig(batch_size=4), seed=0, workers=1
    )
    model = new_cnn(noise.image_shape, noise.num_classes, 0)
    expected = [evaluate(model, noise.train_images, noise.train_labels, shard.train).loss for shard in shards(SIZES)]
    assert outcome.history.clients["train_loss"].tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("strategy", ["fedadam", "fedyogi", "fedadagrad"])
def test_adaptive_strategies_move_each_weight_by_about_eta_in_the_first_round(noise, strategy):
    """Delta / (sqrt(v) + tau): bounded by eta times a constant, whatever the size of the clients' update."""
    start = {n: t.double() for n, t in new_cnn(noise.image_shape, noise.num_classes, 0).state_dict().items()}
    for eta in (0.01, 0.02):
        moved = distance(final_model(noise, strategy, rounds=1, settings={"eta": eta, "tau": 1e-6}), start)
        assert 0.5 * eta < moved < 1.5 * eta


def test_fedadam_corrects_for_a_bias_as_its_docstring_says(noise):
    """In round 1 m is (1 - beta_1) Delta and v (1 - beta_2) Delta^2, so every weight moves by the same: 0.74 of eta."""
    start = {n: t.double() for n, t in new_cnn(noise.image_shape, noise.num_classes, 0).state_dict().items()}
    corrected = 0.01 * math.sqrt(1 - 0.99**2) / (1 - 0.9**2)
    moved = distance(final_model(noise, "fedadam", rounds=1, settings={"eta": 0.01, "tau": 1e-9}), start)
    assert moved == pytest.approx(corrected, rel=1e-3)
    assert corrected / 0.01 == pytest.approx(0.74, abs=0.005)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_models_keep_their_dtypes(noise, strategy):
    outcome = federate(
        strategy, noise, shards(SIZES), num_rounds=2, local_config=LocalConfig(batch_size=40), seed=0, workers=1
    )
    assert {tensor.dtype for tensor in outcome.model.to_torch_state_dict().values()} == {torch.float32}
    assert outcome.model.keys() == new_cnn(noise.image_shape, noise.num_classes, 0).state_dict().keys()
    assert len(outcome.test_accuracy) == 3 and len(outcome.members.own) == 3


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_gives_the_same_bits_with_workers(noise, strategy):
    """Client state (SCAFFOLD, FedDyn) travels with the client, whichever worker it comes to."""
    one, two = (final_model(noise, strategy, rounds=3, workers=workers) for workers in (1, 2))
    assert distance(one, two) == 0


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_replies_may_come_in_any_order(noise, strategy, monkeypatch):
    """As in Flower's other engines. Sums then differ in their last bits, which FedAdam's division magnifies."""
    in_order = final_model(noise, strategy, rounds=3)
    send_and_receive = InProcessGrid.send_and_receive
    monkeypatch.setattr(
        InProcessGrid,
        "send_and_receive",
        lambda grid, messages, **options: send_and_receive(grid, messages, **options)[::-1],
    )
    assert distance(in_order, final_model(noise, strategy, rounds=3)) < 3e-4


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_second_run_starts_anew(noise, strategy):
    assert distance(final_model(noise, strategy), final_model(noise, strategy)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_client_that_fails_once_is_left_out_once(noise, strategy):
    def fail_once(message, context, call_next):
        if (context.node_config["partition-id"], message.content["config"]["server-round"]) == (1, 2):
            raise RuntimeError("battery empty")
        return call_next(message, context)

    outcome = federate(
        strategy,
        noise,
        shards(SIZES),
        num_rounds=3,
        local_config=LocalConfig(batch_size=4),
        seed=0,
        workers=1,
        mods=[fail_once],
        on_error="reply",
    )
    assert len(outcome.history.failures) == 1
    assert all(torch.isfinite(tensor).all() for tensor in outcome.model.to_torch_state_dict().values())


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_when_all_clients_fail_the_model_stays_as_it_was(noise, strategy):
    def fail(message, context, call_next):
        raise RuntimeError("no network")

    outcome = federate(
        strategy, noise, shards(SIZES), num_rounds=2, seed=0, workers=1, mods=[fail], on_error="reply", label=None
    )
    start = new_cnn(noise.image_shape, noise.num_classes, 0).state_dict()
    assert all(torch.equal(tensor, start[name]) for name, tensor in outcome.model.to_torch_state_dict().items())
    assert len(set(outcome.test_accuracy)) == 1


# Partial work -----------------------------------------------------------------------------


@pytest.mark.parametrize(("allowed", "taken"), [(1, 1), (4, 4), (5, 5), (7, 7), (10, 10), (99, 10)])
def test_max_steps_in_the_config_limit_a_client(noise, allowed, taken):
    """20 images in batches of 4 for 2 epochs are 10 steps."""

    def limit(message, context, call_next):
        message.content["config"]["max-steps"] = allowed
        return call_next(message, context)

    local_config = LocalConfig(batch_size=4, local_epochs=2)
    outcome = federate(
        "fedavg", noise, shards((20,)), num_rounds=1, local_config=local_config, seed=0, workers=1, mods=[limit]
    )
    assert outcome.history.clients["steps"].tolist() == [taken]
    whole = final_model(noise, "fedavg", rounds=1, sizes=(20,), local_epochs=2)
    same = {name: tensor.double() for name, tensor in outcome.model.to_torch_state_dict().items()}
    assert (distance(whole, same) == 0) == (taken == 10)


# Quadratic clients ------------------------------------------------------------------------

B = torch.tensor([[0.0, 0.0], [1.0, 4.0], [5.0, -2.0]], dtype=torch.float64)  # where each client's own optimum is
RATE = 0.02


class Point(nn.Module):
    """A model that is nothing but a point of the plane."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(2, dtype=torch.float64))


class QuadraticTraining(LocalTraining):
    """Real local training, with its hooks, optimizer and state, on the gradient a (w - b)."""

    a, b = 1.0, B[0]

    def _take_steps(self, indices, epochs, seed):
        for _ in range(epochs * -(-len(indices) // self.local_config.batch_size)):
            self._optimizer.zero_grad()
            loss = self.a / 2 * ((self.model.w - self.b) ** 2).sum()
            loss.backward()
            self._optimizer.step()
        return loss.item()


def fixed_point(
    strategy,
    *,
    steps,
    curvatures=(1.0, 1.0, 1.0),
    rounds=120,
    settings=None,
    examples=None,
    watch=None,
    momentum=0.0,
    optima=B,
    train_client=None,
    aggregator=None,
):
    """Run a federation of quadratic clients until it stands still, and return where.

    A client's shard has as many entries as it takes steps (batches of 1); `examples` is what it reports instead.
    """
    local_config = LocalConfig(batch_size=1, learning_rate=RATE, momentum=momentum)
    method, model = ALGORITHMS[strategy], Point()
    first = ArrayRecord(model.state_dict())
    client_app, server_app = ClientApp(), ServerApp()

    @client_app.train()
    def train(message, context):
        k = context.node_config["partition-id"]
        local = QuadraticTraining(
            message, context, None, Shard(np.arange(steps[k]), np.arange(0)), model, local_config, 0
        )
        local.a, local.b = curvatures[k], optima[k]
        content = (train_client or method.train_client)(local)
        content["metrics"]["num-examples"] = (examples or steps)[k]
        if watch is not None:
            watch(k, message, context)
        return Message(content, reply_to=message)

    @server_app.main()
    def main(grid, context):
        rules = new_strategy(strategy, local_config, settings, aggregator=aggregator, fraction_evaluate=0.0)
        keep_result(rules.start(grid, first, num_rounds=rounds), context)

    history = simulate(server_app, client_app, num_clients=len(steps), seed=0, workers=1, label=None)
    return history.arrays.to_torch_state_dict()["w"]


def shrink(steps):
    """How much of the way to its optimum a client goes in so many steps, with curvature 1."""
    return 1 - (1 - RATE) ** np.array(steps)


def centre(weights):
    weights = torch.as_tensor(np.array(weights, dtype=float))
    return (weights[:, None] * B).sum(dim=0) / weights.sum()


UNEQUAL = (1, 5, 20)
EXAMPLES = (30, 20, 10)


@pytest.mark.slow
def test_with_unequal_steps_fedavg_drifts_and_fednova_does_not():
    """FedAvg rests at sum w s b / sum w s, and s is nearly proportional to tau; FedNova near sum w b / sum w."""
    wanted = centre(EXAMPLES)
    fedavg = fixed_point("fedavg", steps=UNEQUAL, examples=EXAMPLES)
    fednova = fixed_point("fednova", steps=UNEQUAL, examples=EXAMPLES)
    weights, s, tau = np.array(EXAMPLES), shrink(UNEQUAL), np.array(UNEQUAL)
    assert torch.allclose(fedavg, centre(weights * s), atol=1e-3)
    assert torch.allclose(fednova, centre(weights * s / tau), atol=1e-3)
    assert torch.norm(centre(weights * s) - centre(weights * tau)) < 0.5, "s is close to proportional to tau"
    assert torch.norm(fedavg - wanted) > 5 * torch.norm(fednova - wanted)


@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "settings"), [("scaffold", None), ("feddyn", {"alpha": 0.5})])
def test_with_different_curvatures_fedavg_rests_elsewhere_and_control_finds_the_optimum(strategy, settings):
    """Many local steps on losses of different curvature: the optimum of the uniform mean is sum a b / sum a."""
    curvatures, steps = (0.5, 1.0, 4.0), (10, 10, 10)
    optimum = centre(curvatures)
    fedavg = fixed_point("fedavg", steps=steps, curvatures=curvatures)
    corrected = fixed_point(strategy, steps=steps, curvatures=curvatures, settings=settings)
    assert torch.norm(fedavg - optimum) > 0.3, "control"
    assert torch.norm(corrected - optimum) < 1e-3


THREE = {
    "steps": (1, 4, 10),
    "curvatures": (0.3, 1.0, 2.5),
    "optima": torch.tensor([[-2.0, 0.0], [1.0, 0.0], [3.0, 0.0]], dtype=torch.float64),
}


def corrected_behind_the_steps(local):
    """SCAFFOLD with a correction that momentum does not see, and with the number of steps whatever the momentum."""
    eta = local.local_config.learning_rate
    c, c_i = tensors(local.content, CONTROL, like=local.start), tensors(local.state, OWN_CONTROL, like=local.start)

    local.after_each_step(correct_step, c, c_i, eta=eta)
    local.train()
    new = {
        name: c_i[name] - c[name] + (local.start[name] - y.detach()) / (local.steps * eta)
        for name, y in local.model.named_parameters()
    }
    local.state[OWN_CONTROL] = ArrayRecord(new)
    content = local.reply()
    content[CHANGE] = ArrayRecord({name: new[name] - c_i[name] for name in c_i})
    return content


@pytest.mark.slow
@pytest.mark.parametrize(("momentum", "rounds", "biased"), [(0.5, 150, 2.2794), (0.9, 150, 2.5333)])
def test_scaffold_with_momentum_and_unequal_steps_finds_the_optimum(momentum, rounds, biased):
    """The optimum of the uniform mean, whatever the number of steps; without the momentum's share it rests elsewhere.

    There, c_i is |a_i|_1 / K_i times a gradient, another factor for each client: for small rates it rests at `biased`.
    """
    optimum = (0.3 * -2.0 + 1.0 * 1.0 + 2.5 * 3.0) / 3.8
    there = fixed_point("scaffold", rounds=rounds, momentum=momentum, **THREE)
    assert float(there[0]) == pytest.approx(optimum, abs=1e-6)
    elsewhere = fixed_point(
        "scaffold", rounds=rounds, momentum=momentum, train_client=corrected_behind_the_steps, **THREE
    )
    assert float(elsewhere[0]) == pytest.approx(biased, abs=0.12), "control"


def test_scaffold_without_momentum_has_the_bits_that_it_always_had():
    plain = fixed_point("scaffold", rounds=30, **THREE)
    assert torch.equal(plain, fixed_point("scaffold", rounds=30, train_client=corrected_behind_the_steps, **THREE))


def test_the_first_control_is_a_mean_of_gradients_whatever_the_momentum():
    """With a curvature near 0 the gradient is the same at every step, and c_i is that gradient."""
    own = {}

    def watch(k, message, context):
        own[k] = context.state[OWN_CONTROL].to_torch_state_dict()["w"]

    flat = {**THREE, "curvatures": (1e-9,) * 3}
    fixed_point("scaffold", rounds=1, momentum=0.9, watch=watch, **flat)
    for k in range(3):
        assert torch.allclose(own[k], -1e-9 * THREE["optima"][k], rtol=1e-6)


@pytest.mark.parametrize(("aggregator", "weights"), [(None, (1, 1, 1)), (weighted_mean, (30, 20, 10))])
def test_with_full_participation_the_control_is_the_mean_of_the_clients_controls(aggregator, weights):
    """The mean in which their models are averaged: only then do the corrections c - c_i cancel in it."""
    own, received = {}, {}

    def watch(k, message, context):
        server_round = message.content["config"]["server-round"]
        own[server_round, k] = context.state[OWN_CONTROL].to_torch_state_dict()["w"]
        if CONTROL in message.content:
            received[server_round] = message.content[CONTROL].to_torch_state_dict()["w"]

    fixed_point("scaffold", steps=(3, 3, 8), rounds=5, watch=watch, examples=(30, 20, 10), aggregator=aggregator)
    shares = torch.tensor(weights, dtype=torch.float64) / sum(weights)
    assert set(received) == {2, 3, 4, 5}, "zero, and so not sent, in round 1"
    for server_round, c in received.items():
        before = torch.stack([own[server_round - 1, k] for k in range(3)])
        assert torch.allclose(c, (shares[:, None] * before).sum(dim=0), atol=1e-12)
        if aggregator:
            assert not torch.allclose(c, before.mean(dim=0), atol=1e-3), "control"
    assert not torch.allclose(own[1, 0], own[1, 2]), "control: the clients' own differ"


def test_a_scaffold_client_controls_are_its_average_gradient():
    """Option II: c_i' = c_i - c + (w - y) / (K eta) is the mean gradient along the way, here known in closed form."""
    own = {}

    def watch(k, message, context):
        if message.content["config"]["server-round"] == 1:
            own[k] = context.state[OWN_CONTROL].to_torch_state_dict()["w"]

    steps = (1, 4, 9)
    fixed_point("scaffold", steps=steps, rounds=1, watch=watch)
    for k, (count, s) in enumerate(zip(steps, shrink(steps), strict=True)):
        assert torch.allclose(own[k], -B[k] * s / (count * RATE), atol=1e-12)


def test_feddyn_sends_to_the_mean_of_the_clients_models_less_h_over_alpha():
    """Round 1 by hand: h = -alpha mean(theta - w), so w' = mean theta + mean(theta - w); w starts at 0."""
    alpha, steps = 0.5, (6, 6, 6)
    theta = []
    for b in B:
        w = torch.zeros(2, dtype=torch.float64)
        for _ in range(6):
            w = w - RATE * ((w - b) + alpha * w)
        theta.append(w)
    expected = 2 * torch.stack(theta).mean(dim=0)
    assert torch.allclose(fixed_point("feddyn", steps=steps, rounds=1, settings={"alpha": alpha}), expected, atol=1e-12)


def test_norm_of_steps_is_that_of_the_momentum_recursion():
    for momentum in (0.0, 0.5, 0.9):
        for steps in (1, 2, 7, 30):
            velocity, total = 0.0, 0.0
            for _ in range(steps):  # unit gradients: the way that SGD with momentum goes
                velocity = momentum * velocity + 1
                total += velocity
            assert norm_of_steps(steps, momentum) == pytest.approx(total)


# q-FedAvg against its formula -------------------------------------------------------------


@pytest.mark.parametrize("q", [0.0, 1.0, 5.0])
def test_q_fedavg_is_its_formula(q):
    w, rate = np.array([1.0, -1.0]), 0.1
    models, losses = np.array([[0.5, -1.0], [1.2, 0.0], [1.0, -2.0]]), np.array([0.5, 2.0, 1.0])
    client_app, server_app = ClientApp(), ServerApp()

    @client_app.train()
    def train(message, context):
        k = context.node_config["partition-id"]
        metrics = MetricRecord({"num-examples": 10 * (k + 1), "train_loss": float(losses[k])})
        return Message(
            RecordDict({"arrays": ArrayRecord({"w": Array(models[k])}), "metrics": metrics}), reply_to=message
        )

    @server_app.main()
    def main(grid, context):
        rules = new_strategy("qfedavg", LocalConfig(learning_rate=rate), {"q": q}, fraction_evaluate=0.0)
        keep_result(rules.start(grid, ArrayRecord({"w": Array(w)}), num_rounds=1), context)

    result = simulate(server_app, client_app, num_clients=3, seed=0, workers=1, label=None).arrays["w"].numpy()
    lipschitz = 1 / rate
    gradients = lipschitz * (w - models)
    norms = (gradients**2).sum(axis=1)
    delta = losses[:, None] ** q * gradients
    h = q * losses ** (q - 1) * norms + lipschitz * losses**q
    np.testing.assert_allclose(result, w - delta.sum(axis=0) / h.sum(), rtol=1e-6)
    if q == 0:
        np.testing.assert_allclose(result, models.mean(axis=0), rtol=1e-12)


# Bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "settings", "sentence"),
    [
        ("fedsgd", None, "algorithm must be 'fedavg', 'fedprox', 'qfedavg', 'fedavgm', .*'ifca', got 'fedsgd'$"),
        ("fedprox", {"mu": -0.1}, "mu of fedprox must be >= 0, got -0.1$"),
        ("qfedavg", {"q": -1}, "q of qfedavg must be >= 0, got -1$"),
        ("feddyn", {"alpha": 0}, "alpha of feddyn must be > 0, got 0$"),
        ("fedavgm", {"server_momentum": 1}, "server_momentum of fedavgm must be >= 0 and < 1, got 1$"),
        ("fedadam", {"eta": 0}, "eta of fedadam must be > 0, got 0$"),
        ("fedadam", {"eta": float("nan")}, "eta of fedadam must be > 0, got nan$"),
        ("fedprox", {"nu": 1}, "fedprox has the settings mu, got 'nu'$"),
        ("fedavg", {"mu": 1}, "fedavg has no settings, got 'mu'$"),
    ],
)
def test_impossible_strategy_or_setting(noise, strategy, settings, sentence):
    with pytest.raises(InputError, match=sentence):
        federate(strategy, noise, shards(SIZES), num_rounds=1, settings=settings, seed=0)
    with pytest.raises(InputError, match=sentence):
        find_algorithm(strategy).complete_settings(settings)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"num_rounds": 0}, "num_rounds must be >= 1, got 0"),
        ({"fraction_train": 0}, "fraction_train must be > 0 and <= 1, got 0"),
        ({"fraction_train": 1.2}, "fraction_train must be > 0 and <= 1, got 1.2"),
    ],
)
def test_impossible_experiment(noise, change, sentence):
    with pytest.raises(InputError, match=sentence):
        federate("fedavg", noise, shards(SIZES), **({"num_rounds": 1, "seed": 0} | change))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"local_epochs": 0}, "local_epochs must be >= 1, got 0"),
        ({"batch_size": 0}, "batch_size must be >= 1, got 0"),
        ({"learning_rate": 0}, "learning_rate must be > 0, got 0"),
        ({"momentum": 1}, r"momentum must be in \[0, 1\), got 1"),
        ({"weight_decay": -1}, "weight_decay must be >= 0, got -1"),
    ],
)
def test_impossible_recipe(change, sentence):
    with pytest.raises(InputError, match=sentence):
        LocalConfig(**change)


class WithBatchNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(256), nn.Linear(256, 3))

    def forward(self, images):
        return self.body(images)


def test_a_model_with_buffers_is_refused_where_they_would_be_taken_for_weights(noise):
    for strategy in STRATEGIES:
        method = ALGORITHMS[strategy]
        if method.any_model:
            federate(strategy, noise, shards(SIZES), num_rounds=1, seed=0, workers=1, model=WithBatchNorm())
        else:
            with pytest.raises(InputError, match="model must have no buffers for .*, got 'body.1.running_mean'"):
                federate(strategy, noise, shards(SIZES), num_rounds=1, seed=0, workers=1, model=WithBatchNorm())
