"""How many attackers a defence assumes, and how many clients it then needs."""

from dataclasses import dataclass

from fedlearn_helpers.errors import InputError, check_whole_number


@dataclass(frozen=True)
class AssumesAttackers:
    """What defences have in common that assume a number of attackers.

    Attributes:
        num_attackers: f, >= 0.

    Raises:
        InputError: an attribute out of range.
    """

    num_attackers: int

    def __post_init__(self) -> None:
        check_whole_number("num_attackers", self.num_attackers, 0)


def check_enough(defence: str, n: int, f: int, least: int, condition: str) -> None:
    """Raise an InputError if fewer clients than the least have sent a model in a round.

    Args:
        defence: its name.
        n: models in this round.
        f: attackers that the defence assumes.
        least: models that it needs.
        condition: the same in symbols, such as "n > 2f".
    """
    if n < least:
        raise InputError(
            f"{defence} needs {condition}: at least {least} models in a round for num_attackers f = {f}, got n = {n}"
        )
