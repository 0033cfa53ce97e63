"""Each exercise: its solution passes, its stub is not attempted, and wrong answers are told what is wrong."""

import inspect
import math
import re

import numpy as np
import pandas as pd
import pytest
from flwr.app import ArrayRecord, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAvg

from fedlearn_helpers.algorithms import apfl
from fedlearn_helpers.algorithms.arithmetic import gradient, mixed, moved
from fedlearn_helpers.lessons.centralized_cnn import exercises as centralized_cnn
from fedlearn_helpers.lessons.clients_that_come_and_go import exercises as clients_that_come_and_go
from fedlearn_helpers.lessons.common.exercise import Exercise
from fedlearn_helpers.lessons.federated_averaging import exercises as federated_averaging
from fedlearn_helpers.lessons.non_iid_data import exercises as non_iid_data
from fedlearn_helpers.lessons.personalization import exercises as personalization
from fedlearn_helpers.lessons.start_here import exercises as start_here
from fedlearn_helpers.lessons.strategies import exercises as strategies
from fedlearn_helpers.metrics import weighted_average

MODULES = (
    start_here,
    centralized_cnn,
    federated_averaging,
    clients_that_come_and_go,
    non_iid_data,
    strategies,
    personalization,
)


def error_after(steps):
    return 0.1 + (steps - 7) ** 2 / 100


def loss_after(rate):
    return 1 + abs(np.log(rate / 0.003))


def distance_at(alpha):
    return 0.8 / (1 + alpha)


def share_in_time(seconds):
    """Half of the devices take 3 seconds, the others from 11 to 20."""
    return 0.5 * (seconds >= 3) + 0.05 * min(max(seconds - 10, 0), 10)


SETTINGS = pd.DataFrame({"accuracy": [0.70, 0.79, 0.80, 0.80], "megabytes": [1.0, 4.0, 8.0, 16.0]})
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
PULLS = {  # by situation, the clients' accuracies by λ
    "Ditto, λ =": {
        "skewed": {0.0: [0.9, 0.9], 1.0: [0.99, 0.5], 3.0: [0.8, 0.7]},
        "alike": {0.0: [0.6, 0.7], 1.0: [0.9, 0.7], 3.0: [0.74, 0.72]},
    }
}
GIVEN = {
    "fairest": {"table": COMPARED, "partition": "x"},
    "best_local_steps": {"error_after": error_after},
    "better_rate": {"loss_after": loss_after},
    "cheapest_setting": {"settings": SETTINGS},
    "smallest_deadline": {"share_in_time": share_in_time},
    "half_way": {"mean_distance": distance_at},
    "best_lambda": {"found": PULLS["Ditto, λ ="]},
}
ANSWER = {  # the variable that each exercise's cell defines
    "same_after_one_step": "prediction",
    "own_strategy": "ServerRateFedAvg",
    "fairest": "answer",
    "two_records": "prediction",
    "average": "server_average",
    "best_local_steps": "best_steps",
    "layer_weights": "prediction",
    "accuracy_per_class": "accuracy_per_class",
    "better_rate": "best_rate",
    "models_sent": "prediction",
    "worst_client": "aggregate_with_worst",
    "cheapest_setting": "chosen",
    "clients_to_ask": "prediction",
    "partial_steps": "steps_in_time",
    "smallest_deadline": "limit",
    "two_classes_distance": "prediction",
    "shard_split": "deal_shards",
    "half_way": "half_way_alpha",
    "ends": "prediction",
    "apfl_step": "step",
    "best_lambda": "answer",
}
ALL = [(module, exercise) for module in MODULES for exercise in vars(module).values() if isinstance(exercise, Exercise)]
every_exercise = pytest.mark.parametrize(("module", "exercise"), ALL, ids=[exercise.name for _, exercise in ALL])


def check(exercise, answer):
    return exercise.check(answer, **GIVEN.get(exercise.name, {}))


def test_there_are_three_kinds_in_every_notebook():
    for module in MODULES:
        assert {exercise.kind for of, exercise in ALL if of is module} == {"predict", "code", "explore"}


@every_exercise
def test_its_name_is_its_variable(module, exercise):
    assert getattr(module, exercise.name) is exercise


@every_exercise
def test_the_solution_is_correct(module, exercise):
    names = {
        "math": math,
        "np": np,
        "RecordDict": RecordDict,
        "MetricRecord": MetricRecord,
        "weighted_average": weighted_average,
        "skewed": "x",
        "between": PULLS,
    }
    names |= vars(apfl) if module is personalization else {}
    names |= vars(strategies) if module is strategies else {}  # its solution is a class with types in its signatures
    names |= GIVEN.get(exercise.name, {})
    exec(exercise.solution_source, names)
    verdict = check(exercise, names[ANSWER[exercise.name]])
    assert verdict.status == "correct", verdict
    assert len(verdict.message) > 40


@every_exercise
@pytest.mark.parametrize("stub", [..., lambda *_, **__: ...], ids=["value", "function"])
def test_the_stub_is_not_attempted(module, exercise, stub):
    if stub is not ... and not inspect.isfunction(exercise.solution_code):
        return
    verdict = check(exercise, stub)
    assert verdict.status == "not attempted"
    assert f"exercises.{exercise.name}.hint()" in verdict.message


def test_a_strategy_whose_aggregation_is_not_written_is_not_attempted():
    class Stub(strategies.ServerRateFedAvg):
        def aggregate_train(self, server_round, replies):
            return ...

    for stub in (Stub, FedAvg):
        assert check(strategies.own_strategy, stub).status == "not attempted"


def aggregate(change):
    """An answer to `worst_client` that does one thing differently."""

    def answer(replies, weighted_by):
        reports = [dict(reply["metrics"]) for reply in replies]
        examples = [report.pop(weighted_by) for report in reports]
        result = weighted_average(reports, examples) | {"worst_accuracy": min(report["accuracy"] for report in reports)}
        return change(result, reports, examples)

    return answer


def counting(divide):
    """An answer to `accuracy_per_class` with another denominator."""

    def answer(labels, predictions, num_classes):
        right = np.bincount(labels[labels == predictions], minlength=num_classes)
        with np.errstate(all="ignore"):
            return right / divide(labels, predictions, num_classes)

    return answer


def images_of(labels, predictions, num_classes):
    return np.bincount(labels, minlength=num_classes)


def dealing(choose):
    """An answer to `shard_split` that makes its parts of the shards, and a generator, in another way."""

    def answer(labels, num_clients, shards_each, seed):
        shards = np.array_split(np.argsort(labels, kind="stable"), num_clients * shards_each)
        return choose(shards, np.random.default_rng(seed), num_clients, shards_each)

    return answer


def in_order(shards, order, clients):
    return [np.concatenate([shards[i] for i in dealt]) for dealt in np.split(order, clients)]


def half_way(step):
    """A strategy whose server goes to step(old, mean, rate), entry by entry."""

    class Own(strategies.ServerRateFedAvg):
        def aggregate_train(self, server_round, replies):
            mean, metrics = FedAvg.aggregate_train(self, server_round, replies)
            old, new = (record.to_torch_state_dict() for record in (self.model, mean))
            return ArrayRecord({name: step(old[name], new[name], self.server_learning_rate) for name in old}), metrics

    return Own


class Careless(half_way(lambda old, mean, rate: old + rate * (mean - old))):
    """Right, but for a round in which nobody answers."""


class OnlyArrays(strategies.ServerRateFedAvg):
    def aggregate_train(self, server_round, replies):
        return super().aggregate_train(server_round, replies)[0]


RIGHT_NAMES = {"fedprox", "fednova", "scaffold", "fedavgm"}

ENDS = {
    "Ditto, λ = 0": "alone",
    "APFL, α = 0": "global",
    "APFL, α = 1": "alone",
    "pFedMe, λ very large": "global",
    "FedPer, every layer is head": "alone",
    "IFCA, one cluster": "global",
}


def apfl_with(do):
    """An answer to `apfl_step` that does something of its own with w, v and the slopes of the loss."""

    def answer(loss, w, v, batch, *, alpha, eta):
        def slope(point):
            return gradient(loss, point, batch)

        slope.loss, slope.batch = loss, batch
        return do(w, v, slope, alpha, eta)

    return answer


WRONG = [
    (strategies.same_after_one_step, "fedprox", "must be a set of names"),
    (strategies.same_after_one_step, {"fedproxy"}, "no names of strategies: fedproxy"),
    (strategies.same_after_one_step, RIGHT_NAMES | {"feddyn"}, "FedDyn's server subtracts"),
    (strategies.same_after_one_step, RIGHT_NAMES | {"qfedavg"}, "by their losses"),
    (strategies.same_after_one_step, RIGHT_NAMES | {"fedyogi"}, "FedYogi divides the change"),
    (strategies.same_after_one_step, RIGHT_NAMES - {"fedprox"}, "What is the pull"),
    (strategies.same_after_one_step, RIGHT_NAMES - {"scaffold"}, "the control variates in the first round"),
    (strategies.own_strategy, 3, "a class that inherits from FedAvg"),
    (strategies.own_strategy, half_way(lambda old, mean, rate: mean), "the rate has no effect"),
    (strategies.own_strategy, half_way(lambda old, mean, rate: rate * mean), "The mean itself is scaled"),
    (strategies.own_strategy, half_way(lambda old, mean, rate: old - rate * (mean - old)), "the sign of the change"),
    (
        strategies.own_strategy,
        half_way(lambda old, mean, rate: mean + rate * (old - mean)),
        "old and new are exchanged",
    ),
    (
        strategies.own_strategy,
        half_way(lambda old, mean, rate: old + rate**2 * (mean - old)),
        "rates 0, 0.5 and 1 must",
    ),
    (strategies.own_strategy, Careless, "A round when no client answers raised"),
    (strategies.own_strategy, OnlyArrays, "must return two things"),
    (strategies.fairest, "fedsgd", "must be one of 'fedavg', 'feddyn', 'scaffold'"),
    (strategies.fairest, "fedavg", "the best mean over clients; that is another question"),
    (strategies.fairest, "scaffold", "the best single run; average over the seeds"),
    (strategies.fairest, 0.4, "must be one of"),
    (start_here.two_records, "A", "Only if the gradient came from one record"),
    (start_here.two_records, "c", "The gradient does depend on the records"),
    (start_here.two_records, "D", "must be one of 'A', 'B', 'C', and it is 'D'"),
    (start_here.two_records, 2, "must be one of 'A', 'B', 'C', and it is 2"),
    (start_here.average, lambda returned, examples: np.mean(returned, axis=0), "That is the plain mean"),
    (
        start_here.average,
        lambda returned, examples: sum(n * w for n, w in zip(examples, returned, strict=True)),
        "single client",
    ),
    (start_here.average, lambda returned, examples: np.average(returned, weights=examples, axis=0).mean(), "shape"),
    (start_here.average, lambda returned, examples: np.average(returned, weights=examples[::-1], axis=0), "wrong way"),
    (start_here.average, lambda returned, examples: returned @ examples, "raised TypeError"),
    (start_here.average, lambda returned, examples: None, "returned None"),
    (start_here.average, 3, "must be a function, and it is 3"),
    (start_here.average, lambda returned, examples: sum(returned) / len(returned), "plain mean"),
    (start_here.best_local_steps, 1, "still on its way"),
    (start_here.best_local_steps, 50, "drift apart"),
    (start_here.best_local_steps, 51, "from 1 to 50, and it is 51"),
    (start_here.best_local_steps, 2.5, "from 1 to 50, and it is 2.5"),
    (start_here.best_local_steps, "many", "must be a number, and it is 'many'"),
    (centralized_cnn.layer_weights, 216, "bias"),
    (centralized_cnn.layer_weights, 80, "That is for grey images"),
    (centralized_cnn.layer_weights, 240, "one bias, not one for every channel"),
    (centralized_cnn.layer_weights, 28, "That is one filter. There are eight."),
    (centralized_cnn.layer_weights, 1000, "1000 is not it"),
    (
        centralized_cnn.accuracy_per_class,
        counting(lambda true, said, n: np.bincount(said, minlength=n)),
        "how often the model said",
    ),
    (centralized_cnn.accuracy_per_class, counting(lambda true, said, n: len(true)), "by the number of all images"),
    (centralized_cnn.accuracy_per_class, counting(lambda true, said, n: 1), "These are counts"),
    (
        centralized_cnn.accuracy_per_class,
        lambda true, said, n: np.nan_to_num(counting(images_of)(true, said, n)),
        "must be nan, and it is 0",
    ),
    (centralized_cnn.accuracy_per_class, lambda true, said, n: np.mean(true == said), "one number per class"),
    (
        centralized_cnn.accuracy_per_class,
        lambda true, said, n: np.array([np.mean(said[true == k] == k) for k in np.unique(true)]),
        "the last classes have no images",
    ),
    (centralized_cnn.better_rate, 0.0001, "With so small a step"),
    (centralized_cnn.better_rate, 0.5, "With so large a step"),
    (centralized_cnn.better_rate, -1, "above 0 and at most 1, and it is -1"),
    (centralized_cnn.better_rate, None, "must be a number, and it is None"),
    (federated_averaging.models_sent, 10, "That is training alone"),
    (federated_averaging.models_sent, 30, "with all ten clients training"),
    (federated_averaging.models_sent, 25, "Do clients send a model back when they evaluate?"),
    (federated_averaging.models_sent, 7, "7 is not it"),
    (federated_averaging.worst_client, aggregate(lambda result, *_: result), "must return a MetricRecord"),
    (
        federated_averaging.worst_client,
        aggregate(
            lambda result, reports, _: MetricRecord(
                weighted_average(reports, [1] * len(reports)) | {"worst_accuracy": 0.5}
            )
        ),
        "weigh the clients by their examples",
    ),
    (
        federated_averaging.worst_client,
        aggregate(lambda result, *_: MetricRecord({"worst_accuracy": result["worst_accuracy"]})),
        "must stay in the result",
    ),
    (
        federated_averaging.worst_client,
        aggregate(
            lambda result, reports, _: MetricRecord(result | {"worst_accuracy": max(r["accuracy"] for r in reports)})
        ),
        "The worst client is the one with the lowest",
    ),
    (
        federated_averaging.worst_client,
        aggregate(
            lambda result, reports, examples: MetricRecord(
                result | {"worst_accuracy": min(r["accuracy"] * n for r, n in zip(reports, examples, strict=True))}
            )
        ),
        "Examples do not matter",
    ),
    (
        federated_averaging.worst_client,
        aggregate(lambda result, reports, _: MetricRecord(result | {"worst_accuracy": reports[-1]["accuracy"]})),
        "wherever it stands",
    ),
    (
        federated_averaging.worst_client,
        aggregate(lambda result, *_: MetricRecord({"accuracy": result["accuracy"], "loss": result["loss"]})),
        "no 'worst_accuracy'",
    ),
    (federated_averaging.cheapest_setting, 0, "at most 2 points lower"),
    (federated_averaging.cheapest_setting, 2, "Another row is, too"),
    (federated_averaging.cheapest_setting, 9, "the number of a row, 0 to 3, and it is 9"),
    (federated_averaging.cheapest_setting, "first", "must be a number, and it is 'first'"),
    (clients_that_come_and_go.clients_to_ask, 9, "all nine would have to be there, and be fast"),
    (clients_that_come_and_go.clients_to_ask, 10, "Half of the ten are slow"),
    (clients_that_come_and_go.clients_to_ask, 18, "one in ten is not there"),
    (clients_that_come_and_go.clients_to_ask, 4, "how many of nine answer"),
    (clients_that_come_and_go.clients_to_ask, 15, "multiplied, not added"),
    (clients_that_come_and_go.clients_to_ask, 100, "100 is not it"),
    (clients_that_come_and_go.partial_steps, lambda steps, step, transfer, limit: limit // step, "has to travel, too"),
    (clients_that_come_and_go.partial_steps, lambda steps, step, transfer, limit: limit - transfer, "to compute"),
    (
        clients_that_come_and_go.partial_steps,
        lambda steps, step, transfer, limit: (limit - transfer) * step,
        "Divide the seconds by the seconds per step",
    ),
    (clients_that_come_and_go.partial_steps, lambda steps, *_: steps, "A late device stops earlier"),
    (
        clients_that_come_and_go.partial_steps,
        lambda steps, step, transfer, limit: (limit - transfer) / step,
        "3 whole steps, not 3.75",
    ),
    (
        clients_that_come_and_go.partial_steps,
        lambda steps, step, transfer, limit: (limit - transfer) // step,
        "asked for 5 steps takes 5",
    ),
    (
        clients_that_come_and_go.partial_steps,
        lambda steps, step, transfer, limit: min((limit - transfer) // step, steps),
        "there are 0 steps",
    ),
    (clients_that_come_and_go.smallest_deadline, 10, "fewer than 80%"),
    (clients_that_come_and_go.smallest_deadline, 18, "One second less is enough"),
    (clients_that_come_and_go.smallest_deadline, 16.5, "must be a whole number of seconds"),
    (clients_that_come_and_go.smallest_deadline, "late", "must be a number, and it is 'late'"),
    (non_iid_data.two_classes_distance, 0.2, "what the client shares with everybody"),
    (non_iid_data.two_classes_distance, 1.6, "Total variation is half of it"),
    (non_iid_data.two_classes_distance, 0.4, "halve nothing"),
    (non_iid_data.two_classes_distance, 0.9, "a client with one class"),
    (non_iid_data.two_classes_distance, 1, "nothing in common"),
    (non_iid_data.two_classes_distance, 0.5, "0.5 is not it"),
    (non_iid_data.two_classes_distance, "far", "must be a number, and it is 'far'"),
    (
        non_iid_data.shard_split,
        lambda labels, clients, each, seed: np.array_split(
            np.random.default_rng(seed).permutation(len(labels)), clients
        ),
        "Sort the examples by class",
    ),
    (
        non_iid_data.shard_split,
        dealing(lambda shards, rng, clients, each: in_order(shards, np.arange(len(shards)), clients)),
        "Shuffle the shards, then deal",
    ),
    (
        non_iid_data.shard_split,
        dealing(lambda shards, rng, clients, each: in_order(shards, rng.choice(len(shards), clients * each), clients)),
        "dealt twice",
    ),
    (
        non_iid_data.shard_split,
        dealing(
            lambda shards, rng, clients, each: in_order(
                shards, np.random.default_rng(0).permutation(len(shards)), clients
            )
        ),
        "Seeds 0 to 3 give the same deal",
    ),
    (
        non_iid_data.shard_split,
        dealing(lambda shards, rng, clients, each: [shards[i] for i in rng.permutation(len(shards))[:clients]]),
        "All 120 examples must be dealt, and 60 are",
    ),
    (non_iid_data.shard_split, dealing(lambda shards, *_: shards), "a list of six arrays, and it returned 12 parts"),
    (
        non_iid_data.shard_split,
        dealing(lambda shards, rng, clients, each: [shards[2 * i : 2 * i + 2] for i in range(clients)]),
        "np.concatenate joins its shards",
    ),
    (
        non_iid_data.shard_split,
        lambda labels, clients, each, seed: list(np.split(np.sort(labels), clients)),
        "These are labels",
    ),
    (
        non_iid_data.shard_split,
        lambda labels, clients, each, seed: np.split(np.argsort(labels, kind="stable"), [10, 40, 60, 80, 100]),
        "six clients get 20 each",
    ),
    (non_iid_data.half_way, 0.05, "still too different"),
    (non_iid_data.half_way, 50, "already too alike"),
    (non_iid_data.half_way, 0, "from 0.05 to 100, and it is 0"),
    (non_iid_data.half_way, "1", "must be a number, and it is '1'"),
    (personalization.ends, "alone", "must be a dictionary"),
    (personalization.ends, {"Ditto, λ = 0": "alone"}, "Still to be answered: APFL, α = 0; APFL, α = 1"),
    (personalization.ends, ENDS | {"IFCA, one cluster": "both"}, "must be 'alone' or 'global', and that for IFCA"),
    *(
        (personalization.ends, ENDS | {name: "global" if right == "alone" else "alone"}, f"Not so for {name}.")
        for name, right in ENDS.items()
    ),
    (personalization.apfl_step, 3, "must be a function"),
    (personalization.apfl_step, apfl_with(lambda w, v, slope, alpha, eta: w), "two dictionaries of tensors"),
    (
        personalization.apfl_step,
        apfl_with(lambda w, v, slope, alpha, eta: apfl.step(slope.loss, w, v, slope.batch, alpha=alpha, eta=eta)[::-1]),
        "w and v are exchanged",
    ),
    (
        personalization.apfl_step,
        apfl_with(lambda w, v, s, alpha, eta: (moved(w, s(mixed(v, w, alpha)), -eta), v)),
        "with the gradient at w, not at the mixture",
    ),
    (
        personalization.apfl_step,
        apfl_with(lambda w, v, slope, alpha, eta: (moved(w, slope(w), eta), v)),
        "w goes uphill",
    ),
    (personalization.apfl_step, apfl_with(lambda w, v, slope, alpha, eta: (w, v)), "The new w is not w − η"),
    (
        personalization.apfl_step,
        apfl_with(lambda w, v, s, alpha, eta: (moved(w, s(w), -eta), moved(v, s(v), -eta * alpha))),
        "is taken at v",
    ),
    (
        personalization.apfl_step,
        apfl_with(lambda w, v, s, alpha, eta: (moved(w, s(w), -eta), moved(v, s(mixed(v, w, alpha)), -eta))),
        "The factor α is missing",
    ),
    (
        personalization.apfl_step,
        apfl_with(
            lambda w, v, s, alpha, eta: (
                moved(w, s(w), -eta),
                moved(mixed(v, w, alpha), s(mixed(v, w, alpha)), -eta * alpha),
            )
        ),
        "v is overwritten",
    ),
    (
        personalization.apfl_step,
        apfl_with(
            lambda w, v, s, alpha, eta: (
                moved(w, s(w), -eta),
                moved(v, s(mixed(v, moved(w, s(w), -eta), alpha)), -eta * alpha),
            )
        ),
        "has the new w in it",
    ),
    (
        personalization.apfl_step,
        apfl_with(lambda w, v, s, alpha, eta: (moved(w, s(w), -eta), v)),
        "The new v is not v − η α",
    ),
    (
        personalization.apfl_step,
        apfl_with(lambda w, v, s, alpha, eta: ({"a": w["a"].mul_(2)}, v)),
        "have changed",
    ),
    (personalization.apfl_step, apfl_with(lambda w, v, s, alpha, eta: w["c"]), "raised KeyError"),
    (personalization.best_lambda, 0.3, "must be a dictionary"),
    (personalization.best_lambda, {"skewed": 0.0}, "no λ for alike yet"),
    (personalization.best_lambda, {"skewed": 0.2, "alike": 1.0}, "For skewed these λ were tried: 0, 1, 3"),
    (personalization.best_lambda, {"skewed": 1.0, "alike": 1.0}, "another one more"),
    (personalization.best_lambda, {"skewed": 0.0, "alike": 3.0}, "the best for the worst client"),
]


@pytest.mark.parametrize(
    ("exercise", "answer", "sentence"), WRONG, ids=[f"{entry[0].name}-{number}" for number, entry in enumerate(WRONG)]
)
def test_a_wrong_answer_is_told_what_is_wrong(exercise, answer, sentence):
    verdict = check(exercise, answer)
    assert verdict.status == "not yet"
    assert sentence in verdict.message


@every_exercise
def test_at_least_three_mistakes_are_known(module, exercise):
    sentences = {sentence for of, _, sentence in WRONG if of is exercise}
    assert len(sentences) >= 3


def test_hints_come_one_after_the_other(capsys):
    exercise = Exercise("x", "predict", "easy", 1, ("first", "second"), "prediction = 1", lambda answer: "Yes.")
    for _ in range(3):
        exercise.hint()
    assert capsys.readouterr().out.splitlines() == ["Hint 1 of 2: first", "Hint 2 of 2: second", "Hint 2 of 2: second"]


def test_verdicts_show_themselves_without_markup_of_the_learner():
    exercise = Exercise("x", "predict", "easy", 1, ("", ""), "p = 1", lambda answer: f"<b>{answer}</b>")
    page = exercise.check("<script>")._repr_html_()
    assert 'data-status="correct"' in page and "✓ Correct." in page
    assert "&lt;b&gt;&lt;script&gt;&lt;/b&gt;" in page and "<script>" not in page
    assert repr(exercise.check(1)).startswith("✓ Correct. <b>1</b>")


@every_exercise
def test_the_solution_is_shown_as_code(module, exercise, capsys):
    exercise.solution()
    assert re.search(rf"\b{ANSWER[exercise.name]}\b", exercise.solution_source)
