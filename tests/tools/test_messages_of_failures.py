"""What is said of a notebook that failed: one line that says something."""

import pytest

from fedlearn_helpers.errors import one_line
from workbook_tools.execution import notebooks


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("ValueError", "alpha must be > 0", "ValueError: alpha must be > 0"),
        ("ValueError", "first\nsecond", "ValueError: first"),
        ("ValueError", "\n$\n^\nParseException: Expected end of text", "ValueError: $"),
        ("ValueError", " \n\t\r\n  indented", "ValueError: indented"),
        ("ZeroDivisionError", "", "ZeroDivisionError without a message"),
        ("KeyboardInterrupt", "\n \n", "KeyboardInterrupt without a message"),
    ],
)
def test_a_problem_is_the_first_line_that_says_something(name, value, line):
    assert notebooks._problem(name, value) == line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("\n one\ntwo "), "ValueError: one two"),
        (ZeroDivisionError(), "ZeroDivisionError without a message"),
        (KeyError("x"), "KeyError: 'x'"),
    ],
)
def test_an_error_in_another_message_has_no_line_breaks_and_is_never_empty(error, line):
    assert one_line(error) == line
