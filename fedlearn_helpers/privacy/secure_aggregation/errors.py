"""Why a secure sum cannot be had."""

from fedlearn_helpers.errors import InputError


class TooFewMembers(InputError):
    """Fewer members answered than are needed, so nothing is unmasked.

    Attributes:
        answered: how many did.
        needed: the threshold.
    """

    def __init__(self, message: str, answered: int = 0, needed: int = 0) -> None:
        super().__init__(message)
        self.answered, self.needed = answered, needed


class TamperedShare(InputError):
    """A share that has been changed on its way, or that does not fit to the others."""


def check_enough(stage: str, answered: int, needed: int) -> None:
    """Check that enough members have answered.

    Raises:
        TooFewMembers: they have not.
    """
    if answered < needed:
        raise TooFewMembers(
            f"{needed} members are needed to {stage}, and {answered} answered, so nothing is unmasked", answered, needed
        )


def check_threshold(threshold: int, num_members: int) -> None:
    """Check a threshold against the number of members.

    It must be more than half of them: otherwise there are two groups of that size without a common member, and a server
    that lies could ask one for the seed of somebody's self mask, and the other for the key. With both it sees the
    vector.

    Raises:
        InputError: not from 2 to the number of members, or not more than half of them.
    """
    if threshold > num_members:
        raise InputError(f"threshold must be at most the {num_members} members, got {threshold}")
    if 2 * threshold <= num_members:
        raise InputError(
            f"threshold must be more than half of the {num_members} members, so at least {num_members // 2 + 1}, or a "
            f"server could learn both secrets of one from two groups without a common member, got {threshold}"
        )
