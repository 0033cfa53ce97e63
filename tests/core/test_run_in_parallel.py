"""Independent tasks in workers."""

import pytest

from fedlearn_helpers.experiments.parallel import run_in_parallel


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_tasks(workers):
    results = run_in_parallel(lambda n: {"square": n * n, "both": [n, -n]}, 5, seed=0, workers=workers, label=None)
    assert results == [{"square": n * n, "both": [n, -n]} for n in range(5)]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_exception_is_that_of_the_task(workers):
    def divide(n):
        return {"quotient": 1 / (n - 2)}

    with pytest.raises(ZeroDivisionError) as caught:
        run_in_parallel(divide, 4, seed=0, workers=workers, label=None)
    assert caught.traceback[-1].name == "divide"


def test_tasks_may_run_side_by_side_themselves():
    def inner(n):
        return {"n": n}

    def outer(n):
        return {"sum": sum(result["n"] for result in run_in_parallel(inner, n + 1, seed=1, workers=1, label=None))}

    assert run_in_parallel(outer, 4, seed=0, workers=2, label=None) == [{"sum": n * (n + 1) // 2} for n in range(4)]
