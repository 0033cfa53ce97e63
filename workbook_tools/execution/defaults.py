"""What the value of a parameter in a notebook's cell is, without running the cell."""

import ast
import operator
from collections.abc import Callable
from typing import Any

from fedlearn_helpers.errors import InputError

_LARGEST_POWER = 64  # 10**10**10 would never end
_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}


def value_of(name: str, code: str) -> Any:
    """Return the value of code that is a literal, or arithmetic with numbers, such as `2 * 4`.

    Args:
        name: of the parameter, for the error.
        code: what stands to the right of its `=`.

    Raises:
        InputError: it is something else.
    """
    try:
        return _value(ast.parse(code, mode="eval").body)
    except (SyntaxError, ValueError, TypeError, ArithmeticError, LookupError, RecursionError):
        raise InputError(
            f"the default of {name} must be a value, or arithmetic with numbers such as 2 * 4, got {code}"
        ) from None


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.BinOp):
        left, right = _number(node.left), _number(node.right)
        if isinstance(node.op, ast.Pow) and abs(right) > _LARGEST_POWER:
            raise ValueError("a power that may not be computed")
        return _OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_number(node.operand)
    return ast.literal_eval(node)


def _number(node: ast.expr) -> int | float:
    value = _value(node)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("arithmetic with something else than numbers")
    return value
