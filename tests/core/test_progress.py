"""The progress line, on a terminal, in a notebook and elsewhere."""

import io
from types import SimpleNamespace

import IPython.display
import pytest

from fedlearn_helpers import progress
from fedlearn_helpers.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still unless the test moves it."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.fixture
def notebook(monkeypatch):
    """Pretend to be in a notebook, and collect the HTML that it would show: [state, state, ...]."""
    shown = []

    def display(thing, display_id):
        assert display_id is True and not shown, "there must be one display, updated in place"
        shown.append(thing._repr_html_())
        return SimpleNamespace(update=lambda thing: shown.append(thing._repr_html_()))

    monkeypatch.setattr(progress, "_in_notebook", lambda: True)
    monkeypatch.setattr(IPython.display, "display", display)
    return shown


def test_terminal_shows_one_line_that_is_overwritten(clock):
    stream = Terminal()
    with Progress(3, "Round", stream) as bar:
        clock.now += 1
        bar.update(2, "accuracy 0.5")
        clock.now += 1
        bar.update(3, "accuracy 0.6")
    lines = stream.getvalue().split("\r\x1b[K")
    assert lines == [
        "",
        "Round 0/3",
        "Round 2/3 · accuracy 0.5",
        "Round 3/3 · accuracy 0.6",
        "Round 3/3 · accuracy 0.6\n",
    ]


def test_updates_in_quick_succession_are_not_drawn_but_the_last_state_is(clock):
    stream = Terminal()
    with Progress(1000, "Image", stream) as bar:
        for i in range(1, 1001):
            bar.update(i)
    assert stream.getvalue().split("\r\x1b[K") == ["", "Image 0/1000", "Image 1000/1000\n"]


def test_total_may_be_unknown():
    bar = Progress(None, "Downloading", Terminal())
    bar.update(7.9)
    assert str(bar) == "Downloading 7"


def test_pipe_stays_silent(clock, capsys):
    stream = io.StringIO()
    with Progress(3, "Round", stream) as bar:
        clock.now += 1
        bar.update(3)
    with Progress(3, "Round"):
        pass
    assert stream.getvalue() == ""
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("error", "last"),
    [(KeyboardInterrupt, "Round 1/3 · interrupted"), (ValueError, "Round 1/3 · stopped by ValueError")],
)
def test_last_line_says_how_it_ended(clock, error, last):
    stream = Terminal()
    with pytest.raises(error), Progress(3, "Round", stream) as bar:
        bar.update(1, "accuracy 0.5")
        raise error
    assert stream.getvalue().endswith(f"{last}\n")


def test_notebook_updates_one_element_in_place(clock, notebook, capsys):
    with Progress(3, "Round") as bar:
        clock.now += 1
        bar.update(2, "half")
    assert len(notebook) == 3
    assert 'max="3" value="0"' in notebook[0] and "Round 0/3" in notebook[0]
    assert 'max="3" value="2"' in notebook[1] and "Round 2/3 · half" in notebook[1]
    assert capsys.readouterr() == ("", "")


def test_saved_notebook_shows_the_interruption(clock, notebook):
    with pytest.raises(KeyboardInterrupt), Progress(3, "Round") as bar:
        bar.update(1, "accuracy 0.5")
        raise KeyboardInterrupt
    assert "Round 1/3 · interrupted" in notebook[-1] and "accuracy" not in notebook[-1]


def test_html_is_escaped():
    bar = Progress(2, '<b>"a"</b> & b', Terminal())
    bar.update(1, "<script>alert(1)</script>")
    markup = bar._repr_html_()
    assert 'aria-label="&lt;b&gt;&quot;a&quot;&lt;/b&gt; &amp; b"' in markup
    assert "<script>" not in markup and "<b>" not in markup
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in markup


def test_html_has_no_bounds_when_the_total_is_unknown():
    markup = Progress(None, "Downloading", Terminal())._repr_html_()
    assert "<progress" in markup and "max=" not in markup and "None" not in markup


def test_a_test_run_is_no_notebook():
    assert progress._in_notebook() is False


def test_without_a_label_nothing_is_shown(capsys):
    stream = Terminal()
    with Progress(3, None, stream) as progress:
        progress.update(2)
    assert stream.getvalue() == "" and capsys.readouterr() == ("", "")
