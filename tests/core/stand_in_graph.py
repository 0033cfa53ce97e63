"""What stands in for a GPU's recordings where there is no GPU: the step's own code, run again at the same places."""

import functools
import weakref

from fedlearn_helpers import captured


def use(monkeypatch):
    """Record steps on the processor from here on; return the list of what was recorded and replayed."""
    done = []

    def record(step, device):
        for _ in range(captured._WARM_UP + 2):  # as on a GPU: warm-up, and the recording itself
            step()
        done.append("recorded")
        if isinstance(step, functools.partial):  # a recording does not hold the model
            (model, *others), take = step.args, step.func
            reference = weakref.ref(model)
            step = lambda: take(reference(), *others)  # noqa: E731

        def replay():
            done.append("replayed")
            step()

        return replay

    monkeypatch.setattr(captured, "DEVICE", "cpu")
    monkeypatch.setattr(captured, "record", record)
    monkeypatch.setattr(captured, "_RECORDINGS", weakref.WeakKeyDictionary())
    return done
