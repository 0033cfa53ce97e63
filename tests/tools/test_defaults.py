"""Values of parameters in notebooks' cells, read without running them."""

import time

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from quick import KERNEL

from fedlearn_helpers.errors import InputError
from workbook_tools.execution.defaults import value_of
from workbook_tools.execution.notebooks import default_parameters, parameter_names


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("8", 8),
        ("2 * 4", 8),
        ("2 ** 10", 1024),
        ("10 ** -3", 0.001),
        ("(1 + 2) * 3 - 4", 5),
        ("-(2 + 3)", -5),
        ("7 // 2", 3),
        ("7 % 4", 3),
        ("1 / 4", 0.25),
        ("1e-3", 0.001),
        ("-0.5", -0.5),
        ('"fashion"', "fashion"),
        ("None", None),
        ("True", True),
        ("[1, 2]", [1, 2]),
        ("1_000", 1000),
        ('"a" "b"', "ab"),
    ],
)
def test_literals_and_arithmetic_have_a_value(code, value):
    found = value_of("rounds", code)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    "code",
    [
        "time.time()",
        "num_rounds * 2",
        "os.environ['X']",
        "1 / 0",
        "10 ** 10 ** 10",
        "2 ** 1000",
        "'x' * 1_000_000_000",
        "[1] * 3",
        "True + 1",
        "1 @ 2",
        "not 1",
        "3 if True else 4",
        "",
        "(",
        "__import__('os')",
        "(-8) ** 0.5 * 2",
        "2.0 ** 64 ** 64",
        "f'{1}'",
    ],
)
def test_other_code_is_one_sentence_and_is_not_run(code):
    begun = time.perf_counter()
    with pytest.raises(InputError) as caught:
        value_of("rounds", code)
    expected = "the default of rounds must be a value, or arithmetic with numbers such as 2 * 4, got "
    assert str(caught.value) == expected + code
    assert time.perf_counter() - begun < 1


def test_the_names_are_known_where_a_value_is_not(tmp_path):
    cell = new_code_cell(
        "rounds: int = 2 * 4  # at least 1\nrate: float = f(1)  # above 0", metadata={"tags": ["parameters"]}
    )
    nbformat.write(new_notebook(cells=[cell], metadata=KERNEL), tmp_path / "one.ipynb")
    assert parameter_names(tmp_path / "one.ipynb") == ["rounds", "rate"]
    with pytest.raises(InputError, match=r"the default of rate must be a value, .* got f\(1\)$"):
        default_parameters(tmp_path / "one.ipynb")
