"""The exercises of notebook 00."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fedlearn_helpers.lessons.common.exercise import Exercise, NotYet, call, choice, number

_MOST_STEPS = 50
_AS_GOOD = 1.002  # times the lowest error: a difference that nobody would notice


def server_average(returned: Sequence[Any], examples: Sequence[int]) -> Any:
    """Average the clients' weights, each client weighted by its number of examples."""
    return np.average(returned, axis=0, weights=examples)


_SERVER_AVERAGE = """
def server_average(returned, examples):
    return np.average(returned, axis=0, weights=examples)
"""


def _test_server_average(answer: Callable[..., Any]) -> str:
    def run(returned: Sequence[Any], examples: Sequence[int]) -> np.ndarray:
        return np.asarray(call(answer, [np.array(weights) for weights in returned], list(examples)), dtype=float)

    def check(returned: Sequence[Any], examples: Sequence[int], average: Sequence[Any], objection: str) -> None:
        result, expected = run(returned, examples), np.array(average)
        if result.shape != expected.shape:
            raise NotYet(
                f"For weights of shape {expected.shape} the average must have that shape, yours has {result.shape}: "
                "average over the clients, not over the weights."
            )
        if not np.allclose(result, expected):
            raise NotYet(
                f"{objection} For weights {list(returned)} and examples {list(examples)} it returned {result}."
            )

    check([[2.0, 4.0]], [7], [2.0, 4.0], "The average of a single client is that client's weights.")
    check([[2.0, 4.0], [6.0, 0.0]], [5, 5], [4.0, 2.0], "Clients with as many examples count the same: half and half.")
    two = [[2.0, 4.0], [6.0, 0.0]]
    result = run(two, [30, 10])
    if np.allclose(result, np.mean(two, axis=0)):
        raise NotYet("That is the plain mean. A client with 30 examples must count three times as much as one with 10.")
    if np.allclose(result, [5.0, 1.0]):
        raise NotYet("The client with fewer examples counts more: are the weights the wrong way round?")
    check(two, [30, 10], [3.0, 3.0], "Weigh each client by its share of all examples.")
    check(
        two, [300, 100], [3.0, 3.0], "Only shares matter: ten times the examples at every client must change nothing."
    )
    check(
        [[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]],
        [1, 3],
        [[4.0, 5.0], [6.0, 7.0]],
        "Weights may be a matrix; the average must be [[4, 5], [6, 7]]. Do you use @ on the stacked arrays? It sums "
        "over the last axis but one, which is the clients only while each client's weights are a single row.",
    )
    check([[0.0], [1.0], [2.0]], [1, 1, 2], [1.25], "There may be more than two clients.")
    return "This is the server's whole step of federated averaging. Notebook 02 does it with the tensors of a network."


def _test_two_records(answer: Any) -> str:
    choice(
        answer,
        {
            "A": "Only if the gradient came from one record. Here it is the mean over two: which of them should the "
            "division give?",
            "B": None,
            "C": "It would, if both errors had the same sign. The error of output 0 is the probability of 'healthy', "
            "minus 1 where that is the label. Which sign has it for the one patient, and which for the other?",
        },
    )
    return (
        "Both gradients are means over the two records, so the quotient is a mixture of the records, weighted by their "
        "errors. With labels 1 and 0 the errors have opposite signs: one record counts negatively, and the mixture "
        "lies outside of the two. With equal labels it lies between them. Run the next cell."
    )


def _test_best_steps(answer: Any, *, error_after: Callable[[int], float]) -> str:
    steps = number(answer)
    if steps != int(steps) or not 1 <= steps <= _MOST_STEPS:
        raise NotYet(f"best_steps must be a whole number from 1 to {_MOST_STEPS}, and it is {steps:g}.")
    errors = {count: error_after(count) for count in range(1, _MOST_STEPS + 1)}
    best = min(errors, key=errors.__getitem__)
    mine = errors[int(steps)]
    if mine > errors[best] * _AS_GOOD:
        where = (
            "With so few steps the line is still on its way when the rounds are over."
            if steps < best
            else "With so many steps the clients drift apart."
        )
        raise NotYet(
            f"{where} With {steps:g} step{'' if steps == 1 else 's'} the error is {mine:.4f}, and a better number gives {errors[best]:.4f}."
        )
    as_good = [count for count, error in errors.items() if error <= errors[best] * _AS_GOOD]
    others = f" As good: {', '.join(map(str, as_good))}." if len(as_good) > 1 else ""
    return (
        f"The error is {mine:.4f}; 1 step gives {errors[1]:.4f}, {_MOST_STEPS} give {errors[_MOST_STEPS]:.4f}.{others} "
        "With few rounds one needs many steps to get there; with many rounds few steps drift less. Run the next cell."
    )


two_records = Exercise(
    name="two_records",
    kind="predict",
    difficulty="easy",
    minutes=3,
    hints=(
        "The loss of a batch is the mean of its records' losses. So its gradient is the mean of their gradients.",
        "Write the row of the weight gradient as (a·x + b·y) / 2 and the entry of the bias gradient as (a + b) / 2, "
        "with the errors a and b of the two records x and y. Now divide: what do the signs of a and b decide?",
    ),
    solution_code='prediction = "B"',
    test=_test_two_records,
)

average = Exercise(
    name="average",
    kind="code",
    difficulty="easy",
    minutes=4,
    hints=(
        "A client's share is its number of examples, divided by the number of all examples.",
        "np.average has a parameter axis, over which it averages, and a parameter weights.",
    ),
    solution_code=_SERVER_AVERAGE,
    test=_test_server_average,
)

best_local_steps = Exercise(
    name="best_local_steps",
    kind="explore",
    difficulty="easy",
    minutes=3,
    hints=(
        "Call error_after with 1, 5 and 50. Which way does the error go between them?",
        "Compare 1, 2, 4, 8 and 16. Where among them is the lowest?",
    ),
    solution_code="best_steps = min(range(1, 51), key=error_after)",
    test=_test_best_steps,
)
