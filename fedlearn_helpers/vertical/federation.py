"""Two parties and a server between them, as a Flower federation: matching first, then training.

    matching, three messages to each party:   blind; blind the other's again; learn what is shared
    a round, one message to each party:       passive: r of the round before in, z_p = X_p w_p out
                                              active:  z_p in, r out
    at the end, one message to each party:    the same for the test rows; the active party reports AUC and loss

Client 0 is the active party, which has the labels; client 1 the passive one. Both are Flower clients, and what one
says to the other goes through the server. So the server sees blinded ids, z_p and r: as much of the labels as the
passive party (see `leakage`). In a deployment the parties would encrypt what the server only carries. Columns, weights,
secrets of the matching and the order of rows stay in each party's own state.

Both take the first rows in the order of the matching for training and the others for testing. That order is by doubly
raised values, so it is as good as random.
"""

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from fedlearn_helpers.errors import InputError, check_number, check_whole_number
from fedlearn_helpers.metrics import auc
from fedlearn_helpers.privacy.secure_aggregation.draws import system_bytes, teaching_bytes
from fedlearn_helpers.seeds import check_seed
from fedlearn_helpers.simulation import History, simulate
from fedlearn_helpers.simulation.packing import PackedRecords, unpack
from fedlearn_helpers.simulation.position import client_of
from fedlearn_helpers.simulation.replies import NUM_EXAMPLES
from fedlearn_helpers.vertical import matching
from fedlearn_helpers.vertical.logistic import Protect, check_learning_rate, gradient, loss, residuals
from fedlearn_helpers.vertical.party import Party

ACTIVE, PASSIVE = 0, 1  # the clients' numbers
_VALUES, _VECTOR = "values", "vector"  # records in messages: a ConfigRecord with bytes, an ArrayRecord
_SECRETS, _MODEL = "secrets", "model"  # records in a party's state, until the matching is done and from then on


@dataclass(frozen=True)
class VerticalRun:
    """A federation of two parties that has ended.

    Attributes:
        history: of the messages; phase "train.residual" has the training loss, "evaluate.residual" AUC and loss.
        rows: of the active and of the passive party, (n,) each: entry i of both is the same patient in its own table.
        num_train: so many of them were trained on, from the first.
        weights: (d_p,) of each party; that of the ones is the active party's first. Nobody has both in a real run.
        scores: (rounds, num_train) what the passive party sent, as the server carried it.
        residuals: (rounds, num_train) what the active party sent back, as the server carried it.
    """

    history: History
    rows: tuple[np.ndarray, np.ndarray]
    num_train: int
    weights: tuple[np.ndarray, np.ndarray]
    scores: np.ndarray
    residuals: np.ndarray


def federate_two_parties(
    active: Party,
    passive: Party,
    *,
    num_rounds: int,
    learning_rate: float,
    test_share: float = 0.25,
    protect: Protect | None = None,
    teaching_seed: int | None = None,
) -> VerticalRun:
    """Match the patients of two parties, train a joint logistic regression, and return what has come of it.

    Args:
        active: has the labels.
        passive: has none.
        num_rounds: >= 1.
        learning_rate: as in `train`.
        test_share: of the shared patients, in (0, 1); the others are trained on.
        protect: what the active party does to residuals before it sends them.
        teaching_seed: None takes the secrets of the matching from the operating system: the order of rows, and which
            of them are for testing, then differ from run to run. A seed makes them the same, and **not secret**.

    Raises:
        InputError: an argument out of range, or fewer than 2 shared patients, or one label alone, for training or for
            testing.
    """
    for name, party, has_labels in (("active", active, True), ("passive", passive, False)):
        if not isinstance(party, Party) or (party.labels is not None) != has_labels:
            raise InputError(f"{name} must be a Party with{'' if has_labels else 'out'} labels")
    check_whole_number("num_rounds", num_rounds, 1)
    check_learning_rate(learning_rate)
    check_number("test_share", test_share, "> 0 and < 1", lambda share: 0 < share < 1)
    if teaching_seed is not None:
        check_seed(teaching_seed, "teaching_seed")
    carried: dict[str, list[np.ndarray]] = {"score": [], "residual": []}
    states: MutableMapping[int, PackedRecords] = {}
    history = simulate(
        _server_app(num_rounds, carried),
        _client_app((active, passive), learning_rate, test_share, protect, teaching_seed),
        num_clients=2,
        seed=0,  # nothing is drawn from it
        run_config={"num-server-rounds": num_rounds},
        states=states,
        label=None,  # the line counts plain trainings of models, and there are none
    )
    kept = [_kept(unpack(states[party])) for party in (ACTIVE, PASSIVE)]
    return VerticalRun(
        history,
        (kept[ACTIVE][0], kept[PASSIVE][0]),
        len(carried["score"][0]),
        (kept[ACTIVE][1], kept[PASSIVE][1]),
        np.array(carried["score"]),
        np.array(carried["residual"]),
    )


# The server's half -----------------------------------------------------------------------


def _server_app(num_rounds: int, carried: dict[str, list[np.ndarray]]) -> ServerApp:
    """Return the app that carries messages between the parties; what it carries in training is added to `carried`."""
    server_app = ServerApp()

    @server_app.main()
    def main(grid: Grid, context: Context) -> None:
        nodes = list(grid.get_node_ids())

        def ask(kind: str, contents: dict[int, RecordDict], number: int = 0) -> dict[int, RecordDict]:
            sent = [
                grid.create_message(content, kind, nodes[party], group_id=str(number))
                for party, content in contents.items()
            ]
            return {nodes.index(reply.metadata.src_node_id): reply.content for reply in grid.send_and_receive(sent)}

        blinded = ask("query.blind", {ACTIVE: RecordDict(), PASSIVE: RecordDict()})
        twice = ask("query.again", {ACTIVE: blinded[PASSIVE], PASSIVE: blinded[ACTIVE]})
        ask("query.match", {ACTIVE: twice[PASSIVE], PASSIVE: twice[ACTIVE]})

        last = RecordDict()  # residuals of the round before
        for number in range(1, num_rounds + 1):
            score = ask("train.score", {PASSIVE: last}, number)[PASSIVE]
            last = ask("train.residual", {ACTIVE: score}, number)[ACTIVE]
            carried["score"].append(_vector_in(score))
            carried["residual"].append(_vector_in(last))
            last = RecordDict({_VECTOR: last[_VECTOR]})  # without the metrics, which are for the server
        score = ask("evaluate.score", {PASSIVE: last}, num_rounds)[PASSIVE]
        ask("evaluate.residual", {ACTIVE: score}, num_rounds)

    return server_app


# The parties' half -----------------------------------------------------------------------


def _client_app(
    parties: tuple[Party, Party],
    learning_rate: float,
    test_share: float,
    protect: Protect | None,
    teaching_seed: int | None,
) -> ClientApp:
    """Return the parties' app: a client uses the table of its own number alone."""
    client_app = ClientApp()

    @client_app.query("blind")
    def blind(message: Message, context: Context) -> Message:
        own = client_of(context)
        random = system_bytes if teaching_seed is None else teaching_bytes(teaching_seed, "matching", own)
        exponent = matching.new_exponent(random)
        blinded = matching.blind(parties[own].ids, exponent)
        context.state[_SECRETS] = ConfigRecord(
            {"exponent": matching.to_bytes([exponent]), "own": matching.to_bytes(blinded), "ids": [*blinded.values()]}
        )
        return _reply(message, _values(matching.to_bytes(blinded)))

    @client_app.query("again")
    def blind_again(message: Message, context: Context) -> Message:
        secrets: Any = context.state[_SECRETS]
        (exponent,) = matching.from_bytes(secrets["exponent"])
        twice = matching.to_bytes(matching.blind_again(_values_in(message), exponent))
        secrets["theirs twice"] = twice
        return _reply(message, _values(twice))

    @client_app.query("match")
    def match(message: Message, context: Context) -> Message:
        party, secrets = parties[client_of(context)], _taken(context, _SECRETS)
        blinded = dict(zip(matching.from_bytes(secrets["own"]), secrets["ids"], strict=True))
        theirs_twice = matching.from_bytes(secrets["theirs twice"])
        rows = party.rows_of(matching.shared(blinded, _values_in(message), theirs_twice))
        num_train = _num_train(len(rows), test_share)
        if party.labels is not None:
            _check_both_labels(np.asarray(party.labels)[rows], num_train)
        _keep(context, rows, np.zeros(party.prepared(rows, num_train).shape[1]))
        return _reply(message, RecordDict())

    def own_rows(context: Context) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
        """Return a party's rows, their prepared columns, its weights, and how many rows are for training."""
        rows, weights = _kept(context.state)
        num_train = _num_train(len(rows), test_share)
        return rows, parties[client_of(context)].prepared(rows, num_train), weights, num_train

    def step(context: Context, residual: np.ndarray) -> np.ndarray:
        """Let a party take its step, and return its new weights."""
        rows, columns, weights, num_train = own_rows(context)
        weights = weights - learning_rate * gradient(columns[:num_train], residual)
        _keep(context, rows, weights)
        return weights

    @client_app.train("score")
    def training_score(message: Message, context: Context) -> Message:
        if _VECTOR in message.content:  # there are none in the first round
            step(context, _vector_in(message.content))
        _, columns, weights, num_train = own_rows(context)
        return _reply(message, _vector(columns[:num_train] @ weights))

    @client_app.train("residual")
    def training_residual(message: Message, context: Context) -> Message:
        rows, columns, weights, num_train = own_rows(context)
        labels = np.asarray(parties[ACTIVE].labels, dtype=np.float64)[rows[:num_train]]
        scores = columns[:num_train] @ weights + _vector_in(message.content)
        exact = residuals(scores, labels)
        step(context, exact)
        sent = exact if protect is None else protect(int(message.metadata.group_id), exact)
        content = _vector(sent)
        content["metrics"] = MetricRecord({NUM_EXAMPLES: num_train, "loss": loss(scores, labels)})
        return _reply(message, content)

    @client_app.evaluate("score")
    def test_score(message: Message, context: Context) -> Message:
        step(context, _vector_in(message.content))
        _, columns, weights, num_train = own_rows(context)
        return _reply(message, _vector(columns[num_train:] @ weights))

    @client_app.evaluate("residual")
    def test_metrics(message: Message, context: Context) -> Message:
        rows, columns, weights, num_train = own_rows(context)
        labels = np.asarray(parties[ACTIVE].labels, dtype=np.float64)[rows[num_train:]]
        scores = columns[num_train:] @ weights + _vector_in(message.content)
        found = MetricRecord({NUM_EXAMPLES: len(scores), "loss": loss(scores, labels), "auc": auc(scores, labels == 1)})
        return _reply(message, RecordDict({"metrics": found}))

    return client_app


def _num_train(shared: int, test_share: float) -> int:
    """Return how many of the shared patients are for training; both parties know it without a message."""
    num_test = round(test_share * shared)
    if min(num_test, shared - num_test) < 2:
        raise InputError(
            f"at least 2 shared patients must be for training and 2 for testing, got {shared - num_test} and {num_test}"
        )
    return shared - num_test


def _check_both_labels(labels: np.ndarray, num_train: int) -> None:
    """Raise an InputError unless both labels are among the shared patients for training, and for testing."""
    for use, some in (("training", labels[:num_train]), ("testing", labels[num_train:])):
        if len(set(some.tolist())) < 2:
            raise InputError(f"labels must be 0 and 1 among the shared patients for {use}, got {some[0]:g} alone")


# Records ---------------------------------------------------------------------------------


def _keep(context: Context, rows: np.ndarray, weights: np.ndarray) -> None:
    context.state[_MODEL] = ArrayRecord({"rows": Array(rows), "weights": Array(weights)})


def _kept(state: RecordDict) -> tuple[np.ndarray, np.ndarray]:
    record: Any = state[_MODEL]
    return record["rows"].numpy(), record["weights"].numpy()


def _taken(context: Context, name: str) -> Any:
    record = context.state[name]
    del context.state[name]
    return record


def _values(data: bytes) -> RecordDict:
    return RecordDict({_VALUES: ConfigRecord({_VALUES: data})})


def _values_in(message: Message) -> list[int]:
    record: Any = message.content[_VALUES]
    return matching.from_bytes(record[_VALUES])


def _vector(numbers: np.ndarray) -> RecordDict:
    return RecordDict({_VECTOR: ArrayRecord({_VECTOR: Array(numbers)})})


def _vector_in(content: RecordDict) -> np.ndarray:
    record: Any = content[_VECTOR]
    return record[_VECTOR].numpy()


def _reply(message: Message, content: RecordDict) -> Message:
    return Message(content, reply_to=message)
