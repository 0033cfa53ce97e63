"""The files that make an environment agree with each other."""

import re
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement

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


def test_conda_users_get_the_same_pins():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    names = [entry if isinstance(entry, str) else next(iter(entry)) for entry in environment["dependencies"]]
    assert [name.partition("=")[0] for name in names] == ["python", "pip", "pip"]
    assert environment["dependencies"][-1]["pip"] == ["-r requirements.txt", "-e ."]


def test_ranges_accept_what_colab_has():
    colab = {"torch": "2.11.0", "torchvision": "0.26.0", "numpy": "2.1.0", "pandas": "2.2.2", "matplotlib": "3.10.0"}
    colab |= {"ipython": "7.34.0", "ipywidgets": "7.7.1"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    ranges = {Requirement(line).name: Requirement(line).specifier for line in project["dependencies"]}
    for name, version in colab.items():
        assert ranges[name].contains(version), name


def test_readme_names_the_commands_that_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`?make (\w+)`?", (ROOT / "README.md").read_text()):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_readme_lists_the_contents():
    from fedlearn_helpers import contents

    readme = (ROOT / "README.md").read_text()
    for entry in contents.entries():
        assert f"| [{entry.name[:2]} {entry.title}](notebooks/{entry.name}.ipynb) | {entry.teaches} |" in readme
