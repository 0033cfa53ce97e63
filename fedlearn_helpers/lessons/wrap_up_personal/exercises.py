"""The exercises of the third wrap-up: five on personal models, and two experiments that are wrong."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from flwr.app import Context, MetricRecord, RecordDict
from torch import nn

from fedlearn_helpers.lessons.common.exercise import Exercise, NotAttempted, NotYet, call, number


def _test_numbers_sent(answer: Any, *, model: nn.Module) -> str:
    value = number(answer)
    sizes = [parameter.numel() for parameter in model.parameters()]
    total, head = sum(sizes), sum(sizes[-2:])
    known = {
        total: "That is the whole model. With FedPer the last layer, weights and bias, stays at home.",
        head: "That is what stays at home. What is sent is the rest.",
        total - sizes[-2]: "The bias of the last layer stays at home, too.",
        4 * (total - head): "Those are the bytes. The question is how many numbers there are.",
        2 * (total - head): "That is there and back. The question is what a client sends.",
    }
    if value == total - head:
        return (
            f"{total - head:,} of {total:,}. FedPer saves {head / total:.1%} of the bytes, and that is not its point."
        )
    if value in known:
        raise NotYet(known[int(value)])
    raise NotYet(f"{value:g} is not it. Add up the parameters of all layers but the last.")


def paired(first: list[float], second: list[float]) -> tuple[float, float, int]:
    """Return the mean of the differences first - second, its standard error, and in how many seeds first is ahead."""
    differences = np.array(first) - np.array(second)
    error = differences.std(ddof=1) / np.sqrt(len(differences))
    return float(differences.mean()), float(error), int((differences > 0).sum())


def _test_paired(answer: Callable[..., Any]) -> str:
    first, second = [0.70, 0.80, 0.60, 0.90], [0.68, 0.77, 0.60, 0.87]  # differences 2, 3, 0 and 3 points
    differences = np.array([0.02, 0.03, 0.0, 0.03])
    error = differences.std(ddof=1) / 2
    result = call(answer, first, second)
    if not isinstance(result, tuple | list) or len(result) != 3:
        raise NotYet("The function must return three numbers: the mean difference, its standard error, and a count.")
    mean, said, ahead = (number(value) for value in result)
    if math.isclose(mean, -0.02, rel_tol=1e-6):
        raise NotYet("The sign is the wrong way round: first minus second.")
    if not math.isclose(mean, 0.02, rel_tol=1e-6):
        raise NotYet(f"The differences are 0.02, 0.03, 0 and 0.03, their mean is 0.02, and yours is {mean:g}.")
    known = [
        (differences.std(ddof=1), "That is the standard deviation. The standard error of a mean is smaller: by √n."),
        (differences.std() / 2, "Divide the squares by n - 1, not by n: std(ddof=1)."),
        (math.hypot(np.std(first, ddof=1), np.std(second, ddof=1)) / 2, "Take the differences first, seed by seed: "
         "what both have in common, an easy or a hard seed, goes away then."),
    ]  # fmt: skip
    for wrong, sentence in known:
        if math.isclose(said, wrong, rel_tol=1e-6):
            raise NotYet(sentence)
    if not math.isclose(said, error, rel_tol=1e-6):
        raise NotYet(f"The standard error of these four differences is {error:.4f}, and yours is {said:.4f}.")
    if ahead == 4:
        raise NotYet("In one seed both are equal. Nobody is ahead there.")
    if ahead != 3:
        raise NotYet(f"First is ahead in three of four seeds, and yours says {ahead:g}.")
    return (
        "A mean of 2 points with an error of 0.7. Singly the seeds scatter by 12 to 13 points, their differences by 1.4. "
        "By the rule of notebook 05 (the same sign with every seed, and for four seeds more than 3.2 errors) this is still "
        "not clear."
    )


def _test_better_alone(answer: Any, *, shops: pd.DataFrame) -> str:
    gap = shops["alone"] - shops["FedAvg"]
    value, right = number(answer), int((gap > 0).sum())
    if value == right:
        still = int((shops["alone"] > shops["Ditto"]).sum())
        near = int(((gap > 0) & ((gap * shops["validation"]).round() <= 1)).sum())
        return (
            f"{right} of {len(shops)} shops look better off alone, {near} of them by one image; with Ditto in FedAvg's "
            f"place it is {still}. And alone has chosen its epoch on these very images, while FedAvg stopped after its "
            "rounds: notebook 06 would first ask what FedAvg has after four times as many."
        )
    if value == len(shops) - right or value == int((shops["alone"] < shops["FedAvg"]).sum()):
        raise NotYet("Those are the shops for which the federation is better. The question is for whom it is not.")
    if value == int((shops["alone"] > shops["Ditto"]).sum()):
        raise NotYet("That is against Ditto. The question is against FedAvg, the model that all share.")
    if value == int((shops["alone"] >= shops["FedAvg"]).sum()):
        raise NotYet("Shops for which both are equal are not better off alone.")
    raise NotYet(f"{value:g} is not it. Count the rows of `shops` in which alone is above FedAvg.")


def adapted_accuracy(model: torch.nn.Module, train, measure) -> float:
    """Return the accuracy of a copy of the model that was trained; the model stays as it is."""
    import copy

    own = copy.deepcopy(model)
    train(own)
    return measure(own)


def _test_adapted_accuracy(answer: Callable[..., Any]) -> str:
    def train(model: nn.Linear) -> None:
        with torch.no_grad():
            model.weight.add_(1.0)

    def measure(model: nn.Linear) -> float:
        return float(model.weight.detach().sum()) / 10

    model = nn.Linear(1, 1)
    with torch.no_grad():
        model.weight.fill_(2.0)
    first = number(call(answer, model, train, measure))
    if not math.isclose(measure(model), 0.2, rel_tol=1e-6):
        raise NotYet(
            "The model that was handed over has changed. The next client would start from this one's: train a copy."
        )
    if math.isclose(first, 0.2, rel_tol=1e-6):
        raise NotYet("That is the accuracy before adapting. Measure what was trained.")
    if not math.isclose(first, 0.3, rel_tol=1e-6):
        raise NotYet(f"One training lifts this model from 0.2 to 0.3, and yours says {first:g}.")
    second = number(call(answer, model, train, measure))
    if not math.isclose(second, first, rel_tol=1e-6):
        raise NotYet(f"Called again it must give the same: {first:g} first, {second:g} then. Is a copy kept somewhere?")
    return "Fine-tuning is evaluated after adapting, and from the same model for every client."


def _test_best_lambda(answer: Any, *, validation: pd.DataFrame, images: pd.Series) -> str:
    if answer is ...:
        raise NotAttempted
    if not isinstance(answer, tuple | list) or len(answer) != 2 or ... in answer:
        raise NotYet(f"The answer must be two numbers, a λ and how many images are right, and it is {answer!r}.")
    value, count = (number(part) for part in answer)
    right = {column: round(float((validation[column] * images).sum())) for column in validation}
    known = [column for column in right if math.isclose(column, value)]
    if not known:
        raise NotYet(f"The λ must be one of {', '.join(f'{column:g}' for column in right)}, and it is {value:g}.")
    best, total = max(right.values()), int(images.sum())
    if right[known[0]] < best:
        raise NotYet(f"With λ = {value:g} {right[known[0]]} of {total} images are right, and with another {best}.")
    if math.isclose(count, best):
        listed = ", ".join(f"λ = {column:g}: {number_right}" for column, number_right in right.items())
        ahead = best - sorted(right.values())[-2]
        error = (best * (1 - best / total)) ** 0.5
        return (
            f"Of {total} images are right with {listed}. The best is ahead of the second by {ahead}; one standard error "
            f"of such a number is {error:.0f}. (The same images, so the difference is surer than that; but the best of "
            "several is also a little lucky.)"
        )
    if math.isclose(count, float(validation[known[0]].mean()) * total, abs_tol=0.51):
        raise NotYet(
            f"{count:g} is the plain mean of the shops' accuracies times {total}: as if every shop had equally many "
            "images. Multiply shop by shop."
        )
    if 0 <= count <= 1:
        raise NotYet("That is a share. The second number is how many images are right.")
    raise NotYet(f"The λ is right. {count:g} is not how many images are right with it.")


def reported(validation: np.ndarray, test: np.ndarray) -> float:
    """Let every client choose its model on validation images, and report the mean accuracy on test images."""
    chosen = np.argmax(validation, axis=1)
    return float(np.mean([row[model] for row, model in zip(test, chosen, strict=True)]))


def _test_reported(answer: Callable[..., Any]) -> str:
    """The property: of models that guess it reports guesses, of models of which one is better it finds that one."""
    rng = np.random.default_rng(0)

    def run(validation: np.ndarray, test: np.ndarray) -> float:
        return number(call(answer, validation.copy(), test.copy()))

    guesses = rng.binomial(40, 0.5, size=(2, 3000, 10)) / 40
    found = run(*guesses)
    if math.isclose(found, guesses[1].max(axis=1).mean(), rel_tol=1e-9):
        raise NotYet(f"Ten models that guess are reported as {found:.0%}: test images chose them, and judge them.")
    if math.isclose(found, guesses[0].max(axis=1).mean(), rel_tol=1e-9):
        raise NotYet(
            f"Ten models that guess are reported as {found:.0%}: validation images chose them, and judge them, too. "
            "Report what the chosen model has on the test images."
        )
    if abs(found - 0.5) > 0.01:
        raise NotYet(f"Models that guess between two classes must be reported near 50 %, and yours says {found:.1%}.")
    validation, test = np.array([[0.9, 0.6], [0.5, 0.8]]), np.array([[0.8, 0.4], [0.3, 0.7]])
    found = run(validation, test)
    if math.isclose(found, 0.55):
        raise NotYet(
            "Every client must get the model that is best for *it*: here clients 0 and 1 choose different ones."
        )
    if not math.isclose(found, 0.75):
        raise NotYet(f"Client 0 chooses model 0, client 1 model 1: (0.8 + 0.7) / 2 = 0.75, and yours says {found:g}.")
    return (
        "Experiment A let every client take the model that was best on the *test* images, and reported just that. What "
        "chooses may not judge. With personal models there are many choices, one a client, and many chances."
    )


def count_rounds(context):
    """Return how often this client has been asked to train, this time included; kept in its state."""
    rounds = 1
    if "seen" in context.state.metric_records:
        rounds += context.state.metric_records["seen"]["rounds"]
    context.state["seen"] = MetricRecord({"rounds": rounds})
    return rounds


def _test_count_rounds(answer: Callable[..., Any]) -> str:
    def client(number: int) -> Context:
        state = RecordDict({"head": MetricRecord({"bias": 7.0})})
        return Context(run_id=1, node_id=number, node_config={"partition-id": number}, state=state, run_config={})

    first, second = client(0), client(1)
    told = [number(call(answer, first)) for _ in range(3)]
    if told == [1, 1, 1]:
        raise NotYet(
            "Asked three times, a client says 1, 1, 1. What is written into a copy of the state is gone: write into "
            "context.state itself."
        )
    if told == [0, 1, 2]:
        raise NotYet("This time counts, too: the first answer is 1.")
    if told != [1, 2, 3]:
        raise NotYet(
            f"Asked three times, a client must say 1, 2, 3, and yours says {', '.join(f'{n:g}' for n in told)}."
        )
    if (other := number(call(answer, second))) != 1:
        raise NotYet(f"Another client is asked for the first time, and says {other:g}: every client has its own state.")
    if "head" not in first.state:
        raise NotYet("What else the client keeps, here its head, is gone from its state. Add a record to it.")
    return "A client's state is its context's: read it, write into it, and Flower keeps it for the next round."


numbers_sent = Exercise(
    name="numbers_sent",
    kind="predict",
    difficulty="easy",
    minutes=3,
    hints=(
        "p.numel() is how many numbers a parameter holds; model.parameters() gives them in order.",
        "The last two of them are the weights and the bias of the last layer.",
    ),
    solution_code="prediction = sum(p.numel() for p in list(model.parameters())[:-2])",
    test=_test_numbers_sent,
)

seed_by_seed = Exercise(
    name="seed_by_seed",
    kind="code",
    difficulty="medium",
    minutes=7,
    hints=(
        "Subtract seed by seed first, then take mean and standard deviation of the differences.",
        "The standard error is the standard deviation, with ddof=1, over the root of the number of seeds.",
    ),
    solution_code=paired,
    test=_test_paired,
)

better_alone = Exercise(
    name="better_alone",
    kind="explore",
    difficulty="easy",
    minutes=2,
    hints=(
        "Compare two columns of `shops`, and count.",
        'shops["alone"] > shops["FedAvg"] has True where a shop is better off alone.',
    ),
    solution_code='count = int((shops["alone"] > shops["FedAvg"]).sum())',
    test=_test_better_alone,
)

after_adapting = Exercise(
    name="after_adapting",
    kind="code",
    difficulty="easy",
    minutes=5,
    hints=(
        "Train a copy, so that the next client starts from the same model.",
        "import copy; copy.deepcopy(model) is a copy that can be trained.",
    ),
    solution_code=adapted_accuracy,
    test=_test_adapted_accuracy,
)

best_lambda = Exercise(
    name="best_lambda",
    kind="explore",
    difficulty="medium",
    minutes=5,
    hints=(
        "At a shop with an accuracy of 0.75 on 32 images 24 are right.",
        "(validation[value] * images).sum() for each column; which is largest?",
    ),
    solution_code="""
        right = {value: round((validation[value] * images).sum()) for value in validation}
        best = max(right, key=right.get)
        chosen = best, right[best]
    """,
    test=_test_best_lambda,
)

experiment_a = Exercise(
    name="experiment_a",
    kind="code",
    difficulty="medium",
    minutes=8,
    hints=(
        "Give one client two models: validation prefers the first, test the second. Which one is reported?",
        "np.argmax(validation, axis=1) is every client's choice; look it up in its row of test.",
    ),
    solution_code=reported,
    test=_test_reported,
)

experiment_b = Exercise(
    name="experiment_b",
    kind="code",
    difficulty="easy",
    minutes=5,
    hints=(
        "Print context.state at the end of count_visits: is the record in it?",
        "Which object did the record go into: the context's state itself, or another one?",
    ),
    solution_code=count_rounds,
    test=_test_count_rounds,
)
