"""A model as a file for a device: the same scores, from raw pixels, and nothing of the data."""

import json
import subprocess
import sys

import pytest
import torch
from torch import nn

from fedlearn_helpers.data import load_dataset
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.models import MODELS, NORMALIZED_MODELS, copy_of_weights, new_cnn, new_mlp
from fedlearn_helpers.on_device import export
from fedlearn_helpers.on_device.export import (
    FromPixels,
    OnDevice,
    carries,
    export_int8,
    export_onnx,
    latency,
    parity,
)
from fedlearn_helpers.tasks import normalize
from fedlearn_helpers.training import train

pytestmark = pytest.mark.slow

SHAPE = (1, 28, 28)
NAMES = [f"class {label}" for label in range(10)]


@pytest.fixture(scope="module")
def dataset():
    return load_dataset("fashion")


@pytest.fixture(scope="module")
def images(dataset):
    return dataset.test_images[:1000].clone()


@pytest.fixture(scope="module")
def trained(dataset):
    model = new_cnn(SHAPE, 10, 0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    examples = dataset.train_images, dataset.train_labels, torch.arange(4000)
    train(model, *examples, optimizer, epochs=2, batch_size=32, seed=0)
    return model


@pytest.fixture(scope="module")
def file(trained, tmp_path_factory):
    pytest.importorskip("onnxruntime")
    return export_onnx(trained, SHAPE, tmp_path_factory.mktemp("file") / "cnn.onnx", NAMES)


def test_the_file_gives_the_scores_of_the_model(trained, file, images):
    found = parity(trained, OnDevice(file), images)
    assert found.largest_score > 5
    assert found.max_difference <= 1e-5
    assert found.relative == found.max_difference / found.largest_score <= 1e-6  # whatever the size of the scores
    assert found.same_class == 1


@pytest.mark.parametrize("kind", [*MODELS, *(f"normalized {name}" for name in NORMALIZED_MODELS)])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32)])
def test_every_model_of_the_workbook_can_be_exported(kind, shape, tmp_path):
    pytest.importorskip("onnxruntime")
    models = NORMALIZED_MODELS if "normalized" in kind else MODELS
    model = models[kind.split()[-1]](shape, 10, 1)
    pixels = torch.randint(0, 256, (20, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    device_model = OnDevice(export_onnx(model, shape, tmp_path / "model.onnx", NAMES))
    assert device_model.image_shape == shape
    assert parity(model, device_model, pixels).relative < 1e-6


def test_parity_sees_another_model_and_a_missing_normalization(trained, file, images):
    other = copy_of_weights(trained)
    other["fc3.bias"][3] += 0.01
    changed = new_cnn(SHAPE, 10, 0)
    changed.load_state_dict(other)
    assert parity(changed, OnDevice(file), images).max_difference == pytest.approx(0.01, abs=1e-4)

    class Unscaled(nn.Module):
        def forward(self, normalized):
            return trained((normalized + 1) * 127.5)

    assert parity(Unscaled(), OnDevice(file), images).max_difference > 1


def test_the_file_is_one_and_knows_its_classes_and_shape(trained, file, images):
    import onnx

    device_model = OnDevice(file)
    assert [path.name for path in file.parent.iterdir()] == ["cnn.onnx"]
    assert device_model.size == file.stat().st_size < 1.1 * 4 * 44_426
    assert device_model.class_names == tuple(NAMES)
    assert device_model.image_shape == SHAPE
    assert [entry.version for entry in onnx.load(file).opset_import if entry.domain == ""] == [export.OPSET]
    one, all_at_once = device_model.scores(images[:1]), device_model.scores(images[:7])
    torch.testing.assert_close(one[0], all_at_once[0], atol=1e-5, rtol=0)
    assert all_at_once.shape == (7, 10)


def test_export_leaves_the_model_as_it_is(images, tmp_path):
    pytest.importorskip("onnxruntime")
    model = NORMALIZED_MODELS["mlp"](SHAPE, 10, 0)
    model.train()
    before = copy_of_weights(model)
    device_model = OnDevice(export_onnx(model, SHAPE, tmp_path / "model.onnx", NAMES))
    parity(model, device_model, images)
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_the_file_holds_no_path_of_this_machine(file):
    content = file.read_bytes()
    assert b"stack_trace" not in content and b".py" not in content and str(sys.prefix).encode() not in content


def test_a_model_for_one_number_of_images_only_is_refused(tmp_path):
    class OfTwo(nn.Module):
        def forward(self, images):
            return images.flatten(1)[:, :10] * (1 if len(images) > 1 else 2)

    with pytest.raises(InputError, match="model must not compute with the number of images"):
        export_onnx(OfTwo(), SHAPE, tmp_path / "model.onnx", NAMES)
    assert list(tmp_path.iterdir()) == []


def test_the_exporter_itself_would_write_paths(trained):
    pytest.importorskip("onnxscript")
    example = torch.zeros(2, *SHAPE)
    program = torch.onnx.export(trained.eval(), (example,), dynamo=True, verbose=False, external_data=False)
    assert b".py" in program.model_proto.SerializeToString()


@pytest.mark.parametrize(("static", "same"), [(False, 0.95), (True, 0.9)])
def test_int8_is_a_third_of_the_size_and_nearly_the_same(trained, file, images, tmp_path, static, same, capfd):
    small = OnDevice(export_int8(file, tmp_path / "int8.onnx", images[:200] if static else None))
    found = parity(trained, small, images)
    assert small.size < 0.36 * OnDevice(file).size
    assert small.class_names == tuple(NAMES)
    assert found.same_class > same
    assert 0.01 < found.max_difference < 0.3 * found.largest_score
    assert carries(small.path, images) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["int8.onnx"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("normalized", [True, False])
def test_an_exported_program_carries_the_images_around_its_example(trained, images, tmp_path, normalized):
    """PyTorch saves an example with its whole storage: a view of two images has all of them."""
    model = trained if normalized else FromPixels(trained)
    data = normalize(images) if normalized else images
    found = {}
    for name, example in {"view": data[:2], "clone": data[:2].clone(), "zeros": torch.zeros_like(data[:2])}.items():
        path = tmp_path / f"{name}.pt2"
        torch.export.save(torch.export.export(model, (example,)), path)
        found[name] = carries(path, images)
    assert found == {"view": 1000, "clone": 2, "zeros": 0}


def test_carries_finds_images_of_which_a_file_has_some(images, tmp_path):
    path = tmp_path / "some.bin"
    path.write_bytes(b"x" + images[3].numpy().tobytes() + (images[5].float() / 255).numpy().tobytes())
    assert carries(path, images) == 2
    assert carries(path, images[10:20]) == 0
    assert carries(path, torch.zeros(2, *SHAPE, dtype=torch.uint8)) == 0


def test_latency_is_the_median_of_the_calls_that_count(images, monkeypatch):
    clock = iter([0, 10, 20, 21, 30, 32, 40, 49])  # 10, 1, 2 and 9 seconds
    calls = []
    monkeypatch.setattr(export.time, "perf_counter", lambda: next(clock))
    assert latency(calls.append, images[:1], warm_up=2, repeats=4) == 5500
    assert len(calls) == 6


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda file, images: OnDevice(file).scores(images.float()), "images must be uint8, n x 1 x 28 x 28, got"),
        (lambda file, images: OnDevice(file).scores(images[:0]), r"\(0, 1, 28, 28\)"),
        (lambda file, images: OnDevice(file).scores(images[..., :20]), r"\(1000, 1, 28, 20\)"),
        (lambda file, images: export_int8(file, file, images[..., :20]), "images must be uint8"),
        (lambda file, images: OnDevice(file.parent / "none"), "path must be a file that can be read"),
        (lambda file, images: OnDevice(__file__), "path must be an ONNX file that export_onnx has written"),
        (lambda file, images: export_onnx(new_mlp(SHAPE, 10, 0), SHAPE, file, NAMES[:9]), "10 scores, got 9"),
        (lambda file, images: export_onnx(new_mlp(SHAPE, 10, 0), (3, 32, 32), file, NAMES), "image_shape must be that"),
        (lambda file, images: latency(len, images, repeats=0), "repeats must be a whole number >= 1"),
        (lambda file, images: latency(len, images, warm_up=-1), "warm_up must be a whole number >= 0"),
    ],
)
def test_what_cannot_work_is_a_sentence(file, images, call, words):
    before = file.read_bytes()
    with pytest.raises(InputError, match=words):
        call(file, images)
    assert file.read_bytes() == before


def test_a_missing_package_is_named_with_its_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(InputError, match=r"needs onnxscript, which is not installed: pip install .*\[device\]"):
        export_onnx(new_mlp(SHAPE, 10, 0), SHAPE, tmp_path / "model.onnx", NAMES)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match="needs onnxruntime"):
        OnDevice(tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_importing_the_theme_imports_none_of_the_packages():
    code = (
        "import sys, json; from fedlearn_helpers.on_device import export, needs, rollout, scale; "
        "print(json.dumps([name for name in sys.modules if name.startswith('onnx')]))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == []
