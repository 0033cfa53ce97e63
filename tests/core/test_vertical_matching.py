"""Two parties find the ids that both have; everything else stays hidden, and hashes do not hide it."""

import math

import numpy as np
import pytest

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.privacy.secure_aggregation import teaching_bytes
from fedlearn_helpers.vertical.matching import (
    PRIME,
    VALUE_BYTES,
    blind,
    blind_again,
    check_ids,
    from_bytes,
    guess_hashed_ids,
    hash_to_group,
    hashed,
    match,
    new_exponent,
    normalized,
    shared,
    to_bytes,
)

ORDER = (PRIME - 1) // 2
CLINIC = ["MRN 0007", "mrn0001", "MRN0003", "MRN0005"]
LABORATORY = ["mrn0003", "MRN0009", " MRN0007 ", "MRN0002", "MRN0001"]


def arctan_of_inverse(x, unit):
    term = total = unit // x
    for k in range(3, 2 * unit.bit_length(), 2):
        term //= -x * x
        total += term // k
    return total


def is_prime(number, bases=(2, 3, 5, 7, 11, 13, 17, 19)):
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in bases:
        x = pow(base, odd, number)
        if x in (1, number - 1):
            continue
        if all((x := x * x % number) != number - 1 for _ in range(twos - 1)):
            return False
    return True


def test_the_group_is_that_of_rfc_3526_and_safe():
    unit = 1 << 1918 + 64
    pi = 4 * (4 * arctan_of_inverse(5, unit) - arctan_of_inverse(239, unit)) >> 64
    assert PRIME == 2**2048 - 2**1984 - 1 + 2**64 * (pi + 124476)
    assert is_prime(PRIME, (2, 3)) and is_prime(ORDER, (2, 3))
    assert not is_prime(PRIME + 2, (2, 3))


def test_an_id_becomes_a_square_and_a_power_of_one_stays_one():
    values = [hash_to_group(f"MRN{number}") for number in range(20)]
    assert len(set(values)) == 20
    assert all(pow(value, ORDER, PRIME) == 1 for value in values[:3])
    assert pow(PRIME - values[0], ORDER, PRIME) == PRIME - 1  # what is no square is told from one
    assert abs(np.mean([math.log2(value) for value in values]) - 2047) < 2


def test_parties_find_the_same_patients_in_the_same_order():
    found = match(CLINIC, LABORATORY)
    assert set(found.first) == {"MRN 0007", "mrn0001", "MRN0003"}
    assert set(found.second) == {" MRN0007 ", "MRN0001", "mrn0003"}
    assert [normalized(entry) for entry in found.first] == [normalized(entry) for entry in found.second]
    assert found.bytes_sent == 2 * (4 + 5) * VALUE_BYTES == len(to_bytes(sum(found.sent.values(), [])))


def test_parties_without_a_patient_in_common_find_none_and_with_all_find_all():
    assert match(["a", "b"], ["c"]).first == match([], ["c"]).second == []
    assert sorted(match(["a", "b"], ["B", "A"]).first) == ["a", "b"]


def test_order_in_which_ids_are_kept_changes_no_message():
    there = match(CLINIC, LABORATORY, teaching_bytes(0))
    back = match(CLINIC[::-1], LABORATORY[::-1], teaching_bytes(0))
    assert there == back
    assert there.sent["first"] == sorted(there.sent["first"])
    assert match(CLINIC, LABORATORY, teaching_bytes(1)).sent != there.sent


def test_secrets_from_the_system_differ_in_every_matching():
    assert len({new_exponent() for _ in range(20)}) == 20
    first, second = match(CLINIC, LABORATORY), match(CLINIC, LABORATORY)
    assert not set(first.sent["first"]) & set(second.sent["first"])


def test_a_dictionary_finds_ids_behind_hashes_and_none_behind_powers():
    candidates = [f"MRN{number:04d}" for number in range(30)]
    assert guess_hashed_ids(hashed(CLINIC), candidates) == ["MRN0007", "MRN0001", "MRN0003", "MRN0005"]
    assert guess_hashed_ids(hashed(["MRN0099"]), candidates) == [None]
    salted = hashed(CLINIC, salt="of both parties")
    assert guess_hashed_ids(salted, candidates) == [None] * 4  # who does not know it
    assert guess_hashed_ids(salted, candidates, salt="of both parties")[0] == "MRN0007"  # the other party does
    sent = match(CLINIC, LABORATORY).sent
    for exponent in (1, new_exponent()):  # the group element itself, and another's secret
        guesses = set(blind(candidates, exponent))
        assert not guesses & set(sent["first"]) and not guesses & set(sent["first twice"])


def test_who_has_the_secret_finds_every_id():
    secret = new_exponent()
    sent = list(blind(CLINIC, secret))
    assert len(set(blind([f"MRN{number:04d}" for number in range(10)], secret)) & set(sent)) == 4


def test_a_party_with_every_possible_id_finds_all_and_its_size_says_so():
    found = match([f"MRN{number:04d}" for number in range(10)], LABORATORY)
    assert len(found.first) == len(LABORATORY)
    assert len(found.sent["first"]) == 10


def test_spaces_case_and_width_do_not_count_and_zeros_do():
    assert normalized(" MRN 0042a\n") == normalized("mrn0042A") == normalized("ＭＲＮ0042ａ") == "mrn0042a"
    assert normalized("0042") != normalized("42")


@pytest.mark.parametrize(
    ("ids", "sentence"),
    [
        (["MRN 1", "x", "mrn1"], "^ids must have each patient once, got 'MRN 1' and 'mrn1', both 'mrn1'$"),
        (["x", " "], "^ids must have at least one character that is no space, got ' '$"),
        (["x", 7], "^ids must be text, got 7$"),
    ],
)
def test_ids_that_cannot_be_compared_are_refused(ids, sentence):
    for refuse in (check_ids, lambda ids: match(ids, ["x"]), lambda ids: match(["x"], ids)):
        with pytest.raises(InputError, match=sentence):
            refuse(ids)


@pytest.mark.parametrize("value", [-1, 0, 1, PRIME - 1, PRIME, PRIME + 5])
def test_values_that_stay_what_they_are_are_refused(value):
    with pytest.raises(InputError, match="^values must be between 1 and P - 1, got"):
        blind_again([hash_to_group("x"), value], 3)


def test_values_that_do_not_belong_together_are_refused():
    with pytest.raises(InputError, match="^values must be different, got 2 with 1 different ones$"):
        blind_again([4, 4], 3)
    with pytest.raises(InputError, match=r"^own_twice must have one value per id \(2\), got 1$"):
        shared(blind(["a", "b"], 3), [4], [4])
    assert from_bytes(to_bytes([4, PRIME - 2])) == [4, PRIME - 2]
    with pytest.raises(InputError, match="^values must have 256 bytes each, got 255 bytes$"):
        from_bytes(bytes(255))
