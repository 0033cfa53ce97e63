"""Files for those who cite, report, commit and release: they can be read, and say what the project says elsewhere."""

import configparser
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import fedlearn_helpers

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOWS = sorted(GITHUB.glob("workflows/*.yml"))
FORMS = sorted(set(GITHUB.glob("ISSUE_TEMPLATE/*.yml")) - {GITHUB / "ISSUE_TEMPLATE" / "config.yml"})
YAML_FILES = [*ROOT.glob("*.yml"), *ROOT.glob("*.yaml"), *GITHUB.rglob("*.yml"), ROOT / "CITATION.cff"]
TOML_FILES = [ROOT / "pyproject.toml", ROOT / "flower_app" / "pyproject.toml"]


def read_yaml(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def commands(workflow):
    """The lines that a workflow runs, as words."""
    steps = [step for job in read_yaml(workflow)["jobs"].values() for step in job["steps"]]
    return [shlex.split(line) for step in steps for line in step.get("run", "").splitlines()]


def matrix_of(name):
    return read_yaml(GITHUB / "workflows" / "check.yml")["jobs"]["check"]["strategy"]["matrix"][name]


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: path.name)
def test_yaml_can_be_read(path):
    assert isinstance(read_yaml(path), dict)


@pytest.mark.parametrize("path", TOML_FILES, ids=lambda path: path.parent.name)
def test_toml_can_be_read(path):
    assert tomllib.loads(path.read_text(encoding="utf-8"))


def test_editors_get_the_line_length_of_ruff():
    editors = configparser.ConfigParser()
    editors.read_string("[top]\n" + (ROOT / ".editorconfig").read_text())
    ruff = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]
    assert editors["*.py"]["max_line_length"] == str(ruff["line-length"])


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_make_what_the_makefile_has(workflow):
    rules = re.findall(r"^([\w .-]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    targets = {target for rule in rules for target in rule.split()}
    calls = [words[1:] for words in commands(workflow) if words[0] == "make"]
    wanted = {word for words in calls for word in words if not word.startswith("-") and "=" not in word}
    assert wanted and wanted <= targets


def test_the_weekly_environment_has_all_extras():
    (install,) = [words for words in commands(GITHUB / "workflows" / "weekly.yml") if "install" in words]
    assert set(Requirement(f"here{install[-1].removeprefix('.')}").extras) == set(PROJECT["optional-dependencies"])


def test_the_pythons_that_are_checked_are_those_that_are_promised():
    prefix = "Programming Language :: Python :: 3."
    promised = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if line.startswith(prefix)]
    assert matrix_of("python") == promised
    assert PROJECT["requires-python"] == f">={promised[0]}"


def test_hooks_call_tools_of_the_environment():
    tools = {Requirement(line).name for line in PROJECT["optional-dependencies"]["tests"]}
    for repository in read_yaml(ROOT / ".pre-commit-config.yaml")["repos"]:
        assert repository["repo"] == "local"
        for hook in repository["hooks"]:
            assert hook["language"] == "system"
            assert hook["entry"].split()[0] in tools


def test_the_citation_is_of_this_version():
    citation = read_yaml(ROOT / "CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["version"] == PROJECT["version"] == fedlearn_helpers.__version__
    assert citation["license"] == PROJECT["license"]
    assert [author["name"] for author in citation["authors"]] == [author["name"] for author in PROJECT["authors"]]


def test_the_changelog_has_this_version():
    versions = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert versions[:2] == ["Unreleased", PROJECT["version"]]


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.name)
def test_forms_ask_for_something_and_no_question_twice(form):
    content = read_yaml(form)
    assert content["name"] and content["description"]
    questions = [part for part in content["body"] if part["type"] != "markdown"]
    ids = [part["id"] for part in questions]
    assert len(ids) == len(set(ids))
    assert any(part.get("validations", {}).get("required") for part in questions)
