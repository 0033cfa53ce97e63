"""The tables of a History, from exchanges written by hand."""

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Context, MetricRecord, RecordDict
from flwr.serverapp.strategy import Result

from fedlearn_helpers.simulation.history import Exchange, History, average_metrics, keep_result, read_result

FACTS = ["round", "phase", "client", "examples", "bytes_down", "bytes_up", "seconds", "error"]


def exchange(server_round, phase, client, examples=10, error=None, **metrics):
    bytes_up = 100 if phase == "train" and error is None else 0
    return Exchange(server_round, phase, client, examples, metrics, 200, bytes_up, 0.5, error)


@pytest.fixture
def history():
    exchanges = [
        exchange(1, "train", 0, 10, loss=1.0),
        exchange(1, "train", 1, 30, loss=2.0),
        exchange(1, "train", 2, None, error="ValueError: no"),
        exchange(1, "evaluate", 0, 1, loss=0.5, accuracy=0.2),
        exchange(1, "evaluate", 1, 3, loss=0.1, accuracy=0.6),
        exchange(2, "train", 1, 30, loss=1.5),
    ]
    return History(exchanges, {"server": {0: {"loss": 3.0}, 2: {"loss": 1.0}}}, None, 7.0)


def test_clients_has_one_row_per_message(history):
    table = history.clients
    assert list(table.columns) == [*FACTS, "loss", "accuracy"]
    assert len(table) == 6
    row = table.loc[1]
    assert list(row[FACTS[:-1]]) == [1, "train", 1, 30, 200, 100, 0.5]
    assert list(table["error"].isna()) == [True, True, False, True, True, True]
    assert list(table["accuracy"].isna()) == [True, True, True, False, False, True]


def test_rounds_has_one_row_per_round_and_weighs_by_examples(history):
    table = history.rounds
    assert table.index.name == "round" and list(table.index) == [0, 1, 2]
    assert list(table.columns) == [
        "clients",
        "failures",
        "bytes_down",
        "bytes_up",
        "seconds",
        "server_loss",
        "train_loss",
        "evaluate_accuracy",
        "evaluate_loss",
    ]
    assert history.server_metrics == {0: {"loss": 3.0}, 2: {"loss": 1.0}}
    assert list(table["clients"]) == [0, 3, 1]
    assert list(table["failures"]) == [0, 1, 0]
    assert list(table["bytes_down"]) == [0, 1000, 200]
    assert list(table["bytes_up"]) == [0, 200, 100]
    assert list(table["seconds"]) == [0, 2.5, 0.5]
    np.testing.assert_allclose(table["train_loss"], [np.nan, 1.75, 1.5])  # (10 x 1 + 30 x 2) / 40, not 1.5
    np.testing.assert_allclose(table["evaluate_accuracy"], [np.nan, 0.5, np.nan])
    np.testing.assert_allclose(table["evaluate_loss"], [np.nan, 0.2, np.nan])
    np.testing.assert_allclose(table["server_loss"], [3.0, np.nan, 1.0])


def test_rounds_prefers_what_the_strategy_made_of_the_metrics(history):
    aggregated = {"train": {1: {"loss": 9.0}}, "evaluate": {1: {"worst": 0.2}}}
    table = History(history.exchanges, aggregated).rounds
    np.testing.assert_allclose(table["train_loss"], [9.0, 1.5])
    np.testing.assert_allclose(table["evaluate_worst"], [0.2, np.nan])
    np.testing.assert_allclose(table["evaluate_loss"], [0.2, np.nan])


def test_totals_and_failures(history):
    assert (history.bytes_down, history.bytes_up) == (1200, 300)
    assert history.failures[["client", "error"]].to_dict("records") == [{"client": 2, "error": "ValueError: no"}]


def test_an_empty_history_has_empty_tables():
    history = History()
    assert list(history.clients.columns) == FACTS
    assert history.clients.empty and history.rounds.empty and history.failures.empty
    assert (history.bytes_down, history.bytes_up) == (0, 0)


def test_a_metric_called_like_a_column_does_not_replace_it():
    history = History([exchange(1, "evaluate", 4, error=None, seconds=9.0), exchange(1, "evaluate", 5)])
    history.exchanges[1].metrics["error"] = 0.3
    assert history.failures.empty
    assert list(history.clients["seconds"]) == [0.5, 0.5]
    assert history.clients.loc[0, "metric_seconds"] == 9.0
    assert history.clients.loc[1, "metric_error"] == 0.3


def test_average_takes_the_metrics_that_all_who_answered_share():
    entries = [
        exchange(1, "train", 0, 1, loss=1.0, extra=5.0),
        exchange(1, "train", 1, 3, loss=2.0),
        exchange(1, "train", 2, 50, error="ValueError: no", loss=100.0),
        exchange(1, "train", 3, 0, loss=100.0),
        exchange(1, "train", 4, None, loss=100.0),
    ]
    assert average_metrics(entries) == {"loss": 1.75}
    assert average_metrics(entries[2:]) == {}
    assert average_metrics([]) == {}


def new_context():
    return Context(run_id=1, node_id=1, node_config={}, state=RecordDict(), run_config={})


def test_what_is_kept_can_be_read():
    result = Result()
    result.arrays = ArrayRecord({"weights": Array(np.arange(3.0))})
    result.train_metrics_clientapp = {1: MetricRecord({"loss": 4.0})}
    result.evaluate_metrics_clientapp = {1: MetricRecord({"loss": 3.0}), 10: MetricRecord({"loss": 2.5})}
    result.evaluate_metrics_serverapp = {
        0: MetricRecord({"loss": 2.0}),
        5: MetricRecord({"loss": 1.0, "right": 3, "per-class": [0.1, 0.2]}),
        10: MetricRecord({"accuracy": 0.5}),
    }
    context = new_context()
    context.state["the server's own"] = MetricRecord({"loss": 7.0})
    keep_result(result, context)
    arrays, aggregated = read_result(context)
    assert np.array_equal(arrays["weights"].numpy(), [0.0, 1.0, 2.0])
    assert aggregated == {
        "train": {1: {"loss": 4.0}},
        "evaluate": {1: {"loss": 3.0}, 10: {"loss": 2.5}},
        "server": {0: {"loss": 2.0}, 5: {"loss": 1.0, "right": 3}, 10: {"accuracy": 0.5}},
    }


def test_without_a_model_there_are_no_arrays():
    arrays, aggregated = read_result(new_context())
    assert arrays is None and not any(aggregated.values())
    context = new_context()
    keep_result(Result(evaluate_metrics_serverapp={0: MetricRecord({"loss": 2.0})}), context)
    arrays, aggregated = read_result(context)
    assert arrays is None and aggregated["server"] == {0: {"loss": 2.0}}
