"""The rubric of a project, as data: what is counted from its files, and what an instructor judges.

Nothing in it asks how the claim ended: to refute it counts as much as to confirm it, and "undecided" counts as much
where the numbers say so.
"""

from dataclasses import dataclass

from fedlearn_helpers.project.checks import Check


@dataclass(frozen=True)
class Counted:
    """A criterion that is counted.

    Attributes:
        name: of the criterion.
        asks: what full points need.
        points: for each check that must be done, by its name in `checks.CHECKS`.
    """

    name: str
    asks: str
    points: dict[str, int]

    @property
    def most(self) -> int:
        """The full points."""
        return sum(self.points.values())

    def earned(self, checks: tuple[Check, ...]) -> tuple[int, str]:
        """Return the points of a project, and the sentences that say why."""
        mine = [check for check in checks if check.name in self.points]
        earned = sum(self.points[check.name] for check in mine if check.state == "done")
        return earned, "; ".join(f"{check.state}: {check.sentence}" for check in mine)


@dataclass(frozen=True)
class Judged:
    """A criterion that an instructor judges.

    Attributes:
        name: of the criterion.
        levels: what a project looks like that gets so many points, the best first.
    """

    name: str
    levels: dict[int, str]

    @property
    def most(self) -> int:
        """The full points."""
        return max(self.levels)


COUNTED = (
    Counted(
        "Prediction",
        "a plan with a number in it, older than every run, and not changed afterwards",
        {"plan first": 10},
    ),
    Counted(
        "Reference lines",
        "a client alone (4) and all data pooled (4), in the setting of the claim",
        {"local only": 4, "centralized": 4},
    ),
    Counted(
        "Seeds",
        "at least three seeds of all that is compared (5), and differences seed by seed with their spread (5)",
        {"seeds": 5, "differences": 5},
    ),
    Counted("Every client", "a number for every client in every run, and who is worst off", {"clients": 6}),
    Counted(
        "Equal budget",
        "the planned rounds or bytes for every compared algorithm; reference lines are not counted",
        {"budget": 6},
    ),
    Counted(
        "Sound numbers",
        "all finite, as they were recorded, each mean that of its clients",
        {"numbers": 4},
    ),
    Counted(
        "Tried to break it",
        "the same comparison with three seeds on a second data set, or in a setting that is against the claim",
        {"second setting": 8},
    ),
    Counted(
        "Conclusion",
        "confirmed, refuted or undecided, as the numbers have it: all three count the same (6); "
        "a limitation and what became of the threat are written down (2)",
        {"conclusion": 6, "limits": 2},
    ),
)

JUDGED = (
    Judged(
        "Question and decision",
        {
            12: "one question from a field, clients that exist there, ten answers with reasons, "
            "and what else than a federation would do",
            9: "the same, with one answer that nobody in the field would give",
            6: "a question of the course with the field's words put in",
            0: "no question that the runs could answer",
        },
    ),
    Judged(
        "Federation",
        {
            14: "partition, task and clients fit the field; code of one's own is tested on a case computed by hand",
            10: "they fit; code of one's own runs, and is not tested",
            6: "it runs, with a partition or settings that do not fit the question",
            0: "it does not run, or data of clients or of the test set leak",
        },
    ),
    Judged(
        "Defence",
        {
            14: "says what the runs do not show, what the threat still could do, what it costs in bytes and time, "
            "and what would change the answer; holds against questions",
            10: "limits and threat are named, and are those of this project",
            6: "limits and threat are named, and would fit any project",
            0: "claims more than the numbers allow",
        },
    ),
)

RUBRIC: tuple[Counted | Judged, ...] = (*COUNTED, *JUDGED)


def rubric_table() -> str:
    """Return the rubric as a Markdown table."""
    lines = ["| criterion | points | full points for | by |", "|---|--:|---|---|"]
    for criterion in RUBRIC:
        if isinstance(criterion, Counted):
            asks, who = criterion.asks, "`fedlearn grade`"
        else:
            levels = criterion.levels.items()
            asks, who = "; ".join(f"**{points}** {text}" for points, text in levels), "the instructor"
        lines.append(f"| {criterion.name} | {criterion.most} | {asks} | {who} |")
    return "\n".join(lines)
