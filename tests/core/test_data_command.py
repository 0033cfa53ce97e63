"""`fedlearn data`: what is here, what is damaged, and how to get what is not."""

import pytest
from small_data import NOWHERE
from typer.testing import CliRunner

from workbook_tools.cli import app


def data(*arguments):
    return CliRunner().invoke(app, ["data", *arguments])


def lines_with(result, name):
    return [line for line in result.output.splitlines() if line.split()[:1] == [name]]


def test_nothing_is_cached_at_first(cache):
    result = data()
    assert result.exit_code == 0, result.output
    assert f"Cache: {cache}" in result.output and "nothing yet" in result.output
    assert lines_with(result, "fashion")[0].endswith("comes with the package")
    assert lines_with(result, "cifar10")[0].endswith("not here; fedlearn data --fetch cifar10 downloads it")


def test_what_is_fetched_is_verified_and_works_without_network(hub, monkeypatch):
    result = data("--fetch", "cifar10")
    assert result.exit_code == 0, result.output
    assert "cifar10: 12 training and 6 test images" in result.output
    kept, known = lines_with(result, "cifar10")
    assert "MB  verified. Downloaded from the Hub data set uoft-cs/cifar10." in kept
    assert known.endswith("in the cache: works without a network")
    asked = len(hub.requests)
    monkeypatch.setenv("HF_ENDPOINT", NOWHERE)
    assert data("--fetch", "cifar10").exit_code == 0 and len(hub.requests) == asked


def test_a_damaged_entry_is_reported_and_left_alone(hub, cache):
    assert data("--fetch", "cifar10").exit_code == 0
    (entry,) = cache.iterdir()
    labels = entry / "train_labels.npy"
    content = bytearray(labels.read_bytes())
    content[-1] ^= 1
    labels.write_bytes(content)
    for _ in range(2):
        result = data()
        assert result.exit_code == 1
        assert "DAMAGED" in lines_with(result, "cifar10")[0] and str(entry) in result.output
        assert "not here" in lines_with(result, "cifar10")[1]
    assert data("--fetch", "cifar10").exit_code == 0
    assert data().exit_code == 0


def test_a_local_copy_is_named(cifar10_folder, monkeypatch):
    monkeypatch.setenv("FEDLEARN_DATA", str(cifar10_folder.root))
    assert lines_with(data(), "cifar10")[0].endswith(f"in FEDLEARN_DATA: {cifar10_folder.root / 'cifar10'}")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--fetch", "imagenet"], "InputError: dataset must be 'fashion', 'cifar10', "),
        (["--fetch", "cifar10"], "DataUnavailableError: dataset 'cifar10' is neither in FEDLEARN_DATA"),
    ],
)
def test_what_cannot_be_fetched_is_one_sentence(arguments, sentence, monkeypatch):
    for proxy in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(proxy, NOWHERE)
    result = data(*arguments)
    assert result.exit_code == 1
    assert result.output.startswith(sentence) and len(result.output.splitlines()) == 1


def test_data_that_are_said_to_be_where_nothing_is(monkeypatch):
    monkeypatch.setenv("FEDLEARN_DATA", "/nowhere")
    result = data()
    assert result.exit_code == 1
    assert result.output == "InputError: FEDLEARN_DATA must be an existing folder, got '/nowhere'\n"
