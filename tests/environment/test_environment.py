"""The files that make an environment agree with each other."""

import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import fedlearn_helpers

ROOT = Path(__file__).parents[2]
PINS = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and not line.startswith("#")]


def test_every_pin_is_exact_and_names_no_host():
    for line in PINS:
        assert re.fullmatch(r"[a-z0-9.-]+==[^ ;]+( ; .+)?", line), line


def test_pins_satisfy_the_ranges():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for extra in project["optional-dependencies"].values() for line in extra]
    pinned = {Requirement(line).name: str(Requirement(line).specifier).removeprefix("==") for line in PINS}
    for line in project["dependencies"] + extras:
        wanted = Requirement(line)
        assert wanted.name in pinned, line
        assert wanted.specifier.contains(pinned[wanted.name]), line


def test_the_package_states_the_version_that_is_built():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert fedlearn_helpers.__version__ == project["version"]


def test_conda_users_get_the_same_pins():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    names = [entry if isinstance(entry, str) else next(iter(entry)) for entry in environment["dependencies"]]
    assert [name.partition("=")[0] for name in names] == ["python", "pip", "pip"]
    assert environment["dependencies"][-1]["pip"] == ["-r requirements.txt", "-e ."]


def test_ranges_accept_what_colab_has():
    lines = (ROOT / "tests" / "colab" / "requirements-colab.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    colab = {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in pins}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    ranges = {Requirement(line).name: Requirement(line).specifier for line in project["dependencies"]}
    for name in set(ranges) - {"flwr"}:  # which Colab does not have
        assert ranges[name].contains(colab[name]), name


def test_readme_names_the_commands_that_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`?make (\w+)`?", (ROOT / "README.md").read_text()):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_readme_lists_the_contents():
    from fedlearn_helpers.lessons.common import contents

    readme = (ROOT / "README.md").read_text()
    for entry in contents.entries():
        assert f"| [{entry.name[:2]} {entry.title}](notebooks/{entry.name}.ipynb) | {entry.teaches} |" in readme
