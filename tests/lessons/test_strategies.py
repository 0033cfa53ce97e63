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


# Figures

CENTRES, CURVATURES = np.array([[1.0, 0.0], [3.0, 0.0]]), np.ones((2, 2))  # the optimum is at 2, 0


def test_paths_on_the_plane_are_described_by_where_they_end():
    drawing = figures.paths_on_plane(
        CENTRES,
        CURVATURES,
        {"A": np.array([[0.0, 0.0], [2.0, 0.5]]), "B": np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])},
    )
    assert drawing.alt == (
        "The plane of two weights with 2 clients, the optimum of all, and the global model after every round. "
        "A: after 1 rounds the model is 0.500 from the optimum of all clients. "
        "B: after 2 rounds the model is 0.000 from the optimum of all clients."
    )
    (axis,) = drawing.figure.axes
    assert [text.get_text() for text in axis.texts] == ["client 0", "client 1"]
    lines = {line.get_label(): line for line in axis.lines}
    assert lines["optimum of all"].get_xydata().tolist() == [[2.0, 0.0]]
    assert len(lines["A"].get_xydata()) == 2 and len(lines["B"].get_xydata()) == 3
    assert lines["A"].get_marker() != lines["B"].get_marker()


def test_the_mean_loss_is_least_at_the_optimum():
    losses = figures.mean_loss(CENTRES, CURVATURES, np.array([[1.5, 0.0], [2.0, 0.0], [2.0, 0.5]]))
    assert losses.argmin() == 1 and losses[1] == pytest.approx(0.5)


def test_distances_are_shown_in_every_second_round():
    drawing = figures.distance_by_round({"federated": np.arange(61.0), "FedAvgM": np.ones(61)}, {"FedAvgM": 3}, 0.5)
    line = drawing.figure.axes[0].lines[0]
    assert line.get_xdata()[-1] == 40 and len(line.get_xdata()) == 21
    assert line.get_ydata()[0] == 1e-3  # 0 has no place on a logarithmic axis
    assert drawing.alt.endswith("for 2 server steps, with one local step. First round within 0.5 of it: FedAvgM 3.")


def test_strategies_are_rows_and_reference_lines_lines():
    rows = [
        {"strategy": name, "partition": partition, "seed": seed, "test_accuracy": accuracy + seed / 10}
        for name, accuracy in (("local only", 0.1), ("centralized", 0.8), ("fedavg", 0.5), ("feddyn", 0.6))
        for partition in ("noise", "iid")
        for seed in (0, 1)
    ]
    drawing = figures.accuracy_of_strategies(pd.DataFrame(rows))
    assert drawing.alt.startswith("Accuracy on the test images of every strategy: a panel per partition")
    assert drawing.alt.endswith(
        "On noise the best mean is 65.0% (feddyn), FedAvg's 55.0%. "
        "On iid the best mean is 65.0% (feddyn), FedAvg's 55.0%."
    )
    left, right = drawing.figure.axes
    assert [left.get_title(), right.get_title()] == ["noise", "iid"]
    assert [label.get_text() for label in left.get_yticklabels()] == ["fedavg", "feddyn"]


def test_paired_differences_have_a_mark_for_every_seed_and_one_for_their_mean():
    index = pd.MultiIndex.from_product([["noise", "iid"], [0, 1]], names=["partition", "seed"])
    points = pd.DataFrame({"scaffold": [1.0, 3.0, -1.0, 0.0], "feddyn": [2.5, 2.5, 4.0, 0.0]}, index=index)
    drawing = figures.paired_differences(points)
    assert drawing.alt == (
        "Paired differences to FedAvg in points, one mark per seed. On noise: from +2.0 (scaffold) to +2.5 (feddyn) on "
        "average. On iid: from -0.5 (scaffold) to +2.0 (feddyn) on average."
    )
    left, _ = drawing.figure.axes
    _, scaffold, mean, *_ = left.lines
    assert scaffold.get_ydata().tolist() == [1.0, 3.0]
    assert list(mean.get_ydata()) == [2.0]


def test_without_another_strategy_there_are_no_differences():
    index = pd.MultiIndex.from_product([["iid"], [0, 1]], names=["partition", "seed"])
    assert figures.paired_differences(pd.DataFrame(index=index)).alt == "No strategy besides FedAvg was run."


def test_the_mean_and_the_worst_client_by_q():
    rows = [(0.0, 0, 0.7, 0.2), (0.0, 1, 0.8, 0.4), (5.0, 0, 0.6, 0.4), (5.0, 1, 0.6, 0.5)]
    drawing = figures.mean_and_worst_client(pd.DataFrame(rows, columns=["q", "seed", "mean", "worst"]), "x:1")
    assert drawing.alt == (
        "Accuracy by q on x:1, mean and range over 2 seeds. q 0: mean of the clients 75.0%, worst client 30.0%. "
        "q 5: mean of the clients 60.0%, worst client 45.0%."
    )
    mean, worst = drawing.figure.axes[0].lines
    assert mean.get_ydata().tolist() == pytest.approx([0.75, 0.6])
    assert worst.get_ydata().tolist() == pytest.approx([0.3, 0.45])


# The widget


def test_a_walk_on_the_plane_follows_its_controls(screen):
    def walk(steps, mu):
        return np.array([[0.0, 0.0], [1.0, 0.0]]) * steps * mu

    figures.explore_plane({"FedAvg": walk, "FedProx": walk}, CENTRES, CURVATURES)
    assert screen.alts[-1].endswith(
        "FedAvg, 10 local steps: after 1 rounds the model is 8.000 from the optimum of all clients."
    )
    screen.control("strategy").value = "FedProx"
    screen.control("local steps").value = 2
    assert "FedProx, 2 local steps, μ = 1: after 1 rounds the model is 0.000 from" in screen.alts[-1]


@pytest.mark.browser
def test_walks_of_strategies_on_the_plane(opened, expect):
    page = opened("05_strategies")
    widget = cell(page, "figures.explore_plane(")
    image = widget.locator("img")
    expect(image).to_have_attribute("alt", re.compile(r"\. FedAvg, 10 local steps: after 40 rounds the model is 0\.3"))
    widget.get_by_role("button", name="SCAFFOLD").click()
    expect(image).to_have_attribute(
        "alt", re.compile(r"\. SCAFFOLD, 10 local steps: after 40 rounds the model is 0\.00")
    )
    press(page, widget.locator(".widget-slider", has_text="local steps"), "ArrowRight", 2)
    expect(image).to_have_attribute("alt", re.compile(r"\. SCAFFOLD, 12 local steps"))
