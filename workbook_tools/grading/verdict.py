"""Checks an answer with the package as it is on disk, whatever was done to the one in memory.

The source of this file is executed in the kernel of a submission: it may import nothing of the package up here.
"""

import importlib
import sys
from typing import Any

MEDIA_TYPE = "application/vnd.fedlearn.verdict+json"
_PACKAGE = "fedlearn_helpers"


def show_verdict(root: str, module: str, name: str, token: str, answer: Any, **given: Any) -> None:
    """Check an answer and display what came of it, for the program that executes the notebook.

    Args:
        root: the folder that holds the package.
        module, name: of the exercise.
        token: to be displayed with the verdict.
        answer, given: as in `Exercise.check`.
    """
    from IPython.display import display

    status, message = _check(root, module, name, answer, given)
    display({MEDIA_TYPE: {"token": token, "name": name, "status": status, "message": message}}, raw=True)


def _check(root: str, module: str, name: str, answer: Any, given: dict[str, Any]) -> tuple[str, str]:
    if str(getattr(answer, "__module__", "")).partition(".")[0] == _PACKAGE:
        return "not yet", "The answer is a part of the package, and it must be your own."
    in_memory = {key: sys.modules.pop(key) for key in list(sys.modules) if key.partition(".")[0] == _PACKAGE}
    path = sys.path[:]
    sys.path.insert(0, root)
    importlib.invalidate_caches()
    try:
        exercise = getattr(importlib.import_module(f"{_PACKAGE}.lessons.{module}.exercises"), name)
        verdict = exercise.check(answer, **given)
        return verdict.status, verdict.message
    except Exception as error:
        return "crashed", " ".join(f"{type(error).__name__}: {error}".split())
    finally:
        for key in [key for key in sys.modules if key.partition(".")[0] == _PACKAGE]:
            del sys.modules[key]
        sys.modules.update(in_memory)
        sys.path[:] = path
