"""Compressors of updates: what each must keep exactly, what on average, and how many bytes it takes."""

import numpy as np
import pytest

from fedlearn_helpers.communication import QSGD, Compression, Lossless, LowRank, Quantization, RandomK, Sign, TopK
from fedlearn_helpers.communication.bits import pack_bits, unpack_bits
from fedlearn_helpers.communication.low_rank import factors
from fedlearn_helpers.communication.quantization import dequantize, quantize
from fedlearn_helpers.errors import InputError

SHAPES = ((6, 1, 5, 5), (6,), (120, 64), (10,))
SIZE = 6 * 25 + 6 + 120 * 64 + 10
CODECS = {
    "lossless": (Lossless(), 4 * SIZE),
    "top-k": (TopK(0.1), (2 + 4) * round(0.1 * SIZE)),
    "random-k": (RandomK(0.1), 8 + 4 * round(0.1 * SIZE)),
    "random-k with feedback": (RandomK(0.1, scaled=False, feedback=True), 8 + 4 * round(0.1 * SIZE)),
    "8 bits": (Quantization(8), 4 * 4 + SIZE),
    "2 bits": (Quantization(2, stochastic=False, feedback=True), 4 * 4 + -(-2 * SIZE // 8)),
    "qsgd": (QSGD(4), 4 * -(-SIZE // 512) + -(-4 * SIZE // 8)),
    "sign": (Sign(), 4 * 4 + -(-SIZE // 8)),
    "low rank": (LowRank(2), 4 * (2 * (6 + 25) + 6 + 2 * (120 + 64) + 10)),
}
LOSSY = [name for name in CODECS if name != "lossless"]


def tensors(seed=0, shapes=SHAPES):
    draws = np.random.default_rng(seed)
    return [draws.standard_normal(shape, np.float32) for shape in shapes]


def through(codec, given, seed=0, memory=None):
    return codec.decode(codec.encode(given, seed, {} if memory is None else memory), given)


@pytest.mark.parametrize("name", CODECS)
def test_shapes_dtypes_and_bytes(name):
    codec, size = CODECS[name]
    given = tensors()
    data = codec.encode(given, 3, {})
    decoded = codec.decode(data, [np.empty(shape, np.float32) for shape in SHAPES])
    assert [tensor.shape for tensor in decoded] == list(SHAPES)
    assert {tensor.dtype for tensor in decoded} == {np.dtype(np.float32)}
    assert len(data) == size
    assert data == codec.encode(given, 3, {})


@pytest.mark.parametrize("name", CODECS)
def test_nothing_and_zeros_are_encoded_too(name):
    codec, _ = CODECS[name]
    assert codec.decode(codec.encode([], 0, {}), []) == []
    for tensor in through(codec, [np.zeros(shape, np.float32) for shape in SHAPES]):
        assert not tensor.any()


@pytest.mark.parametrize("codec", [Lossless(), Lossless(9), TopK(1.0), RandomK(1.0), RandomK(1.0, scaled=False)])
def test_all_numbers_are_the_identity(codec):
    given = tensors()
    for before, after in zip(given, through(codec, given), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("codec", [TopK(0.1), RandomK(0.1, scaled=False, feedback=True)])
def test_sent_and_residual_are_the_input(codec):
    given = tensors()
    for before, sent in zip(given, through(codec, given), strict=True):
        np.testing.assert_array_equal(sent + (before - sent), before)
        assert np.all((sent == 0) | (sent == before))


@pytest.mark.parametrize("name", CODECS)
def test_tiny_and_huge_numbers_stay_finite(name):
    codec, _ = CODECS[name]
    for size in (1e-44, 1e-38, 1e30):
        given = [(tensor * size).astype(np.float32) for tensor in tensors()]
        given[0][:] = 0
        given[0][0, 0, 0, 0] = size
        assert all(np.isfinite(tensor).all() for tensor in through(codec, given))


def test_top_k_are_the_largest():
    given = tensors()
    sent = np.concatenate([tensor.ravel() for tensor in through(TopK(0.1), given)])
    x = np.concatenate([tensor.ravel() for tensor in given])
    assert np.abs(x[sent != 0]).min() > np.abs(x[sent == 0]).max()


def test_top_k_of_a_long_vector_has_longer_indices():
    given = [np.random.default_rng(0).standard_normal(70_000, np.float32)]
    data = TopK(0.01).encode(given, 0, {})
    assert len(data) == 700 * 8
    assert np.count_nonzero(TopK(0.01).decode(data, given)[0]) == 700


UNBIASED = [RandomK(0.1), Quantization(1), Quantization(2), Quantization(4), QSGD(4), QSGD(1)]
DRAWS = 2000


def bias(codec):
    """Return the error of the mean of many draws, in units of what chance would leave of one draw's error: ~ 1."""
    given = tensors(shapes=((30, 10), (20,)))
    x = np.concatenate([tensor.ravel() for tensor in given])
    drawn = [np.concatenate([t.ravel() for t in through(codec, given, seed)]) for seed in range(DRAWS)]
    one = np.sqrt(np.mean([np.mean((draw - x) ** 2) for draw in drawn]))
    return np.sqrt(np.mean((np.mean(drawn, axis=0, dtype=np.float64) - x) ** 2)) / (one / np.sqrt(DRAWS))


@pytest.mark.parametrize("codec", UNBIASED, ids=repr)
def test_unbiased_ones_are_right_on_average(codec):
    assert bias(codec) < 1.3


@pytest.mark.parametrize("codec", [RandomK(0.1, scaled=False), Quantization(2, stochastic=False), TopK(0.1), Sign()])
def test_biased_ones_are_not(codec):
    assert bias(codec) > 5


def test_one_nearest_bit_is_the_sign():
    given = tensors()
    one_bit = through(Quantization(1, stochastic=False, feedback=True), given)
    for a, b in zip(one_bit, through(Sign(), given), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 8])
@pytest.mark.parametrize("tails", ["normal", "heavy"])
def test_nearest_levels_have_nearly_the_least_error(bits, tails):
    """No other scale does much better; the largest magnitude does much worse."""
    draws = np.random.default_rng(0)
    x = (draws.standard_normal if tails == "normal" else draws.standard_exponential)(20_000, np.float32)
    x *= np.where(draws.random(x.size) < 0.5, -1, 1).astype(np.float32)

    def error(scale):
        each = np.full(x.size, scale, np.float32)
        return np.mean((x - dequantize(quantize(x, each, bits, None), each, bits)) ** 2)

    reached = np.mean((x - through(Quantization(bits, stochastic=False), [x])[0]) ** 2)
    least = min(error(scale) for scale in np.linspace(0.3, np.abs(x).max(), 100))
    assert reached < (1.15 if bits <= 4 else 2.5) * least
    if bits < 4:
        assert reached < 0.7 * error(np.abs(x).max())
    assert reached < np.mean(x**2)


@pytest.mark.parametrize("bits", range(1, 17))
def test_bits_are_packed_without_gaps(bits):
    codes = np.random.default_rng(bits).integers(0, 2**bits, 1001)
    data = pack_bits(codes, bits)
    assert len(data) == -(-1001 * bits // 8)
    np.testing.assert_array_equal(unpack_bits(data, bits, 1001), codes)


@pytest.mark.parametrize("bits", range(1, 17))
@pytest.mark.parametrize("kind", [Quantization, QSGD])
def test_more_bits_are_more_exact(kind, bits):
    given = tensors()
    steps = max(2**bits - 2, 1)
    for before, after in zip(given, through(kind(bits), given), strict=True):
        scale = np.abs(before).max() if kind is Quantization else 30
        assert np.abs(before - after).max() <= 2 * scale / steps * 1.001 + 1e-6


def test_full_rank_is_exact_and_rank_one_is_not():
    matrix = np.random.default_rng(0).standard_normal((8, 20)).astype(np.float32)
    start = np.random.default_rng(1).standard_normal((20, 8)).astype(np.float32)
    p, q = factors(matrix, start)
    np.testing.assert_allclose(p @ q.T, matrix, atol=1e-5)
    p, q = factors(matrix, start[:, :1])
    assert np.abs(p @ q.T - matrix).max() > 0.1


def test_a_warm_start_approaches_the_best_approximation():
    given = [np.random.default_rng(0).standard_normal((60, 80), np.float32)]
    u, s, v = np.linalg.svd(given[0])
    best = np.linalg.norm(s[2:])
    memory, errors = {}, []
    for seed in range(60):
        errors.append(np.linalg.norm(given[0] - through(LowRank(2), given, seed, memory)[0]))
    assert errors[0] > 1.02 * best
    assert errors[-1] < 1.002 * best
    cold = np.linalg.norm(given[0] - through(LowRank(2), given, 99)[0])
    assert cold > 1.02 * best


@pytest.mark.parametrize("name", [name for name in LOSSY if CODECS[name][0].feedback])
def test_feedback_telescopes(name):
    """What was sent in all rounds and what is left are what was given."""
    codec, _ = CODECS[name]
    rest, memory = [np.zeros(shape, np.float32) for shape in SHAPES], {}
    given, sent = [np.zeros(shape) for shape in SHAPES], [np.zeros(shape) for shape in SHAPES]
    for number in range(20):
        update = tensors(number)
        wanted = [a + b for a, b in zip(update, rest, strict=True)]
        message = through(codec, wanted, number, memory)
        rest = [a - b for a, b in zip(wanted, message, strict=True)]
        given = [a + b for a, b in zip(given, update, strict=True)]
        sent = [a + b for a, b in zip(sent, message, strict=True)]
    for a, b, c in zip(given, sent, rest, strict=True):
        np.testing.assert_allclose(b + c, a, atol=2e-4)


def test_zip_gains_little_on_floats():
    given = tensors()
    assert 0.85 < len(Lossless(9).encode(given, 0, {})) / len(Lossless().encode(given, 0, {})) < 0.97


BAD = [
    (lambda: TopK(0), "^share must be > 0 and <= 1"),
    (lambda: TopK(1.5), "^share must be > 0 and <= 1"),
    (lambda: TopK(float("nan")), "^share must be"),
    (lambda: TopK("all"), "^share must be"),
    (lambda: TopK(0.1, feedback=1), "^feedback must be True or False, got 1$"),
    (lambda: RandomK(-0.1), "^share must be > 0 and <= 1"),
    (lambda: RandomK(0.1, feedback=True), "^feedback must be False where scaled is True"),
    (lambda: RandomK(0.1, scaled=None), "^scaled must be True or False"),
    (lambda: Quantization(0), "^bits must be a whole number from 1 to 16, got 0$"),
    (lambda: Quantization(17), "^bits must be a whole number from 1 to 16, got 17$"),
    (lambda: Quantization(2.0), "^bits must be a whole number"),
    (lambda: Quantization(True), "^bits must be a whole number"),
    (lambda: Quantization(2, feedback=True), "^feedback must be False where stochastic is True"),
    (lambda: QSGD(0), "^bits must be"),
    (lambda: QSGD(4, bucket=0), "^bucket must be a whole number >= 1"),
    (lambda: Sign(feedback=None), "^feedback must be"),
    (lambda: LowRank(0), "^rank must be a whole number >= 1"),
    (lambda: LowRank(1.5), "^rank must be a whole number >= 1"),
    (lambda: LowRank(65).check(tensors()), "^rank must be at most 64, the smaller side"),
    (lambda: Lossless(10), "^level must be a whole number from 0 to 9, got 10$"),
    (lambda: Compression(up=8), "^up must be a codec"),
    (lambda: Compression(down="sign"), "^down must be a codec"),
    (lambda: Compression(down=RandomK(0.1)), "^down must be a codec whose errors do not grow"),
    (lambda: Compression(down=Quantization(2)), "^down must be a codec whose errors do not grow"),
    (lambda: Compression(down=QSGD(4)), "^down must be a codec whose errors do not grow"),
]


@pytest.mark.parametrize(("make", "sentence"), BAD)
def test_bad_input(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()
