"""What stands in for a GPU's recordings where there is no GPU: the step's own code, run again at the same places."""

import weakref

from fedlearn_helpers import captured


def use(monkeypatch):
    """Record steps on the processor from here on; return the list of what was recorded and replayed."""
    done = []

    def record(step, device):
        take, model, batch = step.func, weakref.ref(step.args[0]), step.args[1]
        for _ in range(captured._WARM_UP + 2):  # as on a GPU: warm-up, and the recording itself
            step()
        done.append("recorded")

        def replay():
            done.append("replayed")
            take(model(), batch)

        return replay

    monkeypatch.setattr(captured, "DEVICE", "cpu")
    monkeypatch.setattr(captured, "record", record)
    monkeypatch.setattr(captured, "_STEPS", weakref.WeakKeyDictionary())
    return done
