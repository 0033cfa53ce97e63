"""The parameters of the notebooks: what each may be, checked before anything else runs."""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from fedlearn_helpers.data import KNOWN_DATASETS
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.files import try_writing


def _known_dataset(value: str) -> str:
    if value not in KNOWN_DATASETS and not (value and os.path.isdir(os.path.expanduser(value))):
        known = ", ".join(repr(name) for name in KNOWN_DATASETS)
        raise ValueError(f"must be {known} or the path of a folder of images")
    return value


def _folder_or_new(value: str) -> str:
    try:
        try_writing(Path(os.path.expanduser(value)))
    except (FileExistsError, NotADirectoryError):
        raise ValueError("must be a folder, or a path where one can be made") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"must be a folder that can be made and written into ({reason})") from None
    return value


def all_or_some(value: str, known: Sequence[str], *, needed: Sequence[str]) -> str:
    """Return "all", or a text with commas between known names, if those that are needed are among them."""
    names = set(known) if value == "all" else set(split_names(value))
    if not set(needed) <= names or names - set(known):
        raise ValueError(
            f"must be 'all', or {', '.join(needed)} and others out of {', '.join(known)}, with commas between them"
        )
    return value


def each(value: str, check: Callable[[str], object]) -> str:
    """Return a text with commas between its names, if each of them passes the check."""
    for name in split_names(value):
        try:
            check(name)
        except InputError as error:
            raise ValueError(f"has one that cannot be used ({error})") from None
    return value


def split_names(text: str) -> tuple[str, ...]:
    """Return the names in a text with commas between them, without spaces; "a, b" gives ("a", "b")."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


DatasetName = Annotated[str, AfterValidator(_known_dataset)]
OutputFolder = Annotated[str, Field(min_length=1), AfterValidator(_folder_or_new)]
Count = Annotated[int, Field(ge=1)]
Images = Annotated[int, Field(ge=100)]  # how many images clients share
Rate = Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Workers = Annotated[int, Field(ge=1)] | Literal["auto"]
Device = Literal["auto", "cpu", "cuda"]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class LessonParameters(BaseModel):
    """Strict: `"10"` is not a number, so that the notebook's own variable is what was checked."""

    model_config = ConfigDict(strict=True, frozen=True)

    seed: Seed
    output_dir: OutputFolder

    @classmethod
    def check(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Check a notebook's parameters, as `check_parameters` does."""
        return check_parameters(cls, values)


def check_images_for(num_clients: int, count: int, each: int) -> None:
    """Raise an InputError if so many training images give some client fewer than `each`, were they dealt evenly."""
    if count < each * num_clients:
        raise InputError(
            f"max_images must be at least {each} times num_clients ({num_clients}), got {count} training images"
        )


def check_parameters(model: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """Check a notebook's parameters; return them as a dict, in the order of the model.

    Args:
        model: what the notebook's parameters may be.
        values: the notebook's variables, such as `globals()`; names the model lacks are ignored.

    Raises:
        InputError: one sentence with every parameter that cannot work.
    """
    try:
        return model.model_validate({name: values[name] for name in model.model_fields if name in values}).model_dump()
    except ValidationError as error:
        problems: dict[str, str] = {}
        for problem in error.errors():
            problems.setdefault(_name(problem), _sentence(problem))
        raise InputError("; ".join(problems.values())) from None


def _name(problem: Mapping[str, Any]) -> str:
    return str(problem["loc"][0]) if problem["loc"] else ""


_EXPONENT = re.compile(r"([-+]?\d+\.?\d*)e([-+]?\d+)", re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?\d+\.?\d*")
_RULES = {
    "missing": "must be set",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be True or False",
    "finite_number": "must be a finite number",
    "string_type": "must be text",
    "string_unicode": "must be text of Unicode characters",
    "string_too_short": "must not be empty",
    "greater_than": "must be > {gt}",
    "greater_than_equal": "must be >= {ge}",
    "less_than": "must be < {lt}",
    "less_than_equal": "must be <= {le}",
    "literal_error": "must be {expected}",
}


def _sentence(problem: Mapping[str, Any]) -> str:
    context = problem.get("ctx", {})
    if not problem["loc"]:  # a rule over several parameters, which names them itself
        return str(context["error"])
    name = _name(problem)
    if name == "workers":
        rule = "must be 'auto' or a whole number >= 1"
    elif problem["type"] == "value_error":
        rule = str(context["error"])
    else:
        limits = {key: _plain(value) for key, value in context.items()}
        rule = _RULES.get(problem["type"], problem["msg"]).format(**limits)
    got = "nothing" if problem["type"] == "missing" else _shown(problem["input"])
    return f"{name} {rule}{_about_yaml(problem)}, got {got}"


def _shown(value: Any) -> str:
    """Return a value on one line."""
    try:
        return repr(value).replace("\n", " ")
    except ValueError:  # a whole number with thousands of digits
        return "a number that is too long to print"


def _about_yaml(problem: Mapping[str, Any]) -> str:
    """Return how to write what YAML, in a file of papermill's or behind its `-y`, took for something else."""
    value = problem["input"]
    if isinstance(value, bool):
        return " (in YAML yes, no, on and off are no texts but True and False)"
    if not isinstance(value, str) or problem["type"] not in ("int_type", "float_type"):
        return ""
    if problem["type"] == "float_type" and (found := _EXPONENT.fullmatch(value)):
        mantissa, point, power = found[1], "" if "." in found[1] else ".0", int(found[2])
        return f" (YAML wants {mantissa}{point}e{power:+})"
    return " (a number has no quotation marks)" if _NUMBER.fullmatch(value) else ""


def _plain(limit: Any) -> Any:
    """Return a whole number without its point: the limit of a rate reads `> 0`, not `> 0.0`."""
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit
