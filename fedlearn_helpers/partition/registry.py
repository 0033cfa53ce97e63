"""All partition rules by name. A new rule is a file beside this one, and a line here."""

from dataclasses import dataclass

import numpy as np

from fedlearn_helpers.errors import InputError, check_one_of
from fedlearn_helpers.partition.checks import check_labels
from fedlearn_helpers.partition.dirichlet import RULE as DIRICHLET
from fedlearn_helpers.partition.iid import RULE as IID
from fedlearn_helpers.partition.pathological import RULE as PATHOLOGICAL
from fedlearn_helpers.partition.quantity import RULE as QUANTITY
from fedlearn_helpers.partition.rule import PartitionRule

PARTITIONS: dict[str, PartitionRule] = {rule.name: rule for rule in (IID, DIRICHLET, PATHOLOGICAL, QUANTITY)}
PATTERNS = ", ".join(rule.pattern for rule in PARTITIONS.values())
"""How partitions are written, for help texts and messages."""


@dataclass(frozen=True)
class Partition:
    """A partition rule with its number.

    Attributes:
        rule: a value of `PARTITIONS`.
        number: of the rule; 0 for one that takes none.
    """

    rule: PartitionRule
    number: float

    def make(self, labels: np.ndarray, num_clients: int, *, min_size: int = 10, seed: int) -> list[np.ndarray]:
        """Deal examples out to clients.

        Args:
            labels: (n,) integers, the class of each example.
            num_clients: number of parts, >= 1.
            min_size: examples that every client gets at least, where sizes are drawn.
            seed: decides who gets what.

        Returns:
            One sorted int64 array of indices per client.

        Raises:
            InputError: the partition cannot be made.
        """
        return self.rule.make(check_labels(labels), num_clients, self.number, min_size, seed)


def parse_partition(text: str) -> Partition:
    """Read a partition such as "iid", "dirichlet:0.1", "pathological:2" or "quantity:0.5".

    Raises:
        InputError: an unknown name, or a number that is missing, wrong or not wanted.
    """
    name = text.partition(":")[0] if isinstance(text, str) else ""
    if name not in PARTITIONS:
        raise InputError(f"partition must be one of {', '.join(PARTITIONS)}, got {text!r}")
    rule = PARTITIONS[name]
    return Partition(rule, rule.read_number(text))


def make_partition(
    name: str, labels: np.ndarray, num_clients: int, *, min_size: int = 10, seed: int, **numbers: float
) -> list[np.ndarray]:
    """Make a partition by the name of its rule.

    Args:
        name: a key of `PARTITIONS`.
        labels, num_clients, min_size, seed: as in `Partition.make`.
        numbers: by the rules' arguments, such as `alpha=0.5, classes_per_client=2`. The rule takes its own; if that is
            missing, its default.

    Raises:
        InputError: an unknown name, a number that no rule takes, or a partition that cannot be made.
    """
    check_one_of("partition", name, PARTITIONS)
    known = {rule.argument for rule in PARTITIONS.values()}
    if unknown := [argument for argument in numbers if argument not in known]:
        raise InputError(f"numbers must be among {', '.join(sorted(filter(None, known)))}, got {unknown[0]!r}")
    rule = PARTITIONS[name]
    number = rule.default if rule.argument is None else numbers.get(rule.argument, rule.default)
    return Partition(rule, number).make(labels, num_clients, min_size=min_size, seed=seed)
