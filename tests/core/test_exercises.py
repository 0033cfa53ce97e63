"""Exercises: hints, and verdicts on a page. Each lesson's own are tested with the lesson."""

import pytest

from fedlearn_helpers.lessons.common.exercise import Exercise, NotYet, call


def test_hints_come_one_after_the_other(capsys):
    exercise = Exercise("x", "predict", "easy", 1, ("first", "second"), "prediction = 1", lambda answer: "Yes.")
    for _ in range(3):
        exercise.hint()
    assert capsys.readouterr().out.splitlines() == [
        "Hint 1 of 2: first",
        "Hint 2 of 2: second",
        "Hint 2 of 2: second",
        "There is no other hint; exercises.x.solution() shows a solution.",
    ]


def test_verdicts_show_themselves_without_markup_of_the_learner():
    exercise = Exercise("x", "predict", "easy", 1, ("", ""), "p = 1", lambda answer: f"<b>{answer}</b>")
    page = exercise.check("<script>")._repr_html_()
    assert 'data-status="correct"' in page and "✓ Correct." in page
    assert "&lt;b&gt;&lt;script&gt;&lt;/b&gt;" in page and "<script>" not in page
    assert repr(exercise.check(1)).startswith("✓ Correct. <b>1</b>")


def test_a_wrong_answer_is_told_where_help_is():
    def wrong(answer):
        raise NotYet("One more.")

    verdict = Exercise("x", "predict", "easy", 1, ("first",), "p = 1", wrong).check(1)
    assert verdict.message == "One more."
    assert repr(verdict) == "✗ Not yet. One more.\nexercises.x.hint() gives a hint."
    assert "exercises.x.hint() gives a hint." in verdict._repr_html_()
    assert "hint" not in repr(Exercise("x", "predict", "easy", 1, (), None, wrong).check(1)), "graded work has none"


def test_an_error_of_the_answer_is_named_once():
    def divide(number):
        return number / 0

    with pytest.raises(NotYet, match=r"^divide\(1\) raised ZeroDivisionError: division by zero$"):
        call(divide, 1)
