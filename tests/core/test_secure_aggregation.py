"""A secure sum: exact for every drop-out, nothing below the threshold, and members that refuse to say too much."""

from dataclasses import replace

import numpy as np
import pytest
from test_secure_aggregation_parts import UNIFORM, chi_square

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.privacy.secure_aggregation import (
    Member,
    PublicKeys,
    Server,
    TamperedShare,
    TooFewMembers,
    expand,
    secure_sum,
    teaching_bytes,
)


def vectors_of(count, size):
    return list(np.random.default_rng(0).integers(0, 2**32, (count, size), dtype=np.uint32))


def sum_of(vectors, left_out=()):
    return np.sum([vector for k, vector in enumerate(vectors) if k not in left_out], axis=0, dtype=np.uint32)


class Round:
    """A sum that has come to the point where all masked vectors are there."""

    def __init__(self, count, threshold, size=8):
        self.vectors = vectors_of(count, size)
        self.threshold = threshold
        self.server = Server(threshold)
        self.members = {k: Member(k, threshold, teaching_bytes(k)) for k in range(count)}
        keys = self.server.collect_keys({k: member.advertise() for k, member in self.members.items()})
        self.shared = {k: member.share(keys) for k, member in self.members.items()}
        self.carried = self.server.collect_shares(self.shared)
        self.masked = {}
        for k, member in self.members.items():
            member.receive(self.carried[k])
            self.masked[k] = member.mask(self.vectors[k])

    def unmask(self, dropped=(), silent=(), change=lambda revealed: revealed):
        """Go on to the end with copies of the members, of which some say nothing in the last step."""
        self.survivors = self.server.collect_masked({k: y for k, y in self.masked.items() if k not in dropped})
        copies = {k: Member.from_state(self.members[k].state()) for k in self.survivors if k not in silent}
        revealed = {k: member.reveal(self.survivors) for k, member in copies.items()}
        return self.server.unmask(change(revealed))


def check_all_single_drop_outs(count):
    whole = Round(count, count // 2 + 1) if count > 2 else Round(2, 2)
    assert np.array_equal(whole.unmask(), sum_of(whole.vectors))
    for dropped in range(count if count > 2 else 0):
        assert np.array_equal(whole.unmask([dropped]), sum_of(whole.vectors, [dropped]))


@pytest.mark.parametrize("count", [2, 3, 4, 7, 10, 25])
def test_the_sum_is_exact_for_every_single_drop_out(count):
    check_all_single_drop_outs(count)


@pytest.mark.slow
@pytest.mark.parametrize("count", range(2, 51))
def test_the_sum_is_exact_for_every_size_and_single_drop_out(count):
    check_all_single_drop_outs(count)


@pytest.mark.parametrize(("count", "dropped", "threshold"), [(2, (), 2), (10, (1,), 6), (10, (0, 3, 8, 9), 6)])
def test_a_model_sized_sum(count, dropped, threshold):
    vectors = vectors_of(count, 62_006)
    result = secure_sum(vectors, threshold=threshold, dropped=dropped)
    assert np.array_equal(result.total, sum_of(vectors, dropped))
    assert set(result.survivors) == set(result.masked) == set(range(count)) - set(dropped)


def test_members_that_are_silent_in_the_last_step_are_in_the_sum():
    whole = Round(7, 4)
    assert np.array_equal(whole.unmask([2], silent=[0, 6]), sum_of(whole.vectors, [2]))
    with pytest.raises(TooFewMembers, match="^4 members are needed to unmask, and 3 answered"):
        whole.unmask([2], silent=[0, 5, 6])


def test_members_that_leave_in_the_first_steps_are_no_members():
    vectors = vectors_of(6, 8)
    server, members = Server(4), {k: Member(k, 4) for k in range(6)}
    keys = server.collect_keys({k: members[k].advertise() for k in range(5)})  # 5 has left
    carried = server.collect_shares({k: members[k].share(keys) for k in range(4)})  # 4 has left
    for k in carried:
        members[k].receive(carried[k])
    survivors = server.collect_masked({k: members[k].mask(vectors[k]) for k in carried})
    total = server.unmask({k: members[k].reveal(survivors) for k in survivors})
    assert np.array_equal(total, sum_of(vectors, [4, 5]))


# What a server cannot see ----------------------------------------------------------------


def test_one_too_many_missing_and_nothing_is_revealed():
    vectors = vectors_of(5, 8)
    assert secure_sum(vectors, threshold=3, dropped=[0, 1]).survivors == (2, 3, 4)
    with pytest.raises(TooFewMembers, match="^3 members are needed to unmask, and 2 answered") as caught:
        secure_sum(vectors, threshold=3, dropped=[0, 1, 2])
    assert (caught.value.answered, caught.value.needed) == (2, 3)
    whole = Round(5, 3)
    for member in whole.members.values():  # and if the server asks all the same
        with pytest.raises(TooFewMembers):
            member.reveal([3, 4])
        assert member.step == "mask"


def test_every_step_needs_the_threshold():
    server, members = Server(3), [Member(k, 3) for k in range(3)]
    keys = {k: member.advertise() for k, member in enumerate(members)}
    two = {k: keys[k] for k in (0, 1)}
    for act in (lambda: server.collect_keys(two), lambda: Member.from_state(members[0].state()).share(two)):
        with pytest.raises(TooFewMembers, match="^3 members are needed to share secrets, and 2 answered"):
            act()
    shared = {k: member.share(keys) for k, member in enumerate(members)}
    for act in (
        lambda: server.collect_shares({k: shared[k] for k in (0, 1)}),
        lambda: members[0].receive({1: shared[1][0]}),
    ):
        with pytest.raises(TooFewMembers, match="^3 members are needed to mask vectors, and 2 answered"):
            act()


def test_a_masked_vector_looks_uniform_and_the_vector_does_not():
    rng = np.random.default_rng(0)
    vectors = [np.rint(rng.normal(0, 100, 50_000)).astype(np.int64).astype(np.uint32) for _ in range(4)]
    result = secure_sum(vectors, threshold=3, random=teaching_bytes(0))
    for k, masked in result.masked.items():
        assert chi_square(masked >> 24) < UNIFORM
        assert chi_square(vectors[k] >> 24) > 100 * UNIFORM
        assert abs(np.corrcoef(masked, vectors[k])[0, 1]) < 0.03


def test_self_mask_alone_or_pairwise_masks_alone_still_hide_a_vector():
    """A server that has removed one kind, as it does of each member, has a uniform vector before it."""
    whole = Round(3, 2, size=50_000)
    without = whole.masked[0] - expand(whole.members[0].state()["seed"], 50_000)
    assert chi_square(without >> 24) < UNIFORM
    assert not np.array_equal(without, whole.vectors[0])


def test_one_missing_mask_breaks_the_sum():
    whole = Round(4, 3)
    total = whole.unmask()
    assert np.array_equal(total, sum_of(whole.vectors))
    whole.masked[2] = whole.masked[2] - expand(whole.members[2].state()["seed"], 8)  # sent without its self mask
    assert (whole.unmask() != total).all()


def test_secrets_are_the_systems_and_a_teaching_seed_repeats():
    vectors = vectors_of(3, 8)
    first, second = (secure_sum(vectors, threshold=2) for _ in range(2))
    assert (first.masked[0] != second.masked[0]).any() and np.array_equal(first.total, second.total)
    first, second = (secure_sum(vectors, threshold=2, random=teaching_bytes(5)) for _ in range(2))
    assert np.array_equal(first.masked[0], second.masked[0])
    assert (secure_sum(vectors, threshold=2, random=teaching_bytes(6)).masked[0] != first.masked[0]).any()


def test_bytes_of_a_member():
    result = secure_sum(vectors_of(10, 1000), threshold=6, dropped=[9])
    assert result.bytes_down == dict.fromkeys(range(9), 10 * 72 + 9 * 168 + 9 * 8) | {9: 10 * 72}
    assert result.bytes_up == dict.fromkeys(range(9), 64 + 9 * 168 + 4 * 1000 + 10 * 74) | {9: 64 + 9 * 168}


# What a member refuses -------------------------------------------------------------------


def test_a_member_never_reveals_both_kinds_of_one_peer():
    whole = Round(4, 3)
    member = whole.members[0]
    revealed = member.reveal([0, 1, 2])
    assert set(revealed.seeds) == {0, 1, 2} and set(revealed.keys) == {3}
    for survivors in ([0, 1, 3], [0, 1, 2]):
        with pytest.raises(InputError, match="^member 0 must reveal once"):
            member.reveal(survivors)
        with pytest.raises(InputError, match="^member 0 must reveal once"):
            Member.from_state(member.state()).reveal(survivors)


@pytest.mark.parametrize("survivors", [[1, 2, 3], [0, 1, 2, 9]])
def test_survivors_without_oneself_or_with_strangers_are_refused(survivors):
    """One that has sent its vector, and is called a drop-out, would give its key away."""
    with pytest.raises(InputError, match="^survivors must be members"):
        Round(4, 3).members[0].reveal(survivors)


def test_both_kinds_would_unmask_a_member():
    """Negative control: with seed and key of one member, its vector is in the open. Hence the refusal."""
    whole = Round(4, 3)
    state = whole.members[1].state()
    pretended = whole.unmask([1])  # its key is combined in here, as of a drop-out
    everything = sum(whole.masked[k] for k in range(4))
    for k in (0, 2, 3):
        everything = everything - expand(whole.members[k].state()["seed"], 8)
    assert np.array_equal(everything - expand(state["seed"], 8) - pretended, whole.vectors[1])


def test_steps_can_be_taken_once_and_in_order():
    whole = Round(3, 2)
    member = whole.members[0]
    for act in (
        member.advertise,
        lambda: member.share({k: PublicKeys(bytes([k]), bytes([9, k])) for k in range(3)}),
        lambda: member.receive(whole.carried[0]),
        lambda: member.mask(whole.vectors[1]),  # two vectors under one mask: their difference is in the open
        lambda: Member(7, 2).reveal([7, 8]) and None,
    ):
        with pytest.raises(InputError, match="must"):
            act()


def test_tampered_shares_are_refused():
    server, members = Server(2), [Member(k, 2) for k in range(3)]
    keys = server.collect_keys({k: member.advertise() for k, member in enumerate(members)})
    carried = server.collect_shares({k: member.share(keys) for k, member in enumerate(members)})
    state = members[0].state()
    for place in (0, 12, 100, -1):
        changed = bytearray(carried[0][2])
        changed[place] ^= 1
        with pytest.raises(TamperedShare, match="^the shares of member 2 for member 0 cannot be decrypted"):
            Member.from_state(state).receive({1: carried[0][1], 2: bytes(changed)})
    for wrong in ({1: carried[0][2], 2: carried[0][1]}, {1: carried[2][1], 2: carried[0][2]}, {1: b"", 2: b""}):
        with pytest.raises(TamperedShare):  # of another sender, for another receiver, or nothing
            Member.from_state(state).receive(wrong)
    Member.from_state(state).receive(carried[0])


def test_revealed_shares_that_were_changed_are_noticed():
    whole = Round(5, 3)

    def other_seed(revealed):
        return revealed | {1: replace(revealed[1], seeds=revealed[1].seeds | {2: revealed[1].seeds[2] + 1})}

    def other_key(revealed):
        return revealed | {1: replace(revealed[1], keys={0: revealed[1].keys[0] ^ 1})}

    with pytest.raises(TamperedShare, match="^the shares of a secret of member 2"):
        whole.unmask(change=other_seed)
    with pytest.raises(TamperedShare, match="^the shares of a secret of member 0"):
        whole.unmask([0], change=other_key)


def test_keys_that_are_not_ones_own_or_come_twice_are_refused():
    members = [Member(k, 2) for k in range(3)]
    keys = {k: member.advertise() for k, member in enumerate(members)}
    for wrong in (keys | {0: keys[1]}, keys | {1: keys[2]}, {1: keys[1], 2: keys[2]}):
        with pytest.raises(InputError, match="^keys must have those of member 0"):
            Member.from_state(members[0].state()).share(wrong)


# Arguments -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 5}, "^threshold must be at most the 4 members, got 5"),
        ({"threshold": 2}, "^threshold must be more than half of the 4 members, so at least 3, or a server"),
        ({"threshold": 1}, "^threshold must be a whole number >= 2"),
        ({"threshold": 2.5}, "^threshold must be a whole number >= 2"),
        ({"threshold": 3, "dropped": [4]}, "^dropped must be numbers from 0 to 3, got 4"),
        ({"threshold": 3, "dropped": ["a"]}, "^dropped must be numbers from 0 to 3, got 'a'"),
    ],
)
def test_arguments_of_a_sum(options, message):
    with pytest.raises(InputError, match=message):
        secure_sum(vectors_of(4, 8), **options)


@pytest.mark.parametrize(
    "wrong", [np.zeros(8), np.zeros(8, np.int32), np.zeros((8, 1), np.uint32), [0] * 8, np.zeros(7, np.uint32)]
)
def test_vectors_that_cannot_be_masked(wrong):
    with pytest.raises(InputError, match="^vectors"):
        secure_sum([*vectors_of(3, 8), wrong], threshold=3)


def test_members_check_the_threshold_themselves():
    members = [Member(k, 2) for k in range(4)]
    keys = {k: member.advertise() for k, member in enumerate(members)}
    with pytest.raises(InputError, match="^threshold must be more than half of the 4 members"):
        members[0].share(keys)
    for number in (-1, 0.5, True, 2**64):
        with pytest.raises(InputError, match="^number must be"):
            Member(number, 2)
    with pytest.raises(InputError, match="^threshold must be"):
        Server(1)
