"""The exercises of notebook 05."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg

from fedlearn_helpers.algorithms import STRATEGIES
from fedlearn_helpers.errors import one_line
from fedlearn_helpers.lessons.common.exercise import Exercise, NotAttempted, NotYet
from fedlearn_helpers.simulation.grid import server_identity
from fedlearn_helpers.simulation.output import quiet_flower


def _test_same_after_one_step(answer: Any) -> str:
    if isinstance(answer, str) or not hasattr(answer, "__iter__"):
        raise NotYet(f"The answer must be a set of names, such as {{'fedprox', 'scaffold'}}, and it is {answer!r}.")
    names = {str(name) for name in answer}
    if unknown := sorted(names - set(STRATEGIES)):
        raise NotYet(f"These are no names of strategies: {', '.join(unknown)}. Section 1 lists the names.")
    right = {"fedprox", "fednova", "scaffold", "fedavgm"}
    objections = {
        "feddyn": "FedDyn's server subtracts h / α, which is not zero any more when the first answers are in.",
        "qfedavg": "q-FedAvg weighs clients by their losses, and takes a shorter step, from the first round on.",
        "fedadam": "FedAdam divides the change by the root of v: every weight moves by about the same.",
        "fedyogi": "FedYogi divides the change by the root of v: every weight moves by about the same.",
        "fedadagrad": "FedAdagrad divides the change by the root of v: every weight moves by about the same.",
    }
    for name, objection in objections.items():
        if name in names:
            raise NotYet(objection)
    hints = {
        "fedprox": "What is the pull μ (w − w_t) before the first step, where w is still w_t?",
        "fednova": "If all clients take one step, what is left for FedNova to correct?",
        "scaffold": "What are the control variates in the first round?",
        "fedavgm": "What does the momentum remember before the first round?",
    }
    if missing := [name for name in hints if name not in names]:
        count = {1: "One more does", 2: "Two more do", 3: "Three more do", 4: "Four do"}[len(missing)]
        raise NotYet(f"{count} the same as FedAvg. {hints[missing[0]]}")
    assert names - {"fedavg"} == right
    return (
        "FedProx's pull is zero where the step begins; FedNova has equal steps to weigh; SCAFFOLD's control variates and "
        "FedAvgM's momentum start at zero. (SCAFFOLD's mean is uniform: with equal numbers of images that is FedAvg's.)"
    )


class ServerRateFedAvg(FedAvg):
    """FedAvg with a server learning rate: the global model goes that share of the way to the clients' mean."""

    def __init__(self, server_learning_rate: float, **options: Any) -> None:
        super().__init__(**options)
        self.server_learning_rate = server_learning_rate

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Keep what the clients are about to receive."""
        self.model = arrays
        return super().configure_train(server_round, arrays, config, grid)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Go that multiple of the way from the old model to the clients' mean."""
        mean, metrics = super().aggregate_train(server_round, replies)
        if mean is None:  # no client answered
            return None, metrics
        old, new = self.model.to_torch_state_dict(), mean.to_torch_state_dict()
        rate = self.server_learning_rate
        return ArrayRecord({name: old[name] + rate * (new[name] - old[name]) for name in old}), metrics


class _TwoClients:
    """A grid with nothing but two node ids: strategies ask for them when they configure a round."""

    def get_node_ids(self) -> list[int]:
        return [1, 2]


_START = np.array([1.0, 2.0])
_ANSWERS = (np.array([3.0, 2.0]), np.array([3.0, 6.0]))  # from clients with 30 and 10 examples: their mean is [3, 3]


def _test_server_rate(answer: Any) -> str:
    if not isinstance(answer, type) or not issubclass(answer, FedAvg):
        raise NotYet("The answer must be a class that inherits from FedAvg: class ServerRateFedAvg(FedAvg).")
    if answer.aggregate_train is FedAvg.aggregate_train:
        raise NotAttempted

    def one_round(rate: float, failing: bool = False) -> tuple[Any, Any]:
        options = {"min_train_nodes": 2, "min_available_nodes": 2}
        with server_identity(), quiet_flower():
            try:
                rules = answer(rate, **options)
                config = ConfigRecord()
                messages = list(
                    rules.configure_train(1, ArrayRecord({"w": Array(_START.copy())}), config, _TwoClients())
                )
                result = rules.aggregate_train(1, [_reply(message, k, failing) for k, message in enumerate(messages)])
            except Exception as error:
                if failing:
                    raise NotYet(
                        "When no client answers, the mean is None, and your code raised an error with it. Return None "
                        f"for the arrays then: Flower keeps the old model. The error: {one_line(error)}"
                    ) from None
                raise NotYet(f"A round raised {one_line(error)}") from None
        if result is ...:
            raise NotAttempted
        if not (isinstance(result, tuple) and len(result) == 2):
            given = (
                f"{len(result)} things" if isinstance(result, tuple) else f"one thing of type {type(result).__name__}"
            )
            raise NotYet(
                f"aggregate_train must return two things, arrays and metrics, and it returned {given}. The metrics are "
                "the second thing that super().aggregate_train returns: hand them on."
            )
        return result

    def reached(rate: float) -> np.ndarray:
        arrays, metrics = one_round(rate)
        if arrays is ...:
            raise NotAttempted
        if not isinstance(arrays, ArrayRecord):
            raise NotYet(f"The first thing returned must be an ArrayRecord, and it is a {type(arrays).__name__}.")
        if not isinstance(metrics, MetricRecord):
            raise NotYet(
                "The second thing returned must be the metrics that super().aggregate_train returned, and it is "
                f"{'None' if metrics is None else f'a {type(metrics).__name__}'}."
            )
        return arrays["w"].numpy()

    half, whole, none = reached(0.5), reached(1.0), reached(0.0)
    if np.allclose(half, [3, 3]):
        raise NotYet("With server_learning_rate = 0.5 the model is still the clients' mean: the rate has no effect.")
    if np.allclose(half, 0.5 * np.array([3.0, 3.0])):
        raise NotYet(
            "The mean itself is scaled. It is the *change* from the old model to the mean that is to be scaled."
        )
    if np.allclose(half, _START - 0.5 * (np.array([3.0, 3.0]) - _START)):
        raise NotYet("The model goes away from the clients' mean: the sign of the change is wrong.")
    if np.allclose(none, [3, 3]):
        raise NotYet("With rate 0 the old model must stay, and yours goes all the way: old and new are exchanged.")
    if not (np.allclose(whole, [3, 3]) and np.allclose(none, _START) and np.allclose(half, [2, 2.5])):
        raise NotYet(
            f"From [1, 2], with the clients' mean at [3, 3], rates 0, 0.5 and 1 must give [1, 2], [2, 2.5] and [3, 3]; "
            f"yours give {none.tolist()}, {half.tolist()} and {whole.tolist()}."
        )
    arrays, _ = one_round(0.5, failing=True)
    if arrays is not None:
        raise NotYet("When no client answers, return None for the arrays: Flower then keeps the old model.")
    return "It is FedAvgM without momentum. Give it to federate in place of a name and see what it does: run the next cell."


def _reply(message: Message, client: int, failing: bool) -> Message:
    if failing:
        return Message(Error(code=2, reason="no network"), reply_to=message)
    metrics = MetricRecord({"num-examples": (30, 10)[client % 2], "loss": 1.0})
    arrays = ArrayRecord({"w": Array(_ANSWERS[client % 2].copy())})
    return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)


def _test_fairest(answer: Any, *, table: pd.DataFrame, partition: str) -> str:
    here = table[table["partition"] == partition]
    by_seed = here.pivot(index="seed", columns="strategy", values="worst_client_accuracy")
    worst = by_seed.mean()
    name, ahead = answer if isinstance(answer, tuple | list) and len(answer) == 2 else (answer, ...)
    if not isinstance(name, str) or name not in worst.index:
        raise NotYet(
            f"The answer must be one of {', '.join(map(repr, worst.index))}, and whether it is ahead with every seed, such "
            f"as ('fedavg', False); and it is {answer!r}."
        )
    best = worst.max()
    if worst[name] < best - 1e-12:
        on_average = here.groupby("strategy")["mean_client_accuracy"].mean()
        single = here.loc[here["worst_client_accuracy"].idxmax(), "strategy"]
        why = ""
        if name == on_average.idxmax():
            why = " It has the best mean over clients; that is another question."
        elif name == single:
            why = " It had the best single run; average over the seeds."
        raise NotYet(
            f"The worst client of {name} has {worst[name]:.1%} on average over the seeds, and another strategy's has more."
            + why
        )
    if not isinstance(ahead, bool | np.bool_):
        raise NotYet(
            f"{name!r} is right. Is it ahead of FedAvg with every seed? Answer ({name!r}, True) or (…, False)."
        )
    gaps = 100 * (by_seed[name] - by_seed["fedavg"])
    shown = ", ".join(f"{gap:+.1f}" for gap in gaps)
    if bool(ahead) != bool((gaps > 0).all()):
        raise NotYet(
            "FedAvg cannot be ahead of itself."
            if name == "fedavg"
            else f"Compare seed by seed: less FedAvg's worst client, that of {name} has {shown} points."
        )
    return (
        f"{name}: {best:.1%} on average; against FedAvg {shown} points from seed to seed. The worst client has few "
        "validation images, so one image more or less moves it by points."
    )


same_after_one_step = Exercise(
    name="same_after_one_step",
    kind="predict",
    difficulty="medium",
    minutes=10,
    hints=(
        "Many corrections need something to correct: a distance from the received model, or memories of earlier rounds.",
        "Go through the rules of sections 3 to 5, one by one. Write down the first step of the first round: what is each "
        "memory then, how far is the client from the received model, and by what is its change divided?",
    ),
    solution_code='prediction = {"fedprox", "fednova", "scaffold", "fedavgm"}',
    test=_test_same_after_one_step,
)

own_strategy = Exercise(
    name="own_strategy",
    kind="code",
    difficulty="medium",
    minutes=15,
    hints=(
        "configure_train gets the model that the clients receive: keep it in self. super().aggregate_train returns the "
        "clients' mean, and the metrics.",
        "record.to_torch_state_dict() gives tensors by name; ArrayRecord(…) makes a record of them. The new model is "
        "old + rate · (mean − old), entry by entry. If the mean is None, no client has answered.",
    ),
    solution_code=ServerRateFedAvg,
    test=_test_server_rate,
)

fairest = Exercise(
    name="fairest",
    kind="explore",
    difficulty="easy",
    minutes=6,
    hints=(
        "tuned has a column worst_client_accuracy. Keep the rows of the partition, then make a table with a row per seed "
        "and a column per strategy: pivot does that.",
        "The mean of each column answers the first question. For the second, subtract FedAvg's column from the best one: "
        "are all differences above 0?",
    ),
    solution_code="""
        here = tuned[tuned["partition"] == skewed]
        by_seed = here.pivot(index="seed", columns="strategy", values="worst_client_accuracy")
        best = by_seed.mean().idxmax()
        answer = best, bool((by_seed[best] > by_seed["fedavg"]).all())
    """,
    test=_test_fairest,
)
