"""What goes through a channel arrives, small or large, from the other process too."""

import os
import sys

import numpy as np
import pytest

from fedlearn_helpers.simulation import channel as module

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="channels need Linux")

SMALL, LARGE = bytes(range(256)), np.random.default_rng(0).bytes(300_000)


@pytest.fixture
def ends():
    files = len(os.listdir("/proc/self/fd"))
    pair = module.Channel.pair()
    yield pair
    for end in pair:
        end.close()
    assert len(os.listdir("/proc/self/fd")) == files


@pytest.mark.parametrize("thing", [None, SMALL, LARGE, [LARGE, SMALL, LARGE[::-1], LARGE], {"a": (1, LARGE)}, b""])
def test_what_is_sent_arrives(ends, thing):
    ours, theirs = ends
    for _ in range(2):  # there and back, and again
        ours.send(thing)
        assert theirs.receive() == thing
        theirs.send([thing, thing])
        assert ours.receive() == [thing, thing]


def test_large_strings_do_not_go_through_the_pipe(ends):
    ours, theirs = ends
    ours.send([SMALL, LARGE, LARGE])  # twice: it would fill the pipe, and nobody is reading
    assert theirs.receive() == [SMALL, LARGE, LARGE]


def test_what_has_arrived_stays_when_the_next_thing_comes(ends):
    ours, theirs = ends
    ours.send(LARGE)
    first = theirs.receive()
    ours.send(LARGE[::-1])
    assert theirs.receive() == LARGE[::-1]
    assert first == LARGE


def test_the_system_may_take_and_give_less_than_asked(ends, monkeypatch):
    pwrite, pread = os.pwrite, os.pread
    monkeypatch.setattr(module.os, "pwrite", lambda file, data, start: pwrite(file, data[:70_001], start))
    monkeypatch.setattr(module.os, "pread", lambda file, size, start: pread(file, min(size, 90_001), start))
    ours, theirs = ends
    ours.send([LARGE, LARGE[::-1]])
    assert theirs.receive() == [LARGE, LARGE[::-1]]


def test_a_closed_end_is_noticed():
    ours, theirs = module.Channel.pair()
    theirs.close()
    with pytest.raises(EOFError):
        ours.receive()
    with pytest.raises(OSError):
        ours.send(LARGE)
    ours.close()


def test_between_processes():
    ours, theirs = module.Channel.pair()
    if (pid := os.fork()) == 0:
        try:
            ours.close()
            theirs.send(theirs.receive()[::-1])
        finally:
            os._exit(0)
    theirs.close()
    ours.send(LARGE)
    assert ours.receive() == LARGE[::-1]
    with pytest.raises(EOFError):
        ours.receive()
    ours.close()
    os.waitpid(pid, 0)
