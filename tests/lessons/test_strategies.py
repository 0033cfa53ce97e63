"""The lesson of notebook 05."""

import re

import numpy as np
import pandas as pd
import pytest
from flwr.app import ArrayRecord
from flwr.serverapp.strategy import FedAvg
from in_browser import cell, press
from lesson import Lesson, LessonTests, Typed

from fedlearn_helpers.lessons.strategies import exercises, figures

COMPARED = pd.DataFrame(
    [
        # strategy, partition, worst client, mean of the clients
        ("local only", "x", 0.9, 0.9),
        ("fedavg", "x", 0.30, 0.80),
        ("fedavg", "x", 0.30, 0.80),
        ("scaffold", "x", 0.05, 0.70),
        ("scaffold", "x", 0.50, 0.70),
        ("feddyn", "x", 0.40, 0.75),
        ("feddyn", "x", 0.42, 0.75),
        ("fedprox", "y", 0.99, 0.99),
    ],
    columns=["strategy", "partition", "worst_client_accuracy", "mean_client_accuracy"],
)


def half_way(step):
    """A strategy whose server goes to step(old, mean, rate), entry by entry."""

    class Own(exercises.ServerRateFedAvg):
        def aggregate_train(self, server_round, replies):
            mean, metrics = FedAvg.aggregate_train(self, server_round, replies)
            old, new = (record.to_torch_state_dict() for record in (self.model, mean))
            return ArrayRecord({name: step(old[name], new[name], self.server_learning_rate) for name in old}), metrics

    return Own


class Careless(half_way(lambda old, mean, rate: old + rate * (mean - old))):
    """Right, but for a round in which nobody answers."""


class OnlyArrays(exercises.ServerRateFedAvg):
    def aggregate_train(self, server_round, replies):
        return super().aggregate_train(server_round, replies)[0]


RIGHT_NAMES = {"fedprox", "fednova", "scaffold", "fedavgm"}


class TestStrategies(LessonTests):
    lesson = Lesson(
        notebook="05_strategies",
        small={
            "strategies": "fedavg,scaffold,qfedavg",
            "partitions": "iid,dirichlet:0.5",
            "num_seeds": 2,
            "num_clients": 3,
            "num_rounds": 1,
            "max_images": 300,
        },
        metrics={
            "scaffold on dirichlet:0.5: test_accuracy",
            "centralized on iid: test_accuracy",
            "local only on iid: worst_client_accuracy",
            "qfedavg on iid: points above fedavg",
        },
        bad=[
            ({"strategies": "scaffold"}, "strategies must be 'all', or fedavg and others out of fedavg, fedprox"),
            ({"strategies": "fedavg,fedsgd"}, "strategies must be 'all', or fedavg and others"),
            ({"partitions": "iid,even"}, "partition must be one of iid, dirichlet, pathological, quantity"),
            ({"partitions": "dirichlet:0"}, "partition must look like dirichlet:alpha, with a number > 0"),
            ({"num_seeds": 1}, "num_seeds must be >= 2, got 1"),
            ({"model": "resnet"}, "model must be 'mlp' or 'cnn', got 'resnet'"),
            ({"num_clients": 500}, "num_clients must be <= 150, since each client needs min_size=10"),
        ],
        wrong={
            "same_after_one_step": [
                ("fedprox", "must be a set of names"),
                ({"fedproxy"}, "no names of strategies: fedproxy"),
                (RIGHT_NAMES | {"feddyn"}, "FedDyn's server subtracts"),
                (RIGHT_NAMES | {"qfedavg"}, "by their losses"),
                (RIGHT_NAMES | {"fedyogi"}, "FedYogi divides the change"),
                (RIGHT_NAMES - {"fedprox"}, "What is the pull"),
                (RIGHT_NAMES - {"scaffold"}, "the control variates in the first round"),
            ],
            "own_strategy": [
                (3, "a class that inherits from FedAvg"),
                (half_way(lambda old, mean, rate: mean), "the rate has no effect"),
                (half_way(lambda old, mean, rate: rate * mean), "The mean itself is scaled"),
                (half_way(lambda old, mean, rate: old - rate * (mean - old)), "the sign of the change"),
                (half_way(lambda old, mean, rate: mean + rate * (old - mean)), "old and new are exchanged"),
                (half_way(lambda old, mean, rate: old + rate**2 * (mean - old)), "rates 0, 0.5 and 1 must"),
                (Careless, "A round when no client answers raised"),
                (OnlyArrays, "must return two things"),
            ],
            "fairest": [
                ("fedsgd", "must be one of 'fedavg', 'feddyn', 'scaffold'"),
                ("fedavg", "the best mean over clients; that is another question"),
                ("scaffold", "the best single run; average over the seeds"),
                (0.4, "must be one of"),
            ],
        },
        given={"fairest": {"table": COMPARED, "partition": "x"}},
        names=vars(exercises) | {"skewed": "x"},
        in_browser=Typed(
            "same_after_one_step",
            wrong='{"fedprox", "scaffold"}',
            sentence="One more does the same",
            right='{"fedprox", "fednova", "scaffold", "fedavgm"}',
        ),
    )


def test_a_strategy_whose_aggregation_is_not_written_is_not_attempted():
    class Stub(exercises.ServerRateFedAvg):
        def aggregate_train(self, server_round, replies):
            return ...

    for stub in (Stub, FedAvg):
        assert exercises.own_strategy.check(stub).status == "not attempted"


# The widget


def test_a_walk_on_the_plane_follows_its_controls(screen):
    def walk(steps, mu):
        return np.array([[0.0, 0.0], [1.0, 0.0]]) * steps * mu

    centres, curvatures = np.array([[1.0, 0.0], [3.0, 0.0]]), np.ones((2, 2))
    figures.walk_on_plane({"FedAvg": walk, "FedProx": walk}, centres, curvatures)
    assert screen.alts[-1] == (
        "FedAvg, 10 local steps: after 1 rounds the model is 8.000 from the optimum of all clients."
    )
    screen.control("strategy").value = "FedProx"
    screen.control("local steps").value = 2
    assert screen.alts[-1].startswith("FedProx, 2 local steps, μ = 1: after 1 rounds the model is 0.000")


@pytest.mark.browser
def test_walks_of_strategies_on_the_plane(opened, expect):
    page = opened("05_strategies")
    widget = cell(page, "figures.walk_on_plane(")
    image = widget.locator("img")
    expect(image).to_have_attribute("alt", re.compile("^FedAvg, 10 local steps: after 40 rounds the model is 0.3"))
    widget.get_by_role("button", name="SCAFFOLD").click()
    expect(image).to_have_attribute("alt", re.compile("^SCAFFOLD, 10 local steps: after 40 rounds the model is 0.00"))
    press(page, widget.locator(".widget-slider", has_text="local steps"), "ArrowRight", 2)
    expect(image).to_have_attribute("alt", re.compile("^SCAFFOLD, 12 local steps"))
