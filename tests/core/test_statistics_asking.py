"""Questions to all sites, in a loop and as a federation: the same totals, and sites that fail are named."""

from dataclasses import dataclass

import numpy as np
import pytest
from flwr.app import Error, Message

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.simulation import simulate
from fedlearn_helpers.simulation.position import client_of
from fedlearn_helpers.statistics import asking
from fedlearn_helpers.statistics.answering import SitesMissing
from fedlearn_helpers.statistics.asking import ask_sites, in_process

WAYS = [{}, {"secure": 3}, {"secure": 4}, {"secure": 3, "workers": 2}]
STAGES = ("advertise", "share", "answer", "reveal")


@dataclass
class Numbered:
    name: str
    numbers: np.ndarray


def numbered(seed=0, count=4, d=13):
    """Numbers of all sizes, of both signs, whose sums are int64."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(-(2**60), 2**60, (count, d)) >> rng.integers(0, 60, (count, d))
    return [Numbered(name, row) for name, row in zip("ABCDEFGH", numbers, strict=False)]


def times(site, asked):
    return site.numbers * int(asked["factor"])


def everything_asked(site, asked):
    told = [asked["floats"].sum() * 8, asked["flags"].sum(), asked["table"].size, len(asked["none"])]
    return np.array(told, np.int64)


def wrong(site, asked):
    """Site C answers what it is asked to; all others as they should."""
    if site.name != "C":
        return site.numbers
    return {
        "float": lambda: site.numbers.astype(float),
        "int32": lambda: site.numbers.astype(np.int32),
        "table": lambda: site.numbers[:, None],
        "list": lambda: site.numbers.tolist(),
        "none": lambda: None,
        "longer": lambda: np.append(site.numbers, 1),
        "empty": lambda: site.numbers[:0],
        "divides": lambda: site.numbers // np.array("a"),
        "raises": lambda: (_ for _ in ()).throw(KeyError("age")),
        "input": lambda: (_ for _ in ()).throw(InputError("age must be known")),
    }[str(asked["how"])]()


ANSWERS = {"times": times, "all": everything_asked, "wrong": wrong}


def program(ask):
    return [ask("times", {"factor": np.array(factor)}) for factor in (1, -1, 2)]


# The same totals -------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_totals_are_those_of_pooled_data(way, seed):
    sites = numbered(seed)
    expected = sum(site.numbers for site in sites)
    found, history = ask_sites(program, sites, ANSWERS, **way)
    for total, factor in zip(found, (1, -1, 2), strict=True):
        assert total.dtype == np.int64
        assert (total == factor * expected).all()
    assert all(
        (one == other).all() for one, other in zip(program(in_process(sites[::-1], ANSWERS)), found, strict=True)
    )
    assert history.clients["round"].unique().tolist() == [1, 2, 3]
    assert len(history.exchanges) == 3 * 4 * (4 if way else 1)
    assert len(history.failures) == 0


@pytest.mark.parametrize("way", WAYS[:2], ids=str)
def test_what_is_asked_arrives_as_it_is(way):
    asked = {
        "floats": np.array([0.5, 0.25]),
        "flags": np.array([True, False, True]),
        "table": np.zeros((2, 3), np.int64),
        "none": np.zeros((0, 2)),
    }
    found, _ = ask_sites(lambda ask: ask("all", asked), numbered(), ANSWERS, **way)
    assert found.tolist() == [24, 8, 24, 0]
    assert in_process(numbered(), ANSWERS)("all", asked).tolist() == [24, 8, 24, 0]


def test_one_site_alone_and_sites_without_names():
    sites = numbered(count=1)
    assert (ask_sites(program, sites, ANSWERS)[0][0] == sites[0].numbers).all()

    def ones(site, asked):
        return np.ones(2, np.int64)

    assert in_process([1, 2], {"ones": ones})("ones", {}).tolist() == [2, 2]
    assert ask_sites(lambda ask: ask("ones", {}), [1, 2], {"ones": ones}, secure=2)[0].tolist() == [2, 2]


def test_an_answer_of_no_numbers():
    def none(site, asked):
        return np.zeros(0, np.int64)

    for way in WAYS[:2]:
        assert ask_sites(lambda ask: ask("none", {}), numbered(), {"none": none}, **way)[0].shape == (0,)


def test_a_program_without_questions_and_one_that_fails():
    assert ask_sites(lambda ask: 7, numbered(), ANSWERS)[0] == 7
    with pytest.raises(KeyError, match="mine"):
        ask_sites(lambda ask: {}["mine"], numbered(), ANSWERS)


# Sites that fail -------------------------------------------------------------------------

HOW = {
    "float": r"site 'C' must answer 'wrong' with an array of int64 and shape \(d,\), got float64 \(13,\)",
    "int32": "site 'C' must answer 'wrong' with an array of int64 and shape .d,., got int32",
    "table": r"got int64 \(13, 1\)",
    "list": "got list",
    "none": "got NoneType",
    "longer": "the answers to 'wrong' must have one length, 13 as from most sites, got 14 from 'C'",
    "empty": "the answers to 'wrong' must have one length, 13 as from most sites, got 0 from 'C'",
    "divides": "site 'C' could not answer 'wrong': ",
    "raises": "site 'C' could not answer 'wrong': KeyError: 'age'",
    "input": "site 'C' could not answer 'wrong': age must be known",
}


@pytest.mark.parametrize("how", HOW)
def test_a_wrong_answer_names_site_and_question(how):
    def one_question(ask):
        return ask("wrong", {"how": np.array(how)})

    with pytest.raises(InputError, match=HOW[how]):
        one_question(in_process(numbered(), ANSWERS))
    for way in WAYS[:3]:
        with pytest.raises(InputError, match=HOW[how]) as raised:
            ask_sites(one_question, numbered(), ANSWERS, **way)
        if isinstance(raised.value, SitesMissing) and way != {"secure": 4}:
            assert raised.value.missing == ("C",)
            assert (raised.value.total == sum(site.numbers for site in numbered() if site.name != "C")).all()


def test_a_program_may_go_on_without_a_site_but_must_say_so():
    def without_who_fails(ask):
        try:
            return ask("wrong", {"how": np.array("raises")}), ()
        except SitesMissing as error:
            return error.total, error.missing

    for way in WAYS[:2]:
        (total, missing), history = ask_sites(without_who_fails, numbered(), ANSWERS, **way)
        assert missing == ("C",)
        assert (total == sum(site.numbers for site in numbered() if site.name != "C")).all()
        assert list(history.failures["client"]) == [2]


@pytest.mark.parametrize("answers", [{"times": times}, {}])
def test_an_unknown_question_is_refused(answers):
    def one_question(ask):
        return ask("times!", {})

    for way in (in_process(numbered(), answers), None):
        with pytest.raises(InputError, match="question must be one of .*got 'times!'"):
            one_question(way) if way else ask_sites(one_question, numbered(), answers)


@pytest.mark.parametrize("way", WAYS[:2], ids=str)
def test_a_total_that_is_no_int64_is_refused(way):
    sites = [Numbered(name, np.array([2**62])) for name in "ABC"]
    for factor in (1, -1):

        def one_question(ask, factor=factor):
            return ask("times", {"factor": np.array(factor)})

        with pytest.raises(InputError, match="the answers to 'times' must have a sum between"):
            ask_sites(one_question, sites, ANSWERS, **way)
        with pytest.raises(InputError, match="the answers to 'times' must have a sum between"):
            one_question(in_process(sites, ANSWERS))


def test_bad_arguments():
    for ask in (in_process, lambda sites, answers: ask_sites(program, sites, answers)):
        with pytest.raises(InputError, match="sites must be at least one"):
            ask([], ANSWERS)
        with pytest.raises(InputError, match="sites must have names of their own, got 'A' twice"):
            ask(numbered() + numbered(), ANSWERS)
    for secure, words in (
        (1, "secure must be a whole number >= 2"),
        (True, "secure must be a whole number >= 2"),
        (2, "threshold must be more than half of the 4 members"),
        (5, "threshold must be at most the 4 members"),
    ):
        with pytest.raises(InputError, match=words):
            ask_sites(program, numbered(), ANSWERS, secure=secure)


# By masks --------------------------------------------------------------------------------


@pytest.fixture
def spied(monkeypatch):
    """Let the test see replies, and let sites be away in a stage."""
    seen, away = [], set()

    def with_mod(server_app, client_app, **options):
        def spy(message, context):
            config = message.content.config_records["secure-aggregation"]
            place = client_of(context), config["stage"]
            if place in away:
                return Message(Error(100, "away"), reply_to=message)
            reply = client_app(message, context)
            seen.append((*place, reply.content, dict(context.state)))
            return reply

        spying = type(client_app)()
        spying.query()(spy)
        return simulate(server_app, spying, **options)

    monkeypatch.setattr(asking, "simulate", with_mod)
    return seen, away


def one_total(ask):
    return ask("times", {"factor": np.array(1)})


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("site", [0, 3])
def test_a_site_that_drops_out_in_any_stage(spied, stage, site):
    sites = numbered()
    spied[1].add((site, stage))
    if stage == "reveal":  # its numbers are in the sum, and three can unmask it
        found, history = ask_sites(one_total, sites, ANSWERS, secure=3)
        assert (found == sum(one.numbers for one in sites)).all()
        assert len(history.failures) == 1
        return
    with pytest.raises(SitesMissing, match="all 4 sites must answer 'times', and 1 did not: .*away") as raised:
        ask_sites(one_total, sites, ANSWERS, secure=3)
    assert raised.value.missing == (sites[site].name,)
    assert (raised.value.total == sum(one.numbers for one in sites) - sites[site].numbers).all()


@pytest.mark.parametrize("stage", STAGES)
def test_too_few_sites_unmask_nothing(spied, stage):
    spied[1].update({(0, stage), (2, stage)})
    with pytest.raises(SitesMissing, match="all 4 sites must answer 'times', and 2 did not") as raised:
        ask_sites(one_total, numbered(), ANSWERS, secure=3)
    assert raised.value.total is None
    assert raised.value.missing == ("A", "C")


def test_two_sites_that_drop_out_one_after_the_other(spied):
    spied[1].update({(0, "share"), (2, "answer")})
    sites = numbered(count=5)
    with pytest.raises(SitesMissing) as raised:
        ask_sites(one_total, sites, ANSWERS, secure=3)
    assert raised.value.missing == ("A", "C")
    assert (raised.value.total == sum(sites[number].numbers for number in (1, 3, 4))).all()


def test_the_server_sees_masks_and_sites_forget_their_secrets(spied):
    sites = [Numbered(name, np.zeros(2000, np.int64)) for name in "ABC"]

    def twice(ask):
        return [one_total(ask), one_total(ask)]

    totals, _ = ask_sites(twice, sites, ANSWERS, secure=2)
    assert not any(total.any() for total in totals)
    masked = [content["answer"]["answer"].numpy() for _, stage, content, _ in spied[0] if stage == "answer"]
    assert len(masked) == 6
    for vector in masked:
        assert vector.dtype == np.uint32
        assert len(vector) == 8000
        counts = np.bincount(vector >> 28, minlength=16)
        assert ((counts - 500) ** 2 / 500).sum() < 60  # chi-square with 15 degrees of freedom
    assert len({vector.tobytes() for vector in masked}) == 6  # new masks for every question
    assert not any(state for _, stage, _, state in spied[0] if stage == "reveal")


def test_bytes_are_known_beforehand():
    """A number is 8 bytes in the clear, and 16 as masked digits; each site sends keys and shares besides."""
    small, large = ({} for _ in range(2))
    for d, bytes_of in ((100, small), (1100, large)):
        for secure in (None, 3):
            bytes_of[secure] = ask_sites(one_total, numbered(d=d), ANSWERS, secure=secure)[1].bytes_up
    assert large[None] - small[None] == 4 * 1000 * 8
    assert large[3] - small[3] == 4 * 1000 * 16
