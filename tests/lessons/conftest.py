"""Parameters of the tests that every lesson passes, a screen for widgets, no network, and a cache of their own."""

import os

import pytest
from no_network import NetworkLog

pytest.register_assert_rewrite("lesson")


def pytest_generate_tests(metafunc):
    """Give a lesson's test what the lesson has of it."""
    lesson = getattr(metafunc.cls, "lesson", None)
    if lesson is None:
        return
    if "exercise" in metafunc.fixturenames:
        metafunc.parametrize("exercise", lesson.exercises.values(), ids=list(lesson.exercises))
    if "wrong" in metafunc.fixturenames:
        wrong = [(lesson.exercises[name], *entry) for name, entries in lesson.wrong.items() for entry in entries]
        ids = [f"{name}-{number}" for name, entries in lesson.wrong.items() for number in range(len(entries))]
        metafunc.parametrize("wrong", wrong, ids=ids)
    if "bad" in metafunc.fixturenames:
        metafunc.parametrize("bad", lesson.bad, ids=[str(values) for values, _ in lesson.bad])
    if "bad_run" in metafunc.fixturenames:
        chosen = lesson.worth_a_run()
        metafunc.parametrize("bad_run", chosen, ids=[str(values) for values, _ in chosen])


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """Keep the cache apart from the user's, unless a run of all tests shares one."""
    if "FEDLEARN_CACHE" not in os.environ:
        os.environ["FEDLEARN_CACHE"] = str(tmp_path_factory.mktemp("cache"))
        yield
        del os.environ["FEDLEARN_CACHE"]
    else:
        yield


@pytest.fixture(autouse=True)
def network_log(tmp_path_factory, monkeypatch):
    """Whatever a test starts, kernels above all, has no network, and the test fails if it asks for something."""
    log = NetworkLog(tmp_path_factory.mktemp("network") / "asked.txt")
    environment = log.environment()
    for name in set(os.environ) - set(environment):
        monkeypatch.delenv(name)
    for name, value in environment.items():
        if os.environ.get(name) != value:
            monkeypatch.setenv(name, value)
    yield log
    assert log.take() == [], "the network was asked for something"


@pytest.fixture
def screen(monkeypatch):
    """Everything a widget shows: the boxes of controls, the figures' alt texts, the newest last, and the text now."""
    from fedlearn_helpers import plots
    from fedlearn_helpers.lessons.common import widgets

    class Screen:
        boxes, alts = [], []

        def control(self, description):
            (box,) = self.boxes
            (found,) = [child for child in box.children if getattr(child, "description", None) == description]
            return found

        @property
        def text(self):
            return self.boxes[0].children[-1].value

    screen = Screen()
    screen.boxes, screen.alts = [], []
    monkeypatch.setattr(widgets, "show", lambda box, figures: screen.boxes.append(box))
    monkeypatch.setattr(plots, "image", lambda figure, alt: screen.alts.append(alt) or "<img>")
    return screen
