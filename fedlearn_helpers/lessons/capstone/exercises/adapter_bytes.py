"""Exercise 3 of notebook 12: bytes of adapters."""

import math
from collections.abc import Mapping
from typing import Any

from fedlearn_helpers.lessons.common.exercise import Exercise, NotYet, number

_EXACT = 1e-9
_BYTES = 4  # of a float32


def _test_bytes(answer: Any, *, layers: Mapping[str, tuple[int, int]], rank: int) -> str:
    given = number(answer)
    out, into = sum(shape[0] for shape in layers.values()), sum(shape[1] for shape in layers.values())
    whole, numbers = sum(o * i for o, i in layers.values()), rank * (out + into)
    right = 2 * _BYTES * numbers
    if given == right:
        return (
            f"{right:,} bytes: {numbers:,} numbers, 4 bytes each, there and back. All weights of these layers would be "
            f"{2 * _BYTES * whole:,}, {whole / numbers:.1f} times as many. A rank twice as large costs twice as much."
        )
    both = "Both matrices are learned, and both travel"
    known = (
        (right / 2, "That is one way. The server sends the adapters out, and every client sends them back."),
        (2 * _BYTES * whole, "Those are all weights of the layers. With LoRA they stay where they are."),
        (_BYTES * whole, "Those are all weights of the layers, one way. With LoRA they stay where they are."),
        (whole, "That is how many weights the layers have. With LoRA they stay where they are."),
        (right + 2 * _BYTES * whole, "The frozen weights do not travel: every client has them already."),
        (2 * _BYTES * rank * into, f"That is A alone. {both}: B is (out, rank)."),
        (_BYTES * rank * into, f"That is A alone, and one way. {both}: B is (out, rank)."),
        (2 * _BYTES * rank * out, f"That is B alone, as FFA-LoRA sends it. {both}: A is (rank, in)."),
        (_BYTES * rank * out, f"That is B alone, and one way. {both}: A is (rank, in)."),
        (numbers, "That is how many numbers are sent one way. A float32 has 4 bytes, and they go both ways."),
        (2 * numbers, "That is how many numbers are sent. A float32 has 4 bytes."),
        (8 * right, "Those are bits. A float32 has 4 bytes."),
        (4 * right, "Those are bits, one way. A float32 has 4 bytes, and the adapters go both ways."),
        (2 * right, "A float32 has 4 bytes, and not 8."),
        (rank * right, "The rank counts once in each matrix: A is (rank, in) and B is (out, rank), not squared."),
        (right / rank, "The rank is forgotten. A has a row for each rank, and B a column."),
        (2 * _BYTES * rank * whole, "You multiply out and in. A is (rank, in) and B is (out, rank): they are added."),
        (right / 1000, "Those are thousands of bytes. Give bytes."),
        (right / 1024, "Those are thousands of bytes. Give bytes."),
    )
    for wrong, sentence in known:
        if math.isclose(given, wrong, rel_tol=_EXACT):
            raise NotYet(sentence)
    for name, shape in layers.items():
        if len(layers) > 1 and given in (_BYTES * rank * sum(shape), 2 * _BYTES * rank * sum(shape)):
            raise NotYet(f"That is the adapter of one layer, {name}. Each layer has one.")
    way = "few" if given < right else "many"
    raise NotYet(
        f"{given:,.0f} are too {way}. Write down the shapes of A and B for one layer, count their numbers, and go on from "
        "there: all layers, bytes, both ways."
    )


bytes_of_lora = Exercise(
    name="bytes_of_lora",
    kind="predict",
    difficulty="easy",
    minutes=4,
    hints=(
        "For one layer (out, in) A is (rank, in) and B is (out, rank). How many numbers are that?",
        "rank * (out + in) for each layer; 4 bytes a number; once from the server, once back.",
    ),
    solution_code="""
        bytes_a_round = 2 * 4 * asked_rank * sum(sum(shape) for shape in asked_layers.values())
    """,
    test=_test_bytes,
)
