"""Two projects to be marked: one as it should be, and one as it should not be."""

import json
from dataclasses import asdict

import numpy as np

from fedlearn_helpers.decision import CASES
from fedlearn_helpers.project import Plan, Project
from fedlearn_helpers.project.records import Record

ANSWERS = next(case.answers for case in CASES if case.name == "Bearings of a wind farm")
MAIN, SECOND = "many kinds of wind", "one kind of wind"
CLIENTS = ("north", "south", "sea")
GOOD = {
    "question": "Does SCAFFOLD help turbines that stand in different winds?",
    "field": "wind energy",
    "clients": "three wind farms with different turbines",
    "answers": ANSWERS,
    "dataset": "bearings",
    "settings": (MAIN, SECOND),
    "algorithms": ("fedavg", "scaffold"),
    "baseline": "fedavg",
    "metric": "accuracy",
    "prediction": "It gains, since farms pull in different directions.",
    "predicted_difference": 0.05,
    "refuted_by": "A clear loss over all seeds.",
    "budget": 10,
    "threat": "A farm that sends wrong updates to hide its failures.",
}


def plan(**changed):
    return Plan(**(GOOD | changed))


def per_client(seed, gain):
    """The worst is south; the seed shifts all alike, so that differences of one seed are steadier than the means."""
    noise = 0.02 * np.sin(7 * seed)
    return dict(zip(CLIENTS, (0.7 + gain + noise, 0.5 + gain - noise / 2, 0.6 + gain + noise), strict=True))


def record_all(project, gain, second_gain=0.0, seeds=(0, 1, 2)):
    """Record both reference lines and both algorithms; scaffold gains about so much."""
    for seed in seeds:
        for algorithm, more in {"local only": -0.1, "centralized": 0.15}.items():
            project.record(MAIN, algorithm, seed, per_client(seed, more), rounds=0, num_bytes=0)
        for setting, mine in {MAIN: gain, SECOND: second_gain}.items():
            for algorithm, more in {"fedavg": 0.0, "scaffold": mine + 0.001 * seed}.items():
                options = {"rounds": 10, "num_bytes": 1000 * (1 + (algorithm == "scaffold")), "seconds": 3.5}
                project.record(setting, algorithm, seed, per_client(seed, more), **options)


def good_project(folder, gain=0.04, outcome="confirmed"):
    project = Project(folder, plan())
    record_all(project, gain)
    texts = {"limitation": "Three farms are few farms.", "threat": "A farm that lies was not tried."}
    project.conclude(outcome, "All seeds are on the same side.", **texts)
    return project


def poor_project(folder):
    """One seed, no baseline and no reference line, a prediction that was changed, and a conclusion against all that."""
    project = Project(folder, plan(settings=(MAIN,)))
    project.record(MAIN, "scaffold", 0, per_client(0, 0.01), rounds=25, num_bytes=5000)
    project.conclude("confirmed", "It is better, as can be seen.")
    edit(folder / "plan.json", lambda content: content["plan"].update(predicted_difference=0.01))
    return project


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def forge(content):
    """Write all means' hashes anew, as somebody could who has read the code."""
    last = content["plan_sha256"]
    for row in content["records"]:
        record = Record(
            **{name: row[name] for name in asdict(Record("a", "b", 0, {"c": 1}, 0, 0, None, row["recorded"]))}
        )
        row["sha256"] = last = record.digest(last)
