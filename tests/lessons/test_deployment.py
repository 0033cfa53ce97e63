"""The lesson of notebook 10."""

import math

import numpy as np
import psutil
import pytest
from lesson import Lesson, LessonTests, Typed, execute

from fedlearn_helpers.deployment import why_not
from fedlearn_helpers.lessons.deployment import exercises as lesson_exercises
from fedlearn_helpers.on_device import rollout

DONE = "finished:completed"


def noticed(devices):
    return rollout.chance_of_alarm(devices, 10, loss=0.10, gain=0.05, level=0.0125)


def in_groups(items, size):
    return [items[start : start + size] for start in range(0, len(items), size)]


def verdict(*, status=True, missing=True, each_round=True, nobody=True, partly="with failures"):
    """The judgement of a run, with mistakes."""

    def judge(run):
        rounds = run["rounds"]
        if status and run["status"] != DONE:
            return "failed"
        if missing and len(rounds) < run["planned"]:
            return "failed"
        asked, failed = (sum(one[key] for one in rounds) for key in ("asked", "failures"))
        lost = [one["failures"] == one["asked"] and (nobody or one["asked"] > 0) for one in rounds]
        if any(lost) if each_round else asked == failed and asked:
            return "failed"
        return partly if failed else "completed"

    return judge


def roll_back(*, first=0, sides=1, swap=False, strict=False, level=None):
    """The sign test, with mistakes."""

    def decide(worse, better, given):
        worse, better = (better, worse) if swap else (worse, better)
        n = worse + better
        p = sides * sum(math.comb(n, k) for k in range(worse + first, n + 1)) / 2**n
        limit = level or given
        return p < limit if strict else p <= limit

    return decide


def tree(weigh, combine=lambda values, counts: np.average(values, axis=0, weights=counts)):
    """A tree of means, whose nodes count as `weigh` says."""

    def mean(models, examples, fan_out):
        nodes = list(zip(models, examples, strict=True))
        while len(nodes) > 1:
            nodes = [
                (combine([value for value, _ in group], [count for _, count in group]), weigh(group))
                for group in in_groups(nodes, fan_out)
            ]
        return nodes[0][0]

    return mean


def by_examples(models, examples, fan_out):
    return tree(lambda group: sum(count for _, count in group))(models, examples, fan_out)


def two_levels_alone(models, examples, fan_out):
    means = [
        np.average(group, axis=0, weights=counts)
        for group, counts in zip(in_groups(models, fan_out), in_groups(examples, fan_out), strict=True)
    ]
    return np.average(
        means[:fan_out], axis=0, weights=[sum(counts) for counts in in_groups(examples, fan_out)][:fan_out]
    )


def in_place(models, examples, fan_out):
    total = models[0]
    total *= examples[0]
    for model, count in zip(models[1:], examples[1:], strict=True):
        total += count * model
    return total / sum(examples)


A_DAY = {"devices": 10**6, "share": 0.01, "rounds": 24, "parameters": 50_000}
GB = 10**6 * 0.01 * 24 * 50_000 * 8 / 1e9


class TestDeployment(LessonTests):
    lesson = Lesson(
        notebook="10_deployment",
        small={"max_images": 200, "num_devices": 2000, "num_rounds": 2, "servers": "none"},
        metrics={
            "engines",
            "test_accuracy_by_round",
            "parity_relative",
            "refused",
            "scaffold_from_the_global_model_alone",
            "onnx_ms",
            "int8_dynamic_kb",
            "images_in_the_first_two_test_images",
            "three_rounds_more_rolled_back",
            "ms_a_message_1000",
            "seconds_in_this_process",
        },
        bad=[
            ({"num_nodes": 1}, "num_nodes must be >= 2, got 1"),
            ({"num_nodes": 9}, "num_nodes must be <= 8, got 9"),
            ({"num_rounds": 1}, "num_rounds must be >= 2, got 1"),
            ({"num_devices": 1999}, "num_devices must be >= 2000, got 1999"),
            ({"max_images": 99}, "max_images must be >= 100, got 99"),
            ({"servers": "yes"}, "servers must be 'auto' or 'none', got 'yes'"),
            ({"quick": 1}, "quick must be"),
            ({"learning_rate": 0.0}, "learning_rate must be > 0, got 0.0"),
        ],
        wrong={
            "a_day": [
                (GB / 2, "That is one way"),
                (GB * 100, "for all devices"),
                (GB / 24, "for one round"),
                (GB / 4, "has 4 bytes."),
                (GB / 8, "and the model goes both ways"),
                (GB * 2, "8 bytes a number"),
                (GB * 8, "gigabits"),
                (GB * 1e9, "Those are bytes"),
                (GB * 1e3, "Those are MB"),
                (GB * 1e9 / 2**30, "Those are GiB"),
                (GB / 1e3, "Those are TB"),
                (GB * 3.3, "too large"),
                (GB / 3.3, "too small"),
                ("many", "must be a number"),
            ],
            "what_happened": [
                (lambda run: "failed" if run["exit_code"] else "completed", "Do not trust the exit code"),
                (lambda run: "completed" if run["status"] == DONE else "failed", "has not changed at all"),
                (lambda run: "failed" if run["exit_code"] else verdict()(run), "the connection that streamed"),
                (verdict(partly="completed"), "say so"),
                (verdict(partly="failed"), "One of three clients failed"),
                (verdict(each_round=False), "a sum over the rounds"),
                (verdict(missing=False), "Compare the number of rounds"),
                (verdict(nobody=False), "nobody was asked"),
                (verdict(status=False), "Do not trust the exit code"),
                (lambda run: "failed" if "failed" in run["status"] else verdict(status=False)(run), "Somebody stopped"),
                (lambda run: "fine", "must return one of"),
                (lambda run: run["round"], "raised KeyError"),
                (0, "must be a function"),
            ],
            "canary": [
                (roll_back(first=1), "leaves out X = 8"),
                (roll_back(sides=2), "two-sided"),
                (roll_back(swap=True), "for a rise"),
                (roll_back(level=0.05), "Use the level that is given"),
                (lambda worse, better, level: worse > better, "in 5 of 16 cases"),
                (lambda worse, better, level: worse >= 3 * better + 3, "ten times the evidence"),
                (lambda worse, better, level: (worse - better) / max(worse + better, 1) > 0.3, "in 5 of 16 cases"),
                (lambda worse, better, level: False, "40 devices say worse"),
                (lambda worse, better, level: 0.5, "True or False"),
                (0.01, "must be a function"),
            ],
            "canaries": [
                (10, "less than 90 %"),
                (1000, "A smaller number is enough"),
                (55, "a multiple of 10"),
                (0, "from 10 to 2000"),
                (math.nan, "a multiple of 10"),
                ("few", "must be a number"),
            ],
            "bug_hunt": [
                (lambda models, examples, fan_out: np.mean(models, axis=0), "All clients count the same"),
                (tree(len), "still count the same"),
                (tree(lambda group: 1), "still count the same"),
                (
                    lambda models, examples, fan_out: sum(c * m for m, c in zip(models, examples, strict=True)),
                    "That is the sum",
                ),
                (
                    lambda models, examples, fan_out: (
                        sum(c * m for m, c in zip(models, examples, strict=True)) / len(models)
                    ),
                    "by the number of clients",
                ),
                (two_levels_alone, "more than two levels"),
                (in_place, "leave the models"),
                (
                    lambda models, examples, fan_out: by_examples(models, examples, fan_out)[0],
                    "and what is returned has",
                ),
                (lambda models, examples, fan_out: "a mean", "an array of numbers"),
                (0, "must be a function"),
            ],
        },
        given={"a_day": A_DAY, "canaries": {"noticed": noticed}},
        names={
            "np": np,
            "math": math,
            "noticed": noticed,
            "asked_devices": A_DAY["devices"],
            "asked_share": A_DAY["share"],
            "asked_rounds": A_DAY["rounds"],
            "num_parameters": A_DAY["parameters"],
        },
        in_browser=Typed(
            "a_day",
            wrong="asked_devices * asked_share * asked_rounds * num_parameters * 4 / 1e9",
            sentence="That is one way",
            right="asked_devices * asked_share * asked_rounds * num_parameters * 8 / 1e9",
        ),
    )


# With servers


@pytest.mark.notebook
@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
def test_quick_brings_servers_up_refuses_strangers_and_leaves_no_process(tmp_path, monkeypatch):
    mark = "MARK_OF_THE_NOTEBOOK"
    monkeypatch.setenv(mark, str(tmp_path))  # the kernel hands it on to all that it starts
    metrics = execute(TestDeployment.lesson, tmp_path, max_images=400, num_devices=2000, quick=True)["metrics"]
    assert (metrics["engines"], metrics["refused"], metrics["deployed_largest_difference"]) == (2, 4, 0)
    left = [
        process.info["cmdline"]
        for process in psutil.process_iter(["cmdline", "environ", "status"])
        if (process.info["environ"] or {}).get(mark) == str(tmp_path) and process.info["status"] != psutil.STATUS_ZOMBIE
    ]
    assert left == []


# Right answers in another form


@pytest.mark.parametrize("factor", [1.0, 1.005, 0.995])
def test_a_days_bytes_may_be_rounded(factor):
    assert TestDeployment.lesson.check(TestDeployment.lesson.exercises["a_day"], GB * factor).status == "correct"


def test_a_tree_of_means_with_their_counts_is_right():
    exercise = TestDeployment.lesson.exercises["bug_hunt"]
    assert exercise.check(by_examples).status == "correct"
    flat = lambda models, examples, fan_out: np.average(models, axis=0, weights=examples)  # noqa: E731
    assert exercise.check(flat).status == "correct"


def test_every_judgement_that_follows_the_text_is_right():
    assert TestDeployment.lesson.exercises["what_happened"].check(verdict()).status == "correct"


def test_the_sign_test_of_the_package_decides_alike():
    decide = lambda worse, better, level: rollout.sign_test(worse, better) <= level  # noqa: E731
    assert TestDeployment.lesson.exercises["canary"].check(decide).status == "correct"


def test_the_fewest_canaries_are_right_and_no_other():
    exercise = TestDeployment.lesson.exercises["canaries"]
    fewest = next(count for count in range(10, 2001, 10) if noticed(count) >= 0.9)
    statuses = {count: exercise.check(count, noticed=noticed).status for count in range(10, 131, 10)}
    assert [count for count, status in statuses.items() if status == "correct"] == [fewest]
    assert 10 < fewest < 130


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        ("a_day", "prediction"),
        ("what_happened", "verdict"),
        ("canary", "roll_back"),
        ("canaries", "fewest"),
        ("bug_hunt", "mended"),
    ],
)
def test_a_solution_defines_its_answer_and_no_name_that_the_notebook_uses(exercise, answer):
    names = {"__builtins__": __builtins__} | dict(TestDeployment.lesson.names)
    before = set(names)
    exec(TestDeployment.lesson.exercises[exercise].solution_source, names)
    assert set(names) - before == {answer}


def test_all_sentences_about_runs_can_come():
    """Each run of the exercise is the first mistake of some answer: none is there for nothing."""
    right = {index: right for index, (_, right, _) in enumerate(lesson_exercises._RUNS)}
    assert set(right.values()) == {"completed", "with failures", "failed"}
