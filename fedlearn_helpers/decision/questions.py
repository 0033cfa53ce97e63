"""The ten questions of the decision aid, each with two to four fixed answers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """A question with fixed answers.

    Attributes:
        name: one word; the key of its answer.
        text: the question.
        answers: what each answer means, by its name.
    """

    name: str
    text: str
    answers: dict[str, str]


QUESTIONS = (
    Question(
        "wanted",
        "What shall come out?",
        {
            "statistics": "counts, averages, quantiles, a histogram",
            "model": "a model that predicts",
        },
    ),
    Question(
        "right",
        "What do law, contracts, consent and the owners allow?",
        {
            "pooled": "the data may lie in one place, or already do",
            "in-place": "they may be used where they lie, and nowhere else",
            "unsettled": "nobody has settled that yet",
        },
    ),
    Question(
        "clients",
        "How many parties hold data?",
        {
            "two": "two",
            "few": "three to about a hundred: hospitals, banks, plants",
            "many": "thousands and more: phones, cars, households",
        },
    ),
    Question(
        "alone",
        "How good is one party with its own data alone?",
        {
            "enough": "measured, and good enough",
            "short": "measured, and not good enough",
            "unmeasured": "not measured yet",
        },
    ),
    Question(
        "alike",
        "Do the parties' data ask for the same answers?",
        {
            "alike": "yes, they are nearly alike",
            "differ": "they differ, in classes, sizes or devices",
            "contradict": "no: the same input has different right answers",
        },
    ),
    Question(
        "labels",
        "Where does what is to be learned come from?",
        {
            "natural": "it comes by itself: the next word, tomorrow's temperature",
            "made": "people write it down, everywhere by the same rules",
            "missing": "it is missing, or every party has rules of its own",
        },
    ),
    Question(
        "network",
        "What can a party send?",
        {
            "data": "all of its data, in reasonable time and at a reasonable price",
            "models": "a model of some megabytes in every round, but not all of its data",
            "hardly": "something every few days",
        },
    ),
    Question(
        "compute",
        "What can a party compute with?",
        {
            "server": "a machine that trains whenever it is asked",
            "device": "a phone or a small computer, idle now and then",
            "none": "nothing that can train",
        },
    ),
    Question(
        "trust",
        "Who may see a single party's update, and who might cheat?",
        {
            "all": "the server may see updates, and nobody cheats",
            "not-server": "nobody may see a single update",
            "not-clients": "the server may see updates, and some parties might send wrong ones",
            "neither": "nobody may see a single update, and some parties might send wrong ones",
        },
    ),
    Question(
        "gain",
        "Who gains from it?",
        {
            "shared": "those who give data, each about as much as it gives",
            "uneven": "those who give data, but some give far more than they get",
            "others": "others than those who give data, or nobody knows",
        },
    ),
)
