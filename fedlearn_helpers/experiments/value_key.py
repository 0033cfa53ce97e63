"""What tells one value or function from another: the same text in every process, another one for another value."""

import dis
import functools
import hashlib
import sys
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

_SIMPLE = (type(None), bool, int, float, complex, str, bytes)
_FUNCTIONS = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, functools.partial, type)
_CHANGES_IN_A_RUN = (list, dict, set, bytearray)


def is_function(value: object) -> bool:
    """Tell whether a value is code alone: a function, method or class, and no object that happens to be callable."""
    return isinstance(value, _FUNCTIONS)


def value_key(value: object) -> str:
    """Return a text that tells a value from others.

    Arrays, tensors, models and other objects count by what is in them. An object that hides what is in it, such as a
    lock, counts by its type.
    """
    if type(value) in _SIMPLE:
        return repr(value)
    return function_key(value) if is_function(value) else digest_of_values([value])


def function_key(function: object) -> str:
    """Return a name of a function, and a hash of its code and of what it holds.

    What it holds are defaults, arguments of a partial, variables around it, and the global variables that it reads, in
    turn with what those hold: another constant or helper function in a notebook makes another key. Code of libraries
    and of this package is told by its name and not followed: versions tell it. Lists, dictionaries and sets count by
    their type alone, since they may be where a function counts or collects, which changes in a run.
    """
    if function is None:
        return "None"
    named: Any = function
    prefix = ""
    while isinstance(named, functools.partial):
        named, prefix = named.func, prefix + "partial of "
    named = named if hasattr(named, "__qualname__") else type(named)
    return f"{prefix}{named.__module__}.{named.__qualname__} {digest_of_values([function])[:8]}"


def digest_of_values(values: Iterable[object]) -> str:
    """Return one hash of values, in their order."""
    digest = _Digest()
    for value in values:
        digest.add(value)
    return digest.text()


class _Digest:
    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._seen: dict[int, int] = {}  # by id, which was the how manieth
        self._alive: list[object] = []  # what has been seen stays, or another thing could get its id

    def text(self) -> str:
        return self._hash.hexdigest()[:16]

    def add(self, value: Any) -> None:
        """Add a value, and all that it holds."""
        kind = type(value)
        self._say(f"{kind.__module__}.{kind.__qualname__}")
        if kind in _SIMPLE:
            self._say(repr(value))
        elif isinstance(value, torch.Tensor):
            self._add_tensor(value)
        elif isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
            self._say(f"{value.dtype.str} {value.shape}")
            self._say(np.ascontiguousarray(value).tobytes())
        elif kind in (list, tuple):
            self._add_all(value)
        elif kind in (set, frozenset):
            self._add_all(sorted(digest_of_values([entry]) for entry in value))
        elif kind is dict:
            self._add_all(part for item in value.items() for part in item)
        elif isinstance(value, types.CodeType):
            self._add_code(value)
        elif isinstance(value, types.ModuleType):
            self._add_module(value)
        elif id(value) in self._seen:
            self._say(f"number {self._seen[id(value)]}")
        else:
            self._seen[id(value)] = len(self._seen)
            self._alive.append(value)
            self._add_object(value)

    def _say(self, what: str | bytes | memoryview) -> None:
        data = what.encode(errors="surrogatepass") if isinstance(what, str) else what
        self._hash.update(b"%d:" % len(data))
        self._hash.update(data)

    def _add_all(self, values: Iterable[object]) -> None:
        values = list(values)
        self._say(str(len(values)))
        for value in values:
            self.add(value)

    def _add_held(self, value: object) -> None:
        """Add what a function holds."""
        self.add(type(value) if isinstance(value, _CHANGES_IN_A_RUN) else value)

    def _add_tensor(self, tensor: torch.Tensor) -> None:
        self._say(f"{tensor.dtype} {tuple(tensor.shape)} {tensor.requires_grad}")
        plain = tensor.detach().cpu().contiguous().reshape(-1)
        self._say(b"" if plain.numel() == 0 else plain.view(torch.uint8).numpy().data)

    def _add_object(self, value: Any) -> None:
        if isinstance(value, types.FunctionType):
            self._add_function(value)
        elif isinstance(value, types.MethodType):
            self._add_all([value.__func__, value.__self__])
        elif isinstance(value, functools.partial):
            self.add(value.func)
            for held in (*value.args, *value.keywords, *value.keywords.values()):
                self._add_held(held)
        elif isinstance(value, type):
            self._add_class(value)
        elif isinstance(value, nn.Module):
            self._add_model(value)
        elif isinstance(value, torch.Generator):
            self.add(value.get_state())
        else:
            self._add_all([type(value), _parts_of(value)])

    def _add_function(self, function: types.FunctionType) -> None:
        self._say(f"{function.__module__}.{function.__qualname__}")
        own = _is_own(function.__module__)
        if own or function.__name__ == "<lambda>":  # others are told by their names
            self.add(function.__code__)
        defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
        for held in (*defaults, *_around(function)):
            self._add_held(held)
        if own:
            for name in _globals_read(function.__code__):
                if name in function.__globals__:
                    self._say(name)
                    self._add_held(function.__globals__[name])

    def _add_code(self, code: types.CodeType) -> None:
        self._add_all([code.co_code, code.co_names, code.co_varnames, code.co_freevars, code.co_consts])

    def _add_class(self, kind: type) -> None:
        self._say(f"{kind.__module__}.{kind.__qualname__}")
        for own in (base for base in kind.__mro__ if _is_own(base.__module__)):
            for name, member in vars(own).items():
                member = getattr(member, "__func__", getattr(member, "fget", member))
                if isinstance(member, types.FunctionType) or not name.startswith(("__", "_abc_")):
                    self._say(name)
                    self._add_held(member)

    def _add_module(self, module: types.ModuleType) -> None:
        self._say(module.__name__)
        file = getattr(module, "__file__", None)
        if file is not None and _is_own(module.__name__):
            self._say(Path(file).read_bytes())

    def _add_model(self, model: nn.Module) -> None:
        """Add layers, what they have been told, and all numbers; whether it is training decides nothing."""
        for name, layer in model.named_modules():
            self._say(name)
            self.add(type(layer))
            told = {name: value for name, value in vars(layer).items() if not name.startswith("_")}
            self.add({name: value for name, value in told.items() if name != "training"})
        numbers = (*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False))
        self._add_all(part for item in numbers for part in item)


def _parts_of(value: object) -> object:
    """Return what an object is made of, as `copy.copy` takes it apart; its type's name if it hides that."""
    try:
        parts = value.__reduce_ex__(4)
    except Exception:  # each kind of object has an error of its own for this
        return type(value).__qualname__
    if isinstance(parts, str):  # its name, and perhaps the function that it wraps
        return [parts, dict(getattr(value, "__dict__", {}))]
    return [list(part) if isinstance(part, Iterator) else part for part in parts]


def _around(function: types.FunctionType) -> list[object]:
    """Return the values of the variables around a function that it uses, in their order."""
    found = []
    for cell in function.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:  # it has no value yet
            found.append(None)
    return found


def _globals_read(code: types.CodeType) -> list[str]:
    """Return the global names that code reads and never sets, those of functions inside it included."""
    read, written = set(), set()
    waiting = [code]
    while waiting:
        part = waiting.pop()
        waiting += [constant for constant in part.co_consts if isinstance(constant, types.CodeType)]
        for instruction in dis.get_instructions(part):
            if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                read.add(instruction.argval)
            elif instruction.opname == "STORE_GLOBAL":
                written.add(instruction.argval)
    return sorted(read - written)


@functools.cache
def _is_own(module: str | None) -> bool:
    """Tell whether a module is of whoever uses the package: of no library, and not of the package itself."""
    root = (module or "builtins").partition(".")[0]
    if root == "__main__":
        return True
    if root in sys.stdlib_module_names or root == "fedlearn_helpers":
        return False
    file = getattr(sys.modules.get(module or ""), "__file__", None) or ""
    return not {"site-packages", "dist-packages"} & set(Path(file).parts)
