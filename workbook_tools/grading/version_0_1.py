"""Names that the notebooks of version 0.1 had, for answers to the notebooks that it handed out.

Such an answer is executed in the workbook's own notebook, which imports less, and calls some things otherwise. Names
whose arguments have changed since are not among them.
"""

import re

_NAMES = {  # by module, as they are called now: as they were called then
    "fedlearn_helpers.algorithms": {"LocalConfig": "Recipe", "weighted_mean": "average_models"},
    "fedlearn_helpers.availability": {"device_mod": "", "draw_devices": "", "timeline": ""},
    "fedlearn_helpers.experiments": {
        "federate": "",
        "make_client_app": "",
        "reference_lines": "",
        "run_in_parallel": "side_by_side",
    },
    "fedlearn_helpers.metrics": {"accuracy_per_class": "", "confusion_matrix": ""},
    "fedlearn_helpers.models": {
        "MODELS": "",
        "count_bytes": "",
        "count_parameters": "",
        "new_cnn": "",
        "new_mlp": "",
    },
    "fedlearn_helpers.partition": {"class_counts": "", "heterogeneity": ""},
    "fedlearn_helpers.progress": {"Progress": ""},
    "fedlearn_helpers.seeds": {"derive_seed": "", "seeded": ""},
    "fedlearn_helpers.training": {"evaluate": "", "normalize": "", "pick_device": "", "train": ""},
}
_MODULES = ("partition", "plots")  # of the package
_GONE = "devices|diagrams|exercises|federation|heterogeneity|landscapes|parameters|personalization|results|strategies"
_SIGN = re.compile(rf"\bfedlearn_helpers\.({_GONE})\b|\b(Recipe|average_models|side_by_side)\b")


def speaks(source: str) -> bool:
    """Return whether code uses a module of version 0.1 that is no longer there, or a name that is another now."""
    return _SIGN.search(source) is not None


def names() -> dict[str, tuple[str, str]]:
    """Return by name in a notebook of version 0.1 the module where it is now, and its name there."""
    return {then or now: (module, now) for module, of in _NAMES.items() for now, then in of.items()}


def code() -> str:
    """Return code for a cell that gives these names their values, unless the notebook has given them others."""
    return (
        "from importlib import import_module as _import_module\n"
        f"for _name in {_MODULES!r}:\n"
        "    globals().setdefault(_name, _import_module(f'fedlearn_helpers.{_name}'))\n"
        f"for _name, (_module, _now) in {names()!r}.items():\n"
        "    globals().setdefault(_name, getattr(_import_module(_module), _now))"
    )
