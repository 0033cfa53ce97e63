"""What must hold exactly for the personalization methods, whatever the data; each with a control that must fail.

As for the strategies there are real clients, which train a small network on images of noise, and quadratic ones: client
k has the loss (a_k / 2) ||w - b_k||^2, so that its training and its fixed points have closed forms.
"""

import sys

import numpy as np
import pytest
import torch
from flwr.app import ArrayRecord, ConfigRecord, Message
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp
from noise import distance, noise_images, shards
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from fedlearn_helpers.algorithms import LocalConfig, apfl, ditto, fedbn, fedper, ifca, per_fedavg, pfedme
from fedlearn_helpers.algorithms.arithmetic import gradient, hessian_times
from fedlearn_helpers.algorithms.local import LocalTraining
from fedlearn_helpers.algorithms.own_parts import OWN
from fedlearn_helpers.algorithms.registry import ALGORITHMS, PERSONALIZATIONS, new_strategy
from fedlearn_helpers.data import ImageDataset
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments import federate
from fedlearn_helpers.experiments.checkpoint import Checkpoint
from fedlearn_helpers.models import NORMALIZED_MODELS, new_mlp
from fedlearn_helpers.partition import Shard
from fedlearn_helpers.simulation import keep_result, simulate
from fedlearn_helpers.simulation.packing import unpack
from fedlearn_helpers.training import evaluate, normalize, train

# Gradients, in float64 ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def bent():
    """A loss with a Hessian that changes from point to point: a small network, its weights, and three batches."""
    generator = torch.Generator().manual_seed(1)
    network = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    inputs = torch.randn(30, 4, generator=generator, dtype=torch.float64)
    labels = torch.randint(3, (30,), generator=generator)
    w = {n: 0.7 * torch.randn(p.shape, generator=generator, dtype=torch.float64) for n, p in network.named_parameters()}

    def loss(parameters, batch):
        return F.cross_entropy(functional_call(network, dict(parameters), (inputs[batch],)), labels[batch])

    return loss, w, tuple(torch.arange(30).split(10))


def by_autograd(loss, w, batches, alpha):
    """The gradient of F(w - alpha grad F(w; D); D') by w, all of it by autograd; with D'' = D."""
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in w.items()}
    slopes = torch.autograd.grad(loss(leaves, batches[0]), list(leaves.values()), create_graph=True)
    adapted = {name: leaf - alpha * slope for (name, leaf), slope in zip(leaves.items(), slopes, strict=True)}
    found = torch.autograd.grad(loss(adapted, batches[1]), list(leaves.values()))
    return dict(zip(leaves, found, strict=True))


@pytest.mark.parametrize("alpha", [0.1, 1.0])
def test_per_fedavg_exact_is_the_gradient_after_adaptation(bent, alpha):
    loss, w, (adapt_on, learn_on, correct_on) = bent
    exact = per_fedavg.meta_gradient(loss, w, (adapt_on, learn_on, adapt_on), alpha=alpha, hessian="exact")
    expected = by_autograd(loss, w, (adapt_on, learn_on), alpha)
    assert distance(exact, expected) < 1e-14
    other = per_fedavg.meta_gradient(loss, w, (adapt_on, learn_on, correct_on), alpha=alpha, hessian="exact")
    assert distance(other, expected) > 1e-3, "control: another batch for the Hessian"


def test_per_fedavg_hessian_free_approaches_exact_with_the_square_of_the_distance(bent, monkeypatch):
    loss, w, batches = bent
    exact = per_fedavg.meta_gradient(loss, w, batches, alpha=0.5, hessian="exact")

    def error(length):
        monkeypatch.setattr(per_fedavg, "_DISTANCE", length)
        return distance(per_fedavg.meta_gradient(loss, w, batches, alpha=0.5, hessian="hessian free"), exact)

    assert error(1e-2) < 1e-5
    assert error(1e-2) / error(1e-3) == pytest.approx(100, rel=0.05)
    first_order = per_fedavg.meta_gradient(loss, w, batches, alpha=0.5, hessian="first order")
    assert distance(first_order, exact) > 1e-2, "control"


def with_relu(noise, seed):
    """A network with ReLU and the loss of its parameters on a batch of images, as a client computes it in float32."""
    network = new_mlp(noise.image_shape, noise.num_classes, seed)

    def loss(parameters, batch):
        inputs = normalize(noise.train_images[batch]).to(next(iter(parameters.values())).dtype)
        return F.cross_entropy(functional_call(network, dict(parameters), (inputs,)), noise.train_labels[batch])

    return loss, {name: parameter.detach() for name, parameter in network.named_parameters()}


@pytest.mark.parametrize("images", [16, 32])
def test_per_fedavg_hessian_free_does_not_step_over_the_kinks_of_relu(noise, images, monkeypatch):
    """Where a unit switches between the two points, the jump of its gradient is divided by their distance."""

    def worst():
        errors = []
        for seed in range(20):
            loss, w = with_relu(noise, seed)
            batches = tuple(torch.arange(seed, seed + images) + offset for offset in (0, 10, 20))
            ways = {
                way: torch.cat([t.flatten() for t in meta.values()])
                for way in ("exact", "hessian free", "first order")
                for meta in [per_fedavg.meta_gradient(loss, w, batches, alpha=0.05, hessian=way)]
            }
            away = {way: float((found - ways["exact"]).norm()) for way, found in ways.items()}
            errors.append(away["hessian free"] / away["first order"])
        return max(errors)

    assert worst() < 0.01, "a hundredth of what leaving the Hessian out costs"
    monkeypatch.setattr(per_fedavg, "_DISTANCE", 1e-4)
    assert worst() > 0.3, "control: points farther apart"


def test_per_fedavg_takes_the_hessian_at_w_and_not_at_the_adapted_point(bent):
    loss, w, batches = bent
    exact = per_fedavg.meta_gradient(loss, w, batches, alpha=0.5, hessian="exact")
    adapted = {name: w[name] - 0.5 * slope for name, slope in gradient(loss, w, batches[0]).items()}
    u = gradient(loss, adapted, batches[1])
    wrong = hessian_times(loss, adapted, batches[2], u)
    assert distance(exact, {name: u[name] - 0.5 * wrong[name] for name in u}) > 1e-3


def test_per_fedavg_first_order_is_exact_where_the_loss_is_not_bent():
    slopes = torch.tensor([[1.0, 2.0], [0.5, -1.0], [3.0, 1.0]], dtype=torch.float64)

    def loss(parameters, batch):
        return (slopes[batch] * parameters["w"]).sum() + 0 * (parameters["w"] ** 2).sum()

    w, batches = {"w": torch.ones(2, dtype=torch.float64)}, tuple(torch.arange(3).split(1))
    ways = [
        per_fedavg.meta_gradient(loss, w, batches, alpha=0.3, hessian=hessian)
        for hessian in ("exact", "hessian free", "first order")
    ]
    assert distance(ways[0], ways[2]) == 0 and distance(ways[1], ways[2]) < 1e-12


@pytest.mark.parametrize("hessian", ["exact", "hessian free", "first order"])
def test_per_fedavg_without_adaptation_is_the_plain_gradient(bent, hessian):
    loss, w, batches = bent
    plain = gradient(loss, w, batches[1])
    assert distance(per_fedavg.meta_gradient(loss, w, batches, alpha=0.0, hessian=hessian), plain) == 0
    assert distance(per_fedavg.meta_gradient(loss, w, batches, alpha=0.1, hessian=hessian), plain) > 1e-3, "control"


def test_per_fedavg_hessian_free_at_a_point_of_rest():
    w = {"w": torch.zeros(2, dtype=torch.float64)}
    at_rest = per_fedavg.meta_gradient(
        lambda parameters, batch: (parameters["w"] ** 2).sum(), w, (None, None, None), alpha=0.1, hessian="hessian free"
    )
    assert distance(at_rest, w) == 0


def test_per_fedavg_refuses_an_unknown_hessian(bent):
    loss, w, batches = bent
    with pytest.raises(InputError, match="hessian must be 'exact', 'hessian free', 'first order', got 'second'"):
        per_fedavg.meta_gradient(loss, w, batches, alpha=0.1, hessian="second")


def test_apfl_takes_the_gradient_at_the_mixture(bent):
    loss, w, (batch, *_) = bent
    v = {name: tensor + 1 for name, tensor in w.items()}
    new_w, new_v = apfl.step(loss, w, v, batch, alpha=0.3, eta=0.1)
    leaves = {name: tensor.clone().requires_grad_() for name, tensor in v.items()}
    mixture = {name: 0.3 * leaf + 0.7 * w[name] for name, leaf in leaves.items()}
    by_v = dict(zip(leaves, torch.autograd.grad(loss(mixture, batch), list(leaves.values())), strict=True))
    assert distance(new_v, {name: v[name] - 0.1 * by_v[name] for name in v}) < 1e-15
    assert distance(new_w, {name: w[name] - 0.1 * slope for name, slope in gradient(loss, w, batch).items()}) < 1e-15
    at_v = gradient(loss, v, batch)
    assert distance(new_v, {name: v[name] - 0.03 * at_v[name] for name in v}) > 1e-4, "control: gradient at v"


def test_apfl_learns_alpha_along_the_gradient_of_the_mixtures_loss(bent):
    loss, w, (batch, *_) = bent
    v = {name: tensor + 1 for name, tensor in w.items()}
    alpha = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    by_autograd = torch.autograd.grad(loss({n: alpha * v[n] + (1 - alpha) * w[n] for n in w}, batch), alpha)[0]
    learned = apfl.better_alpha(loss, w, v, batch, alpha=0.3, eta=0.1)
    assert learned == pytest.approx(0.3 - 0.1 * float(by_autograd), abs=1e-14)
    assert abs(learned - 0.3) > 1e-4, "control: it moves"
    assert apfl.better_alpha(loss, w, w, batch, alpha=0.3, eta=0.1) == 0.3, (
        "of two equal models any mixture is the same"
    )


@pytest.mark.parametrize(("b", "best"), [(0.4, 0.4), (-3.0, 0.0), (7.0, 1.0)])
def test_a_learned_alpha_comes_to_rest_at_the_best_mixture_from_0_to_1(b, best):
    w, v = {"x": torch.zeros(1, dtype=torch.float64)}, {"x": torch.ones(1, dtype=torch.float64)}
    alpha = 0.9
    for _ in range(200):
        alpha = apfl.better_alpha(lambda p, _: (p["x"] - b).pow(2).sum() / 2, w, v, None, alpha=alpha, eta=0.3)
    assert alpha == pytest.approx(best)


def test_pfedme_with_a_large_lambda_stays_at_w_and_with_lambda_0_is_gradient_descent(bent):
    loss, w, (batch, *_) = bent
    near = [
        distance(pfedme.step_towards_own(loss, w, w, batch, lambda_=lambda_, rate=0.1, steps=50), w)
        for lambda_ in (0.0, 1.0, 1e3, 1e6)
    ]
    assert near[3] < 1e-6 < near[2] < 1e-2 < near[1] < near[0]
    descended = {name: w[name] - 0.1 * slope for name, slope in gradient(loss, w, batch).items()}
    assert distance(pfedme.step_towards_own(loss, w, w, batch, lambda_=0.0, rate=0.1, steps=1), descended) < 1e-16


def test_pfedme_comes_to_rest_where_pull_and_slope_cancel(bent):
    loss, w, (batch, *_) = bent
    theta = pfedme.step_towards_own(loss, w, w, batch, lambda_=2.0, rate=0.4, steps=150)
    slope = gradient(loss, theta, batch)
    assert distance({name: slope[name] + 2 * (theta[name] - w[name]) for name in w}, slope) > 1e-3
    assert max(float((slope[name] + 2 * (theta[name] - w[name])).abs().max()) for name in w) < 1e-12


# Quadratic clients, in whole federations ----------------------------------------------------

A = (1.0, 2.0, 4.0)
B = torch.tensor([[0.0, 0.0], [1.0, 4.0], [5.0, -2.0]], dtype=torch.float64)
RATE = 0.1


class Point(nn.Module):
    """A model that is nothing but a point of the plane, in two named parts."""

    def __init__(self):
        super().__init__()
        self.x = nn.Parameter(torch.zeros(1, dtype=torch.float64))
        self.y = nn.Parameter(torch.zeros(1, dtype=torch.float64))


class QuadraticTraining(LocalTraining):
    """Real local training, with its hooks, optimizer and state, on the gradient a (w - b)."""

    a, b = A[0], B[0]

    def loss(self, parameters, batch):
        return self.a / 2 * (torch.cat([parameters["x"], parameters["y"]]) - self.b).pow(2).sum()

    def batches(self, count=1, *, gradients, epochs=None):
        return ([(None,) * count] * len(self.shard.train) * (epochs or 1)).__iter__()

    def repeat(self, step, states, batches, **numbers):
        for batch in batches:
            states = step(self.loss, *states, batch, **numbers)
        return states

    def _take_steps(self, indices, epochs, seed):
        for _ in range(epochs * len(indices)):
            self._optimizer.zero_grad()
            self.loss(dict(self.model.named_parameters()), None).backward()
            self._optimizer.step()
        return 0.0


def at_rest(name, *, steps=1, rounds=110, rate=RATE, settings=None, own=()):
    """Run a federation of quadratic clients until it stands still; return the server's point and the clients' own.

    own: names of the part that clients keep, for FedPer and FedRep.
    """
    method, model, local_config = ALGORITHMS[name], Point(), LocalConfig(batch_size=1, learning_rate=rate)
    initial = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    first = ArrayRecord({key: tensor for key, tensor in initial.items() if key not in own})
    config = {**method.complete_settings(settings), "adaptation-epochs": 4}
    client_app, server_app, points = ClientApp(), ServerApp(), {}

    def local_training(message, context):
        k = context.node_config["partition-id"]
        shard = Shard(np.arange(steps), np.arange(0))
        local = QuadraticTraining(message, context, None, shard, model, local_config, 0, first=initial)
        local.a, local.b = A[k], B[k]
        return k, local

    @client_app.train()
    def train_client(message, context):
        k, local = local_training(message, context)
        content = method.train_client(local)
        if message.content["config"]["server-round"] == rounds:
            _, again = local_training(message, context)
            method.adapt(again)
            points[k] = point(model.state_dict())
        return Message(content, reply_to=message)

    @server_app.main()
    def main(grid, context):
        strategy = new_strategy(method, local_config, settings, fraction_evaluate=0.0)
        result = strategy.start(grid, first, num_rounds=rounds, train_config=ConfigRecord(config))
        keep_result(result, context)

    history = simulate(server_app, client_app, num_clients=3, seed=0, workers=1, label=None)
    final = history.arrays.to_torch_state_dict()
    return point(initial | final), torch.stack([points[k] for k in range(3)])


def point(state):
    return torch.cat([state["x"], state["y"]])


def centre(weights):
    weights = torch.tensor(weights, dtype=torch.float64)
    return (weights[:, None] * B).sum(dim=0) / weights.sum()


def near(first, second, tolerance=1e-4):
    return bool((first - second).abs().max() < tolerance)


def test_the_global_model_minimizes_the_mean_loss():
    w, own = at_rest("global")
    assert near(w, centre(A)) and near(own, centre(A).expand(3, 2))
    assert not near(w, centre((1, 1, 1)), 0.1), "control"


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.1, 0.15])
def test_per_fedavg_favours_clients_that_one_step_does_not_help(alpha):
    """After one step of rate alpha the loss is a (1 - alpha a)^2 / 2 ||w - b||^2."""
    options = {"settings": {"alpha": alpha}, "rate": 0.4, "rounds": 60}
    exact = centre([a * (1 - alpha * a) ** 2 for a in A])
    assert near(at_rest("perfedavg-exact", **options)[0], exact)
    assert near(at_rest("perfedavg-hf", **options)[0], exact)
    first_order = centre([a * (1 - alpha * a) for a in A])
    assert near(at_rest("perfedavg", **options)[0], first_order)
    assert not near(first_order, exact, 0.03) and not near(exact, centre(A), 0.1), "control"


@pytest.mark.slow
@pytest.mark.parametrize("lambda_", [0.0, 0.5, 8.0, 30.0, 1e6])
def test_ditto_ends_between_its_own_optimum_and_the_global_model(lambda_):
    """Also where rate times lambda is above 2: at 30 it is 3."""
    w, own = at_rest("ditto", settings={"lambda": lambda_})
    assert near(w, centre(A))
    for a, b, v in zip(A, B, own, strict=True):
        assert near(v, (a * b + lambda_ * w) / (a + lambda_))
    assert near(own, B) == (lambda_ == 0), "at one end every client is alone"
    assert near(own, w.expand(3, 2)) == (lambda_ == 1e6), "at the other end it has the global model"


@pytest.mark.slow
def test_an_explicit_step_of_ditto_has_the_same_rest_but_leaps_over_it(monkeypatch):
    """Control: the step of the paper's algorithm 1, for which rate times lambda must be below 2."""

    def explicit(local, epochs=None):
        def add_pull(gradient, v, w_t):
            gradient.add_(v - w_t, alpha=local.config["lambda"])

        local.before_each_step(add_pull, local.start)
        local.train(epochs)

    monkeypatch.setattr(ditto, "train_own", explicit)
    w, own = at_rest("ditto", settings={"lambda": 8.0})
    assert near(own[2], (A[2] * B[2] + 8 * w) / (A[2] + 8))
    _, own = at_rest("ditto", settings={"lambda": 30.0})
    assert float(own.abs().max()) > 1e6


@pytest.mark.slow
def test_pfedme_minimizes_the_mean_of_the_moreau_envelopes():
    lambda_ = 3.0
    w, own = at_rest("pfedme", settings={"lambda": lambda_, "inner-steps": 40})
    assert near(w, centre([lambda_ * a / (lambda_ + a) for a in A]))
    assert not near(w, centre(A), 0.1), "control"
    for a, b, theta in zip(A, B, own, strict=True):
        assert near(theta, (a * b + lambda_ * w) / (a + lambda_))


@pytest.mark.slow
def test_apfl_mixture_reaches_the_clients_own_optimum_unless_alpha_is_0():
    w, own = at_rest("apfl", settings={"alpha": 0.9}, rounds=150)
    assert near(w, centre(A)) and near(own, B)
    w, own = at_rest("apfl", settings={"alpha": 0.0})
    assert near(own, w.expand(3, 2))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fedper", "fedrep"])
def test_a_shared_part_is_averaged_and_an_own_part_is_not(name):
    w, own = at_rest(name, own=("y",))
    assert near(w[:1], centre(A)[:1])
    assert near(own[:, 0], centre(A)[0].expand(3)) and near(own[:, 1], B[:, 1])
    assert float(w[1]) == 0, "the server never sees the own part"


@pytest.mark.parametrize("name", ["fedper", "fedbn"])
def test_without_an_own_part_it_is_fedavg(name):
    assert near(at_rest(name, steps=3, rounds=5)[0], at_rest("global", steps=3, rounds=5)[0], 1e-15)
    assert not near(at_rest(name, steps=3, rounds=5, own=("y",))[0], at_rest("global", steps=3, rounds=5)[0]), "control"


# Real clients -----------------------------------------------------------------------------

SIZES = (12, 20, 40)
METHODS = PERSONALIZATIONS
KEEPING = ("fedper", "fedrep", "fedbn", "ditto", "apfl")  # methods whose clients keep something


@pytest.fixture(scope="module")
def noise():
    return noise_images(90, 10)


UNSEEN = Shard(np.arange(80, 86), np.arange(86, 90))


def new_model(method, noise, seed=0):
    return (NORMALIZED_MODELS["mlp"] if method == "fedbn" else new_mlp)(noise.image_shape, noise.num_classes, seed)


def run(method, noise, **options):
    local_config = LocalConfig(**({"batch_size": 4, "learning_rate": 0.05} | options.pop("local_config", {})))
    plain = {"num_rounds": 3, "seed": 0, "workers": 1, "label": None, "model": new_model(method, noise)}
    return federate(method, noise, options.pop("shards", shards(SIZES)), local_config=local_config, **(plain | options))


def weights(outcome):
    return outcome.model.to_torch_state_dict()


def same(first, second):
    """Whether two outcomes are equal to the bit."""
    arrays = all(torch.equal(tensor, weights(second)[name]) for name, tensor in weights(first).items())
    measured = [
        np.array_equal(getattr(getattr(first, who), what), getattr(getattr(second, who), what))
        for who in ("members", "unseen")
        for what in ("own", "elsewhere", "test")
    ]
    return arrays and all(measured)


def test_per_fedavg_without_adaptation_is_fedavg_in_a_federation(noise):
    """With one batch per epoch all three batches are all images, and a step is FedAvg's."""
    local_config = {"batch_size": 100, "local_epochs": 2}
    plain = weights(run("global", noise, local_config=local_config))
    for name in ("perfedavg", "perfedavg-hf", "perfedavg-exact"):
        assert distance(weights(run(name, noise, local_config=local_config, settings={"alpha": 0})), plain) < 1e-6
        assert distance(weights(run(name, noise, local_config=local_config, settings={"alpha": 0.1})), plain) > 1e-5, (
            "control"
        )


def test_apfl_shares_what_fedavg_would_and_alpha_0_uses_it(noise):
    local_config = {"batch_size": 100, "local_epochs": 2}
    plain = run("global", noise, local_config=local_config)
    mixed = run("apfl", noise, local_config=local_config, settings={"alpha": 0})
    assert distance(weights(mixed), weights(plain)) < 1e-6
    assert np.array_equal(mixed.members.elsewhere, plain.members.elsewhere)


@pytest.mark.parametrize(("method", "settings"), [("ditto", {"lambda": 0}), ("apfl", {"alpha": 1})])
def test_at_one_end_it_is_training_alone(noise, method, settings):
    """Without a pull, or with nothing of the global model, the own model is what the client would have had alone."""
    outcome = run(method, noise, settings=settings, num_rounds=2, local_config={"batch_size": 100})
    for client, shard in enumerate(shards(SIZES)):
        model = new_mlp(noise.image_shape, noise.num_classes, 0)
        alone = LocalConfig(batch_size=100, learning_rate=0.05).new_optimizer(model)
        train(model, noise.train_images, noise.train_labels, shard.train, alone, epochs=2, batch_size=100, seed=0)
        expected = evaluate(model, noise.train_images, noise.train_labels, shard.validation)
        last = [e for e in outcome.history.exchanges if e.phase == "evaluate" and e.client == client]
        assert last[0].metrics["loss"] == pytest.approx(expected.loss, rel=1e-5)
    pulled = run("ditto", noise, settings={"lambda": 10}, num_rounds=2, local_config={"batch_size": 100})
    losses = [[e.metrics["loss"] for e in o.history.exchanges if e.phase == "evaluate"] for o in (outcome, pulled)]
    assert np.abs(np.subtract(*losses)).max() > 1e-3, "control"


def test_ditto_with_a_very_large_lambda_is_the_global_model_as_it_was_received(noise):
    received = run("global", noise, num_rounds=2).members.elsewhere
    assert np.array_equal(run("ditto", noise, settings={"lambda": 1e5}).members.elsewhere, received)
    assert not np.array_equal(run("ditto", noise, settings={"lambda": 0.0}).members.elsewhere, received), "control"


def test_pfedmes_default_is_the_papers_lambda():
    assert ALGORITHMS["pfedme"].complete_settings()["lambda"] == 15


def test_apfl_learns_an_alpha_for_each_client(noise):
    given = run("apfl", noise)
    learned = run("apfl", noise, settings={"learn-alpha": 1})
    alphas = {
        name: np.array([e.metrics["alpha"] for e in outcome.history.exchanges if (e.phase, e.round) == ("train", 3)])
        for name, outcome in {"given": given, "learned": learned}.items()
    }
    assert (alphas["given"] == 0.5).all()
    assert len(set(alphas["learned"])) == 3 and (alphas["learned"] != 0.5).all() and (alphas["learned"] <= 1).all()
    steps = [[e.metrics["steps"] for e in o.history.exchanges if e.phase == "train"] for o in (given, learned)]
    assert np.subtract(*steps[::-1]).tolist() == [1] * 9, "one more gradient in a round"
    assert _losses(given) != _losses(learned)


def test_ditto_sends_what_fedavg_would(noise):
    assert distance(weights(run("ditto", noise)), weights(run("global", noise))) == 0


def test_fine_tuning_is_fedavg_and_then_some_epochs(noise):
    tuned, plain = run("finetune", noise), run("global", noise)
    assert distance(weights(tuned), weights(plain)) == 0
    assert _losses(tuned) != _losses(plain), "control"


def test_ifca_with_one_cluster_is_fedavg(noise):
    one = ifca.separate(weights(run("ifca", noise, settings={"clusters": 1})))
    assert len(one) == 1 and distance(one[0], weights(run("global", noise))) < 2e-7
    two = ifca.separate(weights(run("ifca", noise, settings={"clusters": 2})))
    assert len(two) == 2 and distance(two[0], two[1]) > 1e-2


def two_kinds():
    """Eight clients of two kinds, which give the same images the opposite labels: no single model serves both."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(2, (400,), generator=generator)
    bright = (60 + 120 * labels)[:, None, None, None] + torch.randint(-30, 30, (400, 1, 16, 16), generator=generator)
    told = labels.clone()
    told[160:320] = 1 - labels[160:320]
    images = bright.to(torch.uint8)
    dataset = ImageDataset(
        "kinds", images[:320], told[:320], images[320:], told[320:], ("dark", "bright"), "Two kinds."
    )
    return dataset, [Shard(np.arange(k, k + 30), np.arange(k + 30, k + 40)) for k in range(0, 320, 40)]


def choices(outcome, server_round):
    return [e.metrics["cluster"] for e in outcome.history.exchanges if (e.phase, e.round) == ("train", server_round)]


@pytest.mark.slow
def test_ifca_finds_the_two_kinds_of_clients_and_one_model_cannot_serve_both():
    dataset, kinds = two_kinds()
    model = new_mlp(dataset.image_shape, 2, 0)
    options = {
        "num_rounds": 8,
        "local_config": LocalConfig(3, 10, 0.1),
        "seed": 1,
        "workers": 1,
        "label": None,
        "model": model,
    }
    found = federate("ifca", dataset, kinds, settings={"clusters": 2}, **options)
    last = choices(found, 8)
    assert len(set(last[:4])) == len(set(last[4:])) == 1 and last[0] != last[4]
    assert found.members.own.min() > 0.95
    assert federate("global", dataset, kinds, **options).members.own.mean() < 0.7, "control"


def test_from_equal_models_all_clients_choose_the_same(monkeypatch):
    dataset, kinds = two_kinds()
    model = new_mlp(dataset.image_shape, 2, 0)
    monkeypatch.setattr(ifca, "first_models", lambda model, clusters, seed: [model.state_dict()] * clusters)
    options = {
        "num_rounds": 1,
        "local_config": LocalConfig(3, 10, 0.1),
        "seed": 1,
        "workers": 1,
        "label": None,
        "model": model,
    }
    assert set(choices(federate("ifca", dataset, kinds, settings={"clusters": 2}, **options), 1)) == {0}


def test_ifca_keeps_a_cluster_that_nobody_chooses(monkeypatch, noise):
    kept = new_mlp(noise.image_shape, noise.num_classes, 5).state_dict()
    hopeless = {name: 1000 * tensor for name, tensor in kept.items()}
    monkeypatch.setattr(ifca, "first_models", lambda model, clusters, seed: [model.state_dict(), hopeless])
    clusters = ifca.separate(weights(run("ifca", noise, settings={"clusters": 2})))
    assert distance(clusters[1], hopeless) == 0 and distance(clusters[0], kept) > 0


@pytest.mark.parametrize("cluster", [2, 7, 0.5])
def test_a_cluster_that_does_not_exist_is_one_sentence(noise, cluster):
    def wrong(message, context, call_next):
        reply = call_next(message, context)
        reply.content["metrics"]["cluster"] = cluster
        return reply

    with pytest.raises(InputError, match=f"cluster of every reply must be .* from 0 to 1, got {cluster:g}$"):
        run("ifca", noise, mods=[wrong])


def test_heads_and_normalization_are_found_by_type_not_by_name(noise):
    mlp = new_mlp(noise.image_shape, noise.num_classes, 0)
    assert fedper.head_names(mlp) == ["3.weight", "3.bias"]
    assert fedbn.normalization_names(mlp) == []
    normalized = NORMALIZED_MODELS["mlp"](noise.image_shape, noise.num_classes, 0)
    kept = ["2.weight", "2.bias", "2.running_mean", "2.running_var", "2.num_batches_tracked"]
    assert fedbn.normalization_names(normalized) == kept
    odd = nn.Sequential()
    odd.add_module("bn", nn.Linear(3, 3))
    odd.add_module("plain", nn.GroupNorm(1, 3))
    assert fedbn.normalization_names(odd) == ["plain.weight", "plain.bias"]


@pytest.mark.parametrize("method", ["fedper", "fedrep", "fedbn"])
def test_own_parts_are_never_sent(noise, method):
    outcome = run(method, noise)
    own = {"fedbn": fedbn.normalization_names}.get(method, fedper.head_names)(new_model(method, noise))
    assert own and not set(own) & weights(outcome).keys()
    whole = run("global", noise, model=new_model(method, noise))
    rounds = [e for e in outcome.history.exchanges if e.phase == "train"]
    of_whole = [e for e in whole.history.exchanges if e.phase == "train"]
    assert max(e.bytes_up for e in rounds) == max(e.bytes_down for e in rounds) < of_whole[0].bytes_up


@pytest.mark.parametrize("method", ["fedper", "fedrep"])
def test_what_a_model_has_frozen_stays_frozen(noise, method):
    model = new_mlp(noise.image_shape, noise.num_classes, 0)
    before = model[1].weight.detach().clone()
    assert not torch.allclose(weights(run(method, noise, model=model))["1.weight"], before, atol=1e-4), "control"
    model[1].weight.requires_grad_(False)
    assert torch.allclose(weights(run(method, noise, model=model))["1.weight"], before, atol=1e-6), "but for rounding"


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_the_same_bits_with_workers_and_in_a_second_run(noise, method):
    """Clients' states travel with them, whichever worker they come to."""
    first = run(method, noise, unseen=[UNSEEN])
    assert same(first, run(method, noise, unseen=[UNSEEN], workers=2))
    assert same(first, run(method, noise, unseen=[UNSEEN]))


@pytest.mark.slow
@pytest.mark.parametrize("method", ALGORITHMS)
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(noise, method, tmp_path):
    """Stopped in the middle of round 3, when client 0 has changed its state and client 1 raises."""

    file, stops = tmp_path / "run.checkpoint", [True]

    def stop(message, context, call_next):
        place = context.node_config["partition-id"], message.content["config"]["server-round"]
        if stops and file.exists() and place == (1, 3):
            raise RuntimeError("stopped")
        return call_next(message, context)

    options = {"num_rounds": 4, "unseen": [UNSEEN], "fraction_train": 0.7, "mods": [stop]}
    whole = run(method, noise, **options)
    participants = [(e.round, e.client) for e in whole.history.exchanges if e.phase == "train"]
    assert (3, 1) in participants
    with pytest.raises(RuntimeError, match="stopped"):
        run(method, noise, **options, checkpoint=file)
    stops.clear()
    resumed = run(method, noise, **options, checkpoint=file)
    assert same(whole, resumed)
    again = [(e.round, e.client) for e in resumed.history.exchanges if e.phase == "train"]
    assert again == [entry for entry in participants if entry[0] >= 3]
    finished = run(method, noise, **options, checkpoint=file)
    assert same(whole, finished) and not [e for e in finished.history.exchanges if e.phase == "train"]


@pytest.mark.slow
@pytest.mark.parametrize("method", KEEPING)
def test_without_its_clients_states_a_resumed_run_would_be_another(noise, method, tmp_path, monkeypatch):
    """Control of the test above."""
    file = tmp_path / "run.checkpoint"
    run(method, noise, num_rounds=2, checkpoint=file)
    whole = run(method, noise, num_rounds=4)
    monkeypatch.setattr(sys.modules["fedlearn_helpers.experiments.federate"], "Checkpoint", _Forgetful)
    assert not np.array_equal(_losses(run(method, noise, num_rounds=4, checkpoint=file)), _losses(whole))


class _Forgetful(Checkpoint):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.states.clear()


def _losses(outcome):
    return [e.metrics["loss"] for e in outcome.history.exchanges if e.phase == "evaluate"]


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_client_that_raises_once_keeps_the_state_it_had(noise, method):
    def fail_after_training(message, context, call_next):
        reply = call_next(message, context)  # has changed context.state by now
        if (context.node_config["partition-id"], message.content["config"]["server-round"]) == (1, 2):
            raise RuntimeError("battery empty")
        return reply

    def absent(message, context, call_next):
        if (context.node_config["partition-id"], message.content["config"]["server-round"]) == (1, 2):
            raise RuntimeError("never came")
        return call_next(message, context)

    failed = run(method, noise, mods=[fail_after_training], on_error="reply")
    assert len(failed.history.failures) == 1 and np.isfinite(failed.members.own).all()
    assert same(failed, run(method, noise, mods=[absent], on_error="reply"))
    assert _losses(failed) != _losses(run(method, noise)), "control"


@pytest.mark.parametrize("method", KEEPING)
def test_clients_keep_something_and_measuring_does_not_change_it(noise, method, tmp_path):
    file = tmp_path / "run.checkpoint"
    run(method, noise, num_rounds=2, checkpoint=file)
    without_key = Checkpoint(file, {})
    kept = {client: unpack(packed)[OWN].to_torch_state_dict() for client, packed in without_key.states.items()}
    assert kept.keys() == {0, 1, 2}
    assert distance(kept[0], kept[1]) > 1e-4
    first, second = (_losses(run(method, noise, num_rounds=2, checkpoint=file)) for _ in range(2))
    assert first == second


@pytest.mark.slow
def test_an_unseen_client_is_measured_after_adapting_what_it_received(noise):
    local_config = {"learning_rate": 0.3}
    for method in ("finetune", "perfedavg", "fedper", "ditto", "apfl", "pfedme"):
        met = run(method, noise, unseen=[UNSEEN], local_config=local_config)
        assert met.unseen.own.shape == (1,) and met.unseen.elsewhere.shape == (1, 3)
        longer = run(method, noise, unseen=[UNSEEN], adaptation_epochs=30, local_config=local_config)
        assert not same(longer, met), method
    assert run("global", noise).unseen.own.shape == (0,)


def test_elsewhere_has_each_clients_own_on_its_diagonal(noise):
    members = run("finetune", noise, unseen=[UNSEEN]).members
    assert members.elsewhere.shape == (3, 3)
    assert np.array_equal(np.diag(members.elsewhere), members.own)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_rounds": 0}, "num_rounds must be >= 1, got 0"),
        ({"adaptation_epochs": 0}, "adaptation_epochs must be >= 1, got 0"),
        ({"fraction_train": 0}, "fraction_train must be > 0 and <= 1, got 0"),
        ({"settings": {"mu": 1}}, "ditto has the settings lambda, got 'mu'"),
        ({"settings": {"lambda": -1}}, "lambda of ditto must be >= 0, got -1"),
    ],
)
def test_bad_arguments(noise, options, message):
    with pytest.raises(InputError, match=message):
        run("ditto", noise, **options)


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("apfl", {"alpha": 1.1}, "alpha of apfl must be >= 0 and <= 1, got 1.1"),
        ("pfedme", {"lambda": 0}, "lambda of pfedme must be > 0, got 0"),
        ("pfedme", {"inner-steps": 1.5}, "inner-steps of pfedme must be a whole number, got 1.5"),
        ("ifca", {"clusters": 0}, "clusters of ifca must be >= 1, got 0"),
        ("global", {"mu": 1}, "global has no settings, got 'mu'"),
    ],
)
def test_bad_settings(noise, method, settings, message):
    with pytest.raises(InputError, match=message):
        run(method, noise, settings=settings)


def test_an_unknown_method(noise):
    with pytest.raises(InputError, match="algorithm must be 'fedavg', .*, got 'maml'"):
        run("maml", noise, model=new_mlp(noise.image_shape, 3, 0))


def test_methods_with_steps_of_their_own_say_what_they_cannot_use(noise):
    with pytest.raises(InputError, match="model must have no buffers for pFedMe, .*, got '2.running_mean'"):
        run("pfedme", noise, model=NORMALIZED_MODELS["mlp"](noise.image_shape, 3, 0))
    with pytest.raises(InputError, match="momentum must be 0 for APFL, got 0.9"):
        run("apfl", noise, local_config={"momentum": 0.9})


def test_a_checkpoint_of_another_run_is_refused(noise, tmp_path):
    file = tmp_path / "run.checkpoint"
    run("ditto", noise, num_rounds=2, checkpoint=file)
    with pytest.raises(InputError, match="checkpoint must be of the same run, .* algorithm is 'ditto', not 'global'"):
        run("global", noise, checkpoint=file)
    with pytest.raises(InputError, match="num_rounds must be >= 2, the rounds in .*, got 1"):
        run("ditto", noise, num_rounds=1, checkpoint=file)
    file.write_bytes(b"damaged")
    with pytest.raises(InputError, match="checkpoint must be a file of an earlier run, and .* is damaged"):
        run("ditto", noise, checkpoint=file)
    assert file.read_bytes() == b"damaged" and list(tmp_path.iterdir()) == [file]
