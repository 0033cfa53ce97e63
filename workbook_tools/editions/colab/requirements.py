"""What an edition's first cell looks for, and installs where it is missing."""

from collections.abc import Collection, Iterable
from importlib.metadata import requires, version

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# Colab lacks these, or may lack them, and runs with them as they are. Installed with what they depend on they would
# replace packages that Colab has: health checking from 1.72 on wants a newer protobuf, Flower other web servers.
_ALONE = (
    f"flwr=={version('flwr')}",
    "aiosqlite",
    "alembic<2",
    "grpcio-health-checking<1.72",
    "httptools",
    "iterators==0.0.2",
    "mako",
    "msgpack",
    "pathspec<2",
    "pycryptodome",
    "python-dotenv",
    "tomli",
    "tomli-w",
)
_EXTRAS = {"privacy": "privacy", "on_device": "device"}  # by the folder of the package that needs it
_NOT_USED = {"uv"}  # Flower's runtime installs apps with it; a notebook has no app to install


def alone() -> dict[str, str]:
    """Return the requirements by name that are installed without what they depend on."""
    return _by_name(_ALONE)


def with_dependencies(folders: Collection[str] = ()) -> dict[str, str]:
    """Return the other requirements by name: Flower's, the workbook's own, and those of the extras that are needed.

    Args:
        folders: of the package, those that the edition has.
    """
    own = requires("fedlearn-helpers")
    wanted = _by_name(_core(requires("flwr"))) | _by_name(_core(own))
    for folder, extra in _EXTRAS.items():
        if folder in folders:
            wanted |= _by_name(_of_extra(own, extra))
    return {name: wanted[name] for name in sorted(wanted) if name not in alone() and name not in _NOT_USED}


def _core(requirements: list[str] | None) -> list[str]:
    """Leave out what belongs to extras."""
    return [line for line in requirements or [] if "extra ==" not in str(Requirement(line).marker)]


def _of_extra(requirements: list[str] | None, extra: str) -> list[str]:
    found = map(Requirement, requirements or [])
    return [
        f"{each.name}{each.specifier}"
        for each in found
        if each.marker and not each.marker.evaluate({"extra": ""}) and each.marker.evaluate({"extra": extra})
    ]


def _by_name(requirements: Iterable[str]) -> dict[str, str]:
    return {canonicalize_name(wanted.name): str(wanted) for wanted in map(Requirement, requirements)}
