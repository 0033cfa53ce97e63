"""A joint logistic regression computes what pooled columns would give, step by step, and also as messages of Flower."""

import numpy as np
import pytest
from flwr.app import RecordDict

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.metrics import auc
from fedlearn_helpers.vertical.federation import federate_two_parties
from fedlearn_helpers.vertical.logistic import gradient, loss, pooled_weights, residuals, sigmoid, train
from fedlearn_helpers.vertical.matching import VALUE_BYTES
from fedlearn_helpers.vertical.party import Party

ROUNDS = 40


def table(rows=120, columns=(2, 3), seed=0):
    rng = np.random.default_rng(seed)
    parts = [rng.normal(size=(rows, count)) for count in columns]
    scores = sum(part @ rng.normal(size=part.shape[1]) for part in parts)
    return parts, (rng.random(rows) < sigmoid(scores)).astype(float)


def two_parties(rows=40, only_first=5, only_second=7, seed=0):
    (own, others), labels = table(rows + only_first + only_second, seed=seed)
    ids = [f"MRN {number:04d}" for number in range(len(labels))]
    order = np.random.default_rng(seed).permutation(np.arange(only_first, len(labels)))
    active = Party(ids[: rows + only_first], own[: rows + only_first], labels[: rows + only_first])
    return active, Party([ids[row].lower() for row in order], others[order])


@pytest.fixture(scope="module")
def run():
    active, passive = two_parties()
    found = federate_two_parties(active, passive, num_rounds=ROUNDS, learning_rate=0.5, teaching_seed=0)
    return active, passive, found


# The arithmetic --------------------------------------------------------------------------


def test_every_step_is_that_of_pooled_columns():
    parts, labels = table()
    joint = train(parts, labels, ROUNDS, 0.5)
    pooled = train([np.hstack(parts)], labels, ROUNDS, 0.5)
    for ours, (theirs,) in zip(joint, pooled, strict=True):
        assert np.abs(np.concatenate(ours) - theirs).max() < 1e-12
    other = train([parts[0], parts[1][::-1]], labels, 1, 0.5)[-1]  # rows that do not belong together
    assert np.abs(np.concatenate(other) - pooled[1][0]).max() > 0.01


def test_it_converges_to_the_weights_that_a_solver_finds_on_pooled_columns():
    from sklearn.linear_model import LogisticRegression

    parts, labels = table()
    weights = np.concatenate(train(parts, labels, 800, 2.0)[-1])
    columns = np.hstack(parts)
    assert np.abs(weights - pooled_weights(columns, labels)).max() < 1e-10
    library = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10, solver="newton-cholesky")
    assert np.abs(weights - library.fit(columns, labels).coef_[0]).max() < 1e-8
    assert np.abs(weights[:2] - pooled_weights(parts[0], labels)).max() > 0.05  # a party alone finds others


def test_the_gradient_is_the_slope_of_the_loss():
    (columns, _), labels = table()
    weights, small = np.array([0.3, -0.7]), 1e-6
    slopes = [
        (loss(columns @ (weights + step), labels) - loss(columns @ (weights - step), labels)) / (2 * small)
        for step in small * np.eye(2)
    ]
    assert np.allclose(gradient(columns, residuals(columns @ weights, labels)), slopes, atol=1e-8)


def test_extreme_scores_overflow_nowhere():
    with np.errstate(all="raise", under="ignore"):
        assert sigmoid(np.array([-1000.0, 0, 1000])).tolist() == [0, 0.5, 1]
        assert loss(np.array([-1000.0, 1000]), np.array([1, 0])) == 1000


def test_the_loss_falls_in_every_round_up_to_the_stated_rate_and_rises_far_above():
    parts, labels = table()
    columns = np.hstack(parts)
    largest = 8 / np.linalg.eigvalsh(columns.T @ columns / len(labels))[-1]
    below, above = (
        [loss(columns @ weights, labels) for (weights,) in train([columns], labels, 30, rate)]
        for rate in (0.99 * largest, 8 * largest)
    )
    assert all(np.diff(below) < 0)
    assert max(np.diff(above)) > 0


def test_protect_changes_what_others_get_and_not_what_the_first_party_uses():
    parts, labels = table()
    silent = train(parts, labels, 3, 0.5, lambda number, residual: 0 * residual)[-1]
    assert not silent[1].any()
    assert np.array_equal(silent[0], train(parts[:1], labels, 3, 0.5)[-1][0])


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"labels": np.full(120, 2)}, "^labels must be 0 or 1, got 2$"),
        ({"labels": np.zeros(3)}, r"^labels must have one entry per row \(120\), got the shape \(3,\)$"),
        ({"parties": [np.zeros((120, 1)), np.zeros((119, 1))]}, r"^parties must have the same rows, got \[119, 120\]"),
        ({"parties": []}, r"^parties must have the same rows, got \[\]"),
        ({"parties": [np.full((120, 1), np.nan)]}, "^columns of party 0 must be finite, got nan in them$"),
        ({"parties": [np.zeros(120)]}, r"^columns of party 0 must have the shape \(rows, columns\), got \(120,\)$"),
        ({"num_rounds": -1}, "^num_rounds must be a whole number >= 0, got -1$"),
        ({"learning_rate": 0.0}, "^learning_rate must be > 0, got 0.0$"),
        ({"learning_rate": np.inf}, "^learning_rate must be > 0, got inf$"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(changed, sentence):
    parts, labels = table()
    with pytest.raises(InputError, match=sentence):
        train(**{"parties": parts, "labels": labels, "num_rounds": 1, "learning_rate": 1.0} | changed)


def test_columns_without_weights_of_least_loss_are_refused():
    (columns, _), labels = table()
    for hopeless in (np.hstack([columns, columns]), labels[:, None] - 0.5):
        with pytest.raises(InputError, match="^columns must have weights of least loss, and these"):
            pooled_weights(hopeless, labels)


# As a federation -------------------------------------------------------------------------


@pytest.mark.slow
def test_both_parties_train_on_the_same_patients(run):
    active, passive, found = run
    names = [
        [party.ids[row].lower() for row in rows] for party, rows in zip((active, passive), found.rows, strict=True)
    ]
    assert names[0] == names[1]
    assert len(names[0]) == len(set(names[0])) == 40 and found.num_train == 30


def prepared(run):
    active, passive, found = run
    own, others = (
        party.prepared(rows, found.num_train) for party, rows in zip((active, passive), found.rows, strict=True)
    )
    return own, others, active.labels[found.rows[0]], found


def test_the_federation_computes_what_pooled_columns_give(run):
    own, others, labels, found = prepared(run)
    n, columns = found.num_train, np.hstack([own, others])
    path = train([columns[:n]], labels[:n], ROUNDS, 0.5)
    (pooled,) = path[-1]
    assert np.abs(np.concatenate(found.weights) - pooled).max() < 1e-12
    (tested,) = found.history.exchanges[-1:]
    assert tested.metrics["auc"] == auc(columns[n:] @ pooled, labels[n:] == 1)
    assert abs(tested.metrics["loss"] - loss(columns[n:] @ pooled, labels[n:])) < 1e-12
    losses = [entry.metrics["loss"] for entry in found.history.exchanges if entry.phase == "train.residual"]
    assert np.allclose(losses, [loss(columns[:n] @ weights, labels[:n]) for (weights,) in path[:-1]], atol=1e-12)


def test_what_the_server_carried_is_what_the_parties_computed(run):
    own, others, labels, found = prepared(run)
    n = found.num_train
    path = train([own[:n], others[:n]], labels[:n], ROUNDS, 0.5)[:-1]
    assert np.abs(found.scores - [others[:n] @ weights[1] for weights in path]).max() < 1e-12
    added = [own[:n] @ weights[0] + others[:n] @ weights[1] for weights in path]
    assert np.abs(found.residuals - [residuals(scores, labels[:n]) for scores in added]).max() < 1e-12


def test_prepared_columns_are_scaled_by_the_training_rows_alone():
    active, passive = two_parties()
    rows = np.arange(40)[::-1]
    scaled = passive.prepared(rows, 30)
    assert np.allclose(scaled[:30].mean(axis=0), 0) and np.allclose(scaled[:30].std(axis=0), 1)
    assert not np.allclose(scaled.mean(axis=0), 0)
    assert (active.prepared(rows, 30)[:, 0] == 1).all()
    constant = Party(["a", "b", "c"], np.ones((3, 1)))
    assert constant.prepared(np.arange(3), 2).tolist() == [[0]] * 3


def test_bytes_are_those_of_blinded_ids_and_one_number_per_patient(run):
    active, passive, found = run
    table = found.history.clients.set_index("phase")
    ids = len(active.ids) + len(passive.ids)
    assert table.loc[["query.blind", "query.again"], "bytes_up"].sum() == 2 * ids * VALUE_BYTES
    numbers = 8 * found.num_train
    for phase in ("train.score", "train.residual"):
        assert table.loc[phase, "bytes_up"].between(numbers, numbers + 150).all()
    assert len(table) == 6 + 2 * ROUNDS + 2
    assert table.loc["train.score", "client"].eq(1).all() and table.loc["train.residual", "client"].eq(0).all()


@pytest.mark.slow
def test_a_teaching_seed_repeats_a_run_and_another_orders_patients_anew(run):
    active, passive, found = run
    again, other = (
        federate_two_parties(active, passive, num_rounds=1, learning_rate=0.5, teaching_seed=seed) for seed in (0, 1)
    )
    assert np.array_equal(again.rows, found.rows) and not np.array_equal(other.rows, found.rows)
    assert set(other.rows[0]) == set(found.rows[0])


def test_protect_is_what_the_passive_party_steps_along_and_the_active_one_does_not():
    active, passive = two_parties(rows=12, only_first=0, only_second=0)

    def protect(number, residual):
        return np.full(len(residual), float(number)) + residual[::-1]

    found = federate_two_parties(active, passive, num_rounds=3, learning_rate=0.5, protect=protect, teaching_seed=0)
    own, others, labels, _ = prepared((active, passive, found))
    in_process = train([own[:9], others[:9]], labels[:9], 3, 0.5, protect)[-1]
    for ours, theirs in zip(found.weights, in_process, strict=True):
        assert np.abs(ours - theirs).max() < 1e-12
    assert np.abs(found.residuals.mean(axis=1) - [1, 2, 3]).max() < 0.5


def test_no_secret_of_the_matching_stays_in_a_state(monkeypatch):
    import fedlearn_helpers.vertical.federation as module

    states = {}
    simulate = module.simulate

    def watched(*arguments, **named):
        history = simulate(*arguments, **named)
        states.update({party: module.unpack(state) for party, state in named["states"].items()})
        return history

    monkeypatch.setattr(module, "simulate", watched)
    active, passive = two_parties(rows=12, only_first=0, only_second=0)
    federate_two_parties(active, passive, num_rounds=1, learning_rate=0.5, teaching_seed=0)
    assert all(isinstance(state, RecordDict) and list(state) == ["model"] for state in states.values())
    assert set(states) == {0, 1}


def test_parties_that_do_not_fit_are_refused():
    active, passive = two_parties(rows=12, only_first=0, only_second=0)
    one_kind = Party(active.ids, active.columns, np.ones(12))
    for arguments, changed, sentence in (
        ((passive, passive), {}, "^active must be a Party with labels$"),
        ((active, active), {}, "^passive must be a Party without labels$"),
        ((active, passive), {"num_rounds": 0}, "^num_rounds must be a whole number >= 1, got 0$"),
        ((active, passive), {"test_share": 1.0}, "^test_share must be > 0 and < 1, got 1.0$"),
        ((active, passive), {"teaching_seed": -1}, "^teaching_seed must be >= 0, got -1$"),
        ((one_kind, passive), {}, "^labels must be 0 and 1 among the shared patients for training, got 1 alone"),
        ((active, Party(["x"], np.zeros((1, 1)))), {}, "^at least 2 shared patients must be for training"),
    ):
        with pytest.raises(InputError, match=sentence):
            federate_two_parties(*arguments, **{"num_rounds": 1, "learning_rate": 1.0} | changed)
    with pytest.raises(InputError, match=r"^ids must have one entry per row \(2\), got 1$"):
        Party(["x"], np.zeros((2, 1)))
    with pytest.raises(InputError, match="^ids must have each patient once"):
        Party(["x", "X"], np.zeros((2, 1)))
