"""Independent tasks in workers."""

import pytest

from fedlearn_helpers.experiments.parallel import side_by_side


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_tasks(workers):
    results = side_by_side(lambda n: {"square": n * n, "both": [n, -n]}, 5, seed=0, workers=workers, label=None)
    assert results == [{"square": n * n, "both": [n, -n]} for n in range(5)]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_exception_is_that_of_the_task(workers):
    def divide(n):
        return {"quotient": 1 / (n - 2)}

    with pytest.raises(ZeroDivisionError) as caught:
        side_by_side(divide, 4, seed=0, workers=workers, label=None)
    assert caught.traceback[-1].name == "divide"


def test_tasks_may_run_side_by_side_themselves():
    def inner(n):
        return {"n": n}

    def outer(n):
        return {"sum": sum(result["n"] for result in side_by_side(inner, n + 1, seed=1, workers=1, label=None))}

    assert side_by_side(outer, 4, seed=0, workers=2, label=None) == [{"sum": n * (n + 1) // 2} for n in range(4)]
