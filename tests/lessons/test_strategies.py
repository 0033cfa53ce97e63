"""The lesson of notebook 05."""

import ast
import inspect
import re
import textwrap

import numpy as np
import pandas as pd
import pytest
from flwr.app import ArrayRecord
from flwr.serverapp.strategy import FedAvg
from in_browser import cell, press
from lesson import Lesson, LessonTests, Typed, cells_of, code_of
from shown_code import same_code

from fedlearn_helpers import plots
from fedlearn_helpers.algorithms import STRATEGIES, fednova, scaffold
from fedlearn_helpers.lessons.strategies import claims, exercises, figures

COMPARED = pd.DataFrame(
    [
        # strategy, partition, seed, worst client, mean of the clients
        ("fedavg", "x", 0, 0.30, 0.80),
        ("fedavg", "x", 1, 0.30, 0.80),
        ("scaffold", "x", 0, 0.05, 0.70),
        ("scaffold", "x", 1, 0.50, 0.70),
        ("feddyn", "x", 0, 0.40, 0.75),
        ("feddyn", "x", 1, 0.42, 0.75),
        ("fedprox", "y", 0, 0.99, 0.99),
    ],
    columns=["strategy", "partition", "seed", "worst_client_accuracy", "mean_client_accuracy"],
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


class WithoutMetrics(exercises.ServerRateFedAvg):
    def aggregate_train(self, server_round, replies):
        return super().aggregate_train(server_round, replies)[0], None


RIGHT_NAMES = {"fedprox", "fednova", "scaffold", "fedavgm"}


class TestStrategies(LessonTests):
    lesson = Lesson(
        notebook="05_strategies",
        small={
            "strategies": "fedavg,scaffold,feddyn,fedavgm",
            "partitions": "iid,dirichlet:0.5",
            "learning_rates": "0.1,0.02",
            "num_seeds": 2,
            "num_clients": 3,
            "num_rounds": 1,
            "max_images": 300,
        },
        metrics={
            "scaffold on dirichlet:0.5: test_accuracy",
            "centralized on iid: test_accuracy",
            "local only on iid: worst_client_accuracy",
            "feddyn on iid: points above fedavg",
            "scaffold on iid with rate 0.02: late test accuracy",
            "fedavg on iid: chosen rate",
        },
        bad=[
            ({"strategies": "scaffold"}, "strategies must be 'all', or fedavg and others out of fedavg, fedprox"),
            ({"strategies": "fedavg,fedsgd"}, "strategies must be 'all', or fedavg and others"),
            ({"partitions": "iid,even"}, "partition must be one of iid, dirichlet, pathological, quantity"),
            ({"partitions": "dirichlet:0"}, "partition must look like dirichlet:alpha, with a number > 0"),
            ({"learning_rates": "0.1"}, "learning_rates must be two numbers or more, > 0 and <= 10"),
            ({"learning_rates": "0.1,0.1"}, "learning_rates must be two numbers or more, > 0 and <= 10"),
            ({"learning_rates": "0.1,fast"}, "learning_rates must be two numbers or more, > 0 and <= 10"),
            ({"learning_rates": "0.1,nan"}, "learning_rates must be two numbers or more, > 0 and <= 10"),
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
                (RIGHT_NAMES - {"fedprox"}, "One more does the same as FedAvg. What is the pull"),
                (RIGHT_NAMES - {"scaffold"}, "the control variates in the first round"),
                ({"fedprox", "fednova"}, "Two more do the same as FedAvg. What are the control variates"),
            ],
            "own_strategy": [
                (3, "a class that inherits from FedAvg"),
                (half_way(lambda old, mean, rate: mean), "the rate has no effect"),
                (half_way(lambda old, mean, rate: rate * mean), "The mean itself is scaled"),
                (half_way(lambda old, mean, rate: old - rate * (mean - old)), "the sign of the change"),
                (half_way(lambda old, mean, rate: mean + rate * (old - mean)), "old and new are exchanged"),
                (half_way(lambda old, mean, rate: old + rate**2 * (mean - old)), "rates 0, 0.5 and 1 must"),
                (Careless, "Return None for the arrays then"),
                (OnlyArrays, "it returned one thing of type ArrayRecord"),
                (WithoutMetrics, "The second thing returned must be the metrics"),
            ],
            "fairest": [
                ("fedsgd", "must be one of 'fedavg', 'feddyn', 'scaffold'"),
                (("fedavg", False), "the best mean over clients; that is another question"),
                (("scaffold", True), "the best single run; average over the seeds"),
                (0.4, "must be one of"),
                ("feddyn", "'feddyn' is right. Is it ahead of FedAvg with every seed?"),
                (("feddyn", "yes"), "'feddyn' is right. Is it ahead of FedAvg with every seed?"),
                (
                    ("feddyn", False),
                    "Compare seed by seed: less FedAvg's worst client, that of feddyn has +10.0, +12.0",
                ),
            ],
        },
        given={"fairest": {"table": COMPARED, "partition": "x"}},
        names=vars(exercises) | {"skewed": "x", "tuned": COMPARED},
        in_browser=Typed(
            "same_after_one_step",
            wrong='{"fedprox", "scaffold"}',
            sentence="Two more do the same",
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
        {
            "FedAvg, 1 step": np.array([[0.0, 0.0], [2.0, 0.5]]),
            "FedAvg, 2 steps": np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]),
            "SCAFFOLD": np.array([[0.0, 0.0], [2.0, 0.0]]),
        },
    )
    assert drawing.alt == (
        "The plane of two weights with 2 clients, the optimum of all, and the global model after every round. "
        "FedAvg, 1 step: after 1 rounds the model is 0.500 from the optimum of all clients. "
        "FedAvg, 2 steps: after 2 rounds the model is 0.000 from the optimum of all clients. "
        "SCAFFOLD: after 1 rounds the model is 0.000 from the optimum of all clients."
    )
    whole, near = drawing.figure.axes
    assert [text.get_text() for text in whole.texts] == ["client 0", "client 1"]
    lines = {line.get_label(): line for line in whole.lines}
    assert lines["optimum of all"].get_xydata().tolist() == [[2.0, 0.0]]
    first, second, other = (lines[name] for name in ("FedAvg, 1 step", "FedAvg, 2 steps", "SCAFFOLD"))
    assert len(first.get_xydata()) == 2 and len(second.get_xydata()) == 3
    assert first.get_marker() != second.get_marker()
    assert len({line.get_color() for line in (first, second, other)}) == 3
    assert near.get_xlim() == pytest.approx((1.25, 2.75)), "half as wide again as the last of the paths' ends"


def test_a_path_that_leaves_the_plane_is_drawn_up_to_there():
    away = np.array([[0.0, 0.0], [5.0, 0.0], [-99.0, 0.0], [np.nan, 0.0]])
    drawing = figures.paths_on_plane(
        CENTRES, CURVATURES, {"FedNova": away, "SCAFFOLD": np.array([[0.0, 0.0], [2.0, 0.0]])}
    )
    assert "FedNova: the model leaves the plane in round 2. SCAFFOLD: after 1 rounds the model is" in drawing.alt
    whole, near = drawing.figure.axes
    lines = {line.get_label(): line for line in whole.lines}
    assert lines["FedNova: leaves the plane in round 2"].get_xydata().tolist() == away[:3].tolist()
    assert whole.get_xlim() == pytest.approx((-1.1, 6.1)), "around what is on the plane"
    assert near.get_xlim() == pytest.approx((1.75, 2.25)), "around the path that stays"


def test_every_strategy_has_a_look_of_its_own_under_each_of_its_names():
    looks = [tuple(map(str, figures.style_of_rule(name).values())) for name in STRATEGIES]
    assert len(set(looks)) == len(STRATEGIES)
    assert figures.style_of_rule("q-FedAvg, q = 1") == figures.style_of_rule("qfedavg")
    assert figures.style_of_rule("FedDyn, α = 0.3") == figures.style_of_rule("feddyn")
    assert figures.style_of_rule("fedavg") == plots.STYLES["federated"]


def test_the_mean_loss_is_least_at_the_optimum():
    losses = figures.mean_loss(CENTRES, CURVATURES, np.array([[1.5, 0.0], [2.0, 0.0], [2.0, 0.5]]))
    assert losses.argmin() == 1 and losses[1] == pytest.approx(0.5)


def test_distances_are_shown_as_they_are_in_every_round():
    distances = {"FedAvg": np.geomspace(10, 1e-9, 61), "FedAvgM": np.ones(61)}
    drawing = figures.distance_by_round(distances, {"FedAvgM": 3}, 0.5)
    line = drawing.figure.axes[0].lines[0]
    assert line.get_ydata().tolist() == distances["FedAvg"].tolist()
    assert drawing.alt.endswith("for 2 server steps, with one local step. First round within 0.5 of it: FedAvgM 3.")


def by_rate():
    return pd.DataFrame(
        {"strategy": name, "partition": "noise", "rate": rate, "seed": seed, "round": number, "test_accuracy": accuracy}
        for name, accuracy in (("fedavg", 0.5), ("feddyn", 0.6))
        for rate in (0.02, 0.1)
        for seed in (0, 1)
        for number in (0, 1, 2)
    )


def test_curves_by_round_have_a_panel_for_each_rate_and_the_reference_lines_in_each():
    lines = pd.DataFrame({"strategy": ["local only", "centralized"], "rate": 0.1, "test_accuracy": [0.1, 0.8]})
    lines["partition"] = "noise"
    drawing = figures.accuracy_by_round(by_rate(), lines)
    assert drawing.alt == (
        "Test accuracy by round, mean over the seeds. On noise with rate 0.02 fedavg ends at 50.0%. On noise "
        "with rate 0.02 feddyn ends at 60.0%. On noise with rate 0.1 fedavg ends at 50.0%. On noise with rate 0.1 "
        "feddyn ends at 60.0%."
    )
    left, right = drawing.figure.axes
    assert [left.get_title(), right.get_title()] == ["noise, client rate 0.02", "noise, client rate 0.1"]
    assert [text.get_text() for text in drawing.figure.legends[0].texts][-1] == "fedavg: all seeds"
    for panel in (left, right):
        assert len(panel.collections) == 1, "a band of FedAvg alone"
        heights = {line.get_label(): line.get_ydata()[-1] for line in panel.lines}
        lines_of_one_rate = {"local only (rate 0.1)": 0.1, "centralized (rate 0.1)": 0.8}
        assert heights == {"fedavg": 0.5, "feddyn": pytest.approx(0.6)} | lines_of_one_rate


def test_accuracy_by_rate_rings_the_rates_that_were_chosen():
    late = by_rate().query("round == 2").rename(columns={"test_accuracy": "late"})
    chosen = {("noise", "fedavg"): 0.1, ("noise", "feddyn"): 0.02}
    drawing = figures.accuracy_by_rate(late, chosen)
    assert drawing.alt == (
        "Test accuracy of the last rounds by the clients' learning rate. fedavg: 50.0% at 0.02, 50.0% at 0.1, tuned to "
        "0.1. feddyn: 60.0% at 0.02, 60.0% at 0.1, tuned to 0.02."
    )
    (axis,) = drawing.figure.axes
    _, ring, _, other, _ = axis.lines
    assert ring.get_xydata().tolist() == [[0.1, 0.5]] and other.get_xydata().tolist() == [[0.02, 0.6]]


def test_paired_differences_have_a_mark_for_every_seed_and_one_for_their_mean():
    index = pd.MultiIndex.from_product([["all at 0.1", "each"], [0, 1]])
    points = pd.DataFrame({"scaffold": [1.0, 3.0, -1.0, 0.0], "feddyn": [2.5, 2.5, 4.0, 0.0]}, index=index)
    drawing = figures.paired_differences(points)
    assert drawing.alt == (
        "Paired differences to FedAvg in points, one mark per seed. all at 0.1: from +2.0 (scaffold) to +2.5 (feddyn) "
        "on average. each: from -0.5 (scaffold) to +2.0 (feddyn) on average."
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
        "Accuracy by q on x:1, mean and a line for each of 2 seeds. q 0: mean of the clients 75.0%, worst client "
        "30.0%. q 5: mean of the clients 60.0%, worst client 45.0%."
    )
    lines = {line.get_label(): line for line in drawing.figure.axes[0].lines}
    mean, worst = lines["mean of the clients"], lines["worst client"]
    assert lines["worst client, one seed"].get_ydata().tolist() == [0.2, 0.4]
    assert mean.get_ydata().tolist() == pytest.approx([0.75, 0.6])
    assert worst.get_ydata().tolist() == pytest.approx([0.3, 0.45])


# The widget


def test_a_walk_on_the_plane_follows_its_controls(screen):
    def walk(steps, rate):
        return np.array([[0.0, 0.0], [1.0, 0.0]]) * steps * rate

    figures.explore_plane({name: walk for name in ("FedAvg", "SCAFFOLD", "FedDyn", "FedNova")}, CENTRES, CURVATURES)
    assert screen.alts[-1].endswith(
        "FedAvg, 10 local steps, rate 0.2: after 1 rounds the model is 0.000 from the optimum of all clients."
    )
    screen.control("strategy").value = "FedDyn"
    screen.control("local steps").value = 2
    screen.control("learning rate").value = 0.5
    assert "FedAvg, 2 local steps, rate 0.5: after 1 rounds the model is 1.000 from" in screen.alts[-1]
    assert "FedDyn, 2 local steps, rate 0.5: after 1 rounds the model is 1.000 from" in screen.alts[-1]


@pytest.mark.browser
def test_walks_of_strategies_on_the_plane(opened, expect):
    page = opened("05_strategies")
    widget = cell(page, "figures.explore_plane(")
    image = widget.locator("img")
    expect(image).to_have_attribute("alt", re.compile(r"FedAvg, 10 local steps, rate 0\.2: after 60 rounds"))
    widget.get_by_role("button", name="SCAFFOLD").click()
    expect(image).to_have_attribute(
        "alt", re.compile(r"\. SCAFFOLD, 10 local steps, rate 0\.2: after 60 rounds the model is 0\.00")
    )
    press(page, widget.locator(".widget-slider", has_text="local steps"), "ArrowRight", 2)
    expect(image).to_have_attribute("alt", re.compile(r"\. SCAFFOLD, 12 local steps"))


# Claims

RUN = {
    "fedavg on x with rate 0.02: late test accuracy": [0.60, 0.62],
    "fedavg on x with rate 0.1: late test accuracy": [0.70, 0.72],
    "scaffold on x with rate 0.02: late test accuracy": [0.66, 0.65],
    "scaffold on x with rate 0.1: late test accuracy": [0.60, 0.64],
    "fedavg on x: test_accuracy": 0.71,
    "scaffold on x: test_accuracy": 0.68,
    "SCAFFOLD, as it is on x: points above fedavg, by seed": [-10.0, -8.0],
    "SCAFFOLD, both on x: points above fedavg, by seed": [-4.0, -9.0],
    "scaffold on x: points above fedavg, by seed": [-2.0, -3.0],
    "scaffold on x, few clients: points above fedavg, by seed": [1.0, -4.0],
    "q 0 on x: worst, by seed": [0.3, 0.4],
    "q 1 on x: worst, by seed": [0.4, 0.35],
}


@pytest.mark.parametrize(
    ("says", "margins"),
    [
        ("SCAFFOLD's lead over FedAvg is smaller at the largest client rate", [0.16, 0.11]),
        ("At the largest client rate SCAFFOLD is behind", [0.10, 0.08]),
        ("Each at its own rate, the strategies are closer", [0.045 - 0.03]),
        ("The weighted mean and full batches with equal steps together", [0.06, -0.01]),
        ("SCAFFOLD's memory helps more with few clients", [0.03, -0.01]),
        ("With few clients in a round SCAFFOLD is ahead", [0.01, -0.04]),
        ("With q = 1 the worst client is better off", [0.1, -0.05]),
    ],
)
def test_margins_of_claims(says, margins):
    (claim,) = [claim for claim in claims.CLAIMS if claim.says.startswith(says)]
    assert claim.margins(RUN) == pytest.approx(margins)


def test_claims_are_of_cells_of_the_notebook():
    ids = {cell.id for cell in cells_of(TestStrategies.lesson.path)}
    assert {claim.cell for claim in claims.CLAIMS} <= ids


def test_the_lower_rate_of_the_claims_is_that_of_the_notebook():
    for grid in ([0.02, 0.1], [0.02, 0.05, 0.1], [0.01, 0.02, 0.05, 0.1], [0.01, 0.02, 0.05, 0.1, 0.2]):
        assert claims._low(grid + grid) == 0.02
    (line,) = re.findall(r"^low, high = (.*), rates\[-1\]", code_of(TestStrategies.lesson.path), re.MULTILINE)
    assert line == "rates[len(rates) // 2 - 1]"


# The code of section 6


def test_code_in_the_text_is_the_packages():
    (text,) = [cell.source for cell in cells_of(TestStrategies.lesson.path) if cell.id == "flower"]
    client, server = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert same_code(client, scaffold, "correct_step")
    packaged = {
        ast.unparse(node) for module in (scaffold, fednova) for node in ast.walk(ast.parse(inspect.getsource(module)))
    }
    for source in (client, f"def combine():\n{textwrap.indent(server, '    ')}"):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Assign | ast.Return) and ast.unparse(node) != "way = local.steps * eta":
                assert ast.unparse(node) in packaged, ast.unparse(node)
