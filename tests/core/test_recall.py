"""Recall questions and claims: what all lessons build theirs from."""

import pytest

from fedlearn_helpers.lessons.common.claims import difference
from fedlearn_helpers.lessons.common.recall import Option, Question, Recall

RECALL = Recall(
    (
        Question("Is 1 < 2?", (Option("yes", "Count: 1 & then 2.", right=True), Option("no", "<b>Count</b> again."))),
        Question("Who averages?", (Option("a client", "It trains."), Option("the server", "So.", right=True)), of="00"),
    )
)


def test_every_option_is_a_fold_with_its_reason():
    page = RECALL._repr_html_()
    assert page.count("<details") == page.count("</details>") == 4
    assert page.count("✓ Right.") == 2 and page.count("✗ No.") == 2
    assert "✗ No.</strong> &lt;b&gt;Count&lt;/b&gt; again." in page
    assert "Is 1 &lt; 2?" in page and "Who averages? (notebook 00)" in page


def test_as_text_it_does_not_give_answers_away():
    assert repr(RECALL).splitlines()[:3] == ["1. Is 1 < 2?", "   A. yes", "   B. no"]
    assert "Count" not in repr(RECALL) and "✓" not in repr(RECALL)


def test_the_answer_is_the_right_option():
    assert [question.answer.text for question in RECALL.questions] == ["yes", "the server"]


@pytest.mark.parametrize(
    ("metrics", "margins"), [({"a": 0.75, "b": 0.5}, [0.25]), ({"a": [0.5, 0.25], "b": [0.25, 0.5]}, [0.25, -0.25])]
)
def test_a_difference_has_a_margin_for_every_seed(metrics, margins):
    assert difference("a", "b")(metrics) == margins


def test_lists_of_other_seeds_have_no_difference():
    with pytest.raises(ValueError, match="zip"):
        difference("a", "b")({"a": [0.5], "b": [0.25, 0.5]})
