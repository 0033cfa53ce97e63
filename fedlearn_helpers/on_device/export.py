"""A trained model as one file that a device can run without PyTorch, and whether it is still the same model.

The file is an ONNX graph: operations and weights, in a format that many runtimes read (https://onnx.ai). It takes the
pixels as a camera gives them, uint8 in [0, 255], and scales them itself: what a device has to remember, a device gets
wrong. It holds the names of the classes, and nothing of the data: the exporter sees images of zeros.

Smaller numbers make a smaller file. With scale s and zero point z a number x becomes q, one byte, and comes back as

    q = round(x / s) + z        x' = s (q - z)

(Jacob et al. 2018, https://arxiv.org/abs/1712.05877, equation 1). For weights s and z are known when the file is
written. For what flows between layers they are computed for all images that come in at once (dynamic), or beforehand,
from images that stand for what the device will see (static). A device sees one image at a time.

Needs the packages of the extra "device": onnx, onnxscript, onnxruntime. They are imported when they are needed.
"""

import copy
import importlib
import json
import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fedlearn_helpers.errors import InputError, check_whole_number
from fedlearn_helpers.files import write_whole
from fedlearn_helpers.tasks import normalize

OPSET = 20  # the version of ONNX's operations; runtimes since 2023 know it
_CLASSES = "class_names"  # under which a file has them
_INPUT, _OUTPUT = "images", "scores"


class FromPixels(nn.Module):
    """A model with its normalization before it: maps uint8 images (n, channels, height, width) to scores."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 images to scores (n, classes)."""
        return self.model(normalize(images))


def export_onnx(
    model: nn.Module, image_shape: tuple[int, int, int], path: str | Path, class_names: Sequence[str]
) -> Path:
    """Write a model as one ONNX file, for any number of images at once; takes seconds.

    The exporter notes for every operation where it stands in the code, with the paths of this machine: left out.

    Args:
        model: maps normalized images to scores; it stays as it is.
        image_shape: (channels, height, width) of the images.
        path: replaced if it exists.
        class_names: one for each score.

    Returns:
        The path.

    Raises:
        InputError: a package is missing, the model does not map such images to as many scores, or the file would be for
            one number of images only.
    """
    _need("onnx"), _need("onnxscript")
    path = Path(path)
    nothing = torch.zeros(2, *image_shape, dtype=torch.uint8)
    whole = FromPixels(copy.deepcopy(model).cpu()).eval()
    _check_scores(whole, nothing, len(class_names))
    with _quiet():
        program = torch.onnx.export(
            whole,
            (nothing,),
            dynamo=True,
            verbose=False,
            external_data=False,
            opset_version=OPSET,
            dynamic_shapes={_INPUT: {0: torch.export.Dim("batch")}},
            input_names=[_INPUT],
            output_names=[_OUTPUT],
        )
    assert program is not None  # it is None for the older exporter alone
    file: Any = program.model_proto
    graph = file.graph
    if not graph.input[0].type.tensor_type.shape.dim[0].dim_param:
        raise InputError("model must not compute with the number of images, such as by len(): it would become fixed")
    for part in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
    file.metadata_props.add(key=_CLASSES, value=json.dumps(list(class_names)))
    write_whole(path, file.SerializeToString())
    return path


def export_int8(source: str | Path, path: str | Path, calibration: Tensor | None = None) -> Path:
    """Write an ONNX file again with weights of one byte.

    Args:
        source: an ONNX file of `export_onnx`.
        path: where to write; replaced if it exists.
        calibration: (n, channels, height, width) uint8, images like those that the device will see; the ranges of what
            flows between layers are taken from them (static). None: from each image when it comes (dynamic). Only the
            ranges get into the file.

    Returns:
        The path.

    Raises:
        InputError: a package is missing, or calibration images that the model does not take.
    """
    _need("onnx")
    quantization: Any = _need("onnxruntime.quantization")
    prepare: Any = _need("onnxruntime.quantization.shape_inference").quant_pre_process
    path = Path(path)
    if calibration is not None:
        OnDevice(source).check(calibration)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        prepared, written = Path(folder) / "prepared.onnx", Path(folder) / "int8.onnx"
        prepare(str(source), str(prepared), skip_symbolic_shape=True)
        if calibration is None:
            quantization.quantize_dynamic(prepared, written, weight_type=quantization.QuantType.QInt8)
        else:
            batches = iter([{_INPUT: batch.numpy()} for batch in calibration.cpu().split(100)])

            class Reader(quantization.CalibrationDataReader):
                def get_next(self) -> dict[str, np.ndarray] | None:
                    return next(batches, None)

            quantization.quantize_static(prepared, written, Reader(), per_channel=True)
        write_whole(path, written.read_bytes())
    return path


class OnDevice:
    """A model as a device runs it: a file, one thread, no PyTorch inside.

    Attributes:
        path: of the file.
        size: of the file, in bytes.
        image_shape: (channels, height, width) of the images that it takes.
        class_names: one for each score.

    Raises:
        InputError: a package is missing, or there is no such file, or it is none of `export_onnx`.
    """

    def __init__(self, path: str | Path) -> None:
        runtime: Any = _need("onnxruntime")
        self.path = Path(path)
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise InputError(f"path must be a file that can be read, got {str(path)!r}: {error.strerror}") from None
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors
        try:
            self._session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            names = self._session.get_modelmeta().custom_metadata_map[_CLASSES]
        except Exception:  # the runtime's own kinds of error, or no names
            raise InputError(f"path must be an ONNX file that export_onnx has written, got {str(path)!r}") from None
        self.size = len(content)
        self.class_names: tuple[str, ...] = tuple(json.loads(names))
        _, *shape = self._session.get_inputs()[0].shape
        self.image_shape: tuple[int, ...] = tuple(shape)

    def check(self, images: Tensor) -> None:
        """Raise an InputError unless images are uint8 (n, channels, height, width), at least one, of its shape."""
        if images.dtype != torch.uint8 or tuple(images.shape[1:]) != self.image_shape or not len(images):
            wanted = " x ".join(map(str, self.image_shape))
            raise InputError(f"images must be uint8, n x {wanted}, got {images.dtype}, {tuple(images.shape)}")

    def one_by_one(self, images: Tensor) -> Tensor:
        """Return the scores (n, classes) float32 of images that come one at a time, as a device sees them.

        Raises:
            InputError: other images than the model takes.
        """
        self.check(images)
        return torch.cat([self.scores(image) for image in images.split(1)])

    def scores(self, images: Tensor) -> Tensor:
        """Return the scores (n, classes) float32 of uint8 images (n, channels, height, width).

        Raises:
            InputError: other images than the model takes.
        """
        self.check(images)
        return torch.from_numpy(self._session.run([_OUTPUT], {_INPUT: images.cpu().numpy()})[0])


@dataclass(frozen=True)
class Parity:
    """How far a device's model is from the one that was trained.

    Attributes:
        max_difference: the largest difference of two scores.
        largest_score: the largest absolute score of the trained model, to see the difference beside it.
        same_class: share of the images that both put into the same class, in [0, 1].
    """

    max_difference: float
    largest_score: float
    same_class: float

    @property
    def relative(self) -> float:
        """The difference as a share of the largest score: float32 has seven digits, whatever the size of a score."""
        return self.max_difference / self.largest_score


@torch.no_grad()
def parity(model: nn.Module, device_model: OnDevice, images: Tensor) -> Parity:
    """Compare a model with its file on uint8 images (n, channels, height, width), n >= 1, one by one for the file.

    Raises:
        InputError: other images than the file takes.
    """
    device_model.check(images)
    whole = FromPixels(copy.deepcopy(model).cpu()).eval()
    expected = torch.cat([whole(batch) for batch in images.cpu().split(250)])
    got = device_model.one_by_one(images)
    return Parity(
        (got - expected).abs().max().item(),
        expected.abs().max().item(),
        (got.argmax(dim=1) == expected.argmax(dim=1)).double().mean().item(),
    )


def latency(call: Callable[[Tensor], object], image: Tensor, *, warm_up: int = 20, repeats: int = 300) -> float:
    """Return the median time of a call, in milliseconds.

    The first calls of a runtime are slow, hence the warm-up; a machine that has other things to do makes some calls
    slow, hence the median.

    Args:
        call: for instance `OnDevice(path).scores`.
        image: what it is called with, such as one image (1, channels, height, width).
        warm_up: calls before, which do not count; >= 0.
        repeats: calls that count, >= 1.

    Raises:
        InputError: a number out of range.
    """
    check_whole_number("warm_up", warm_up, 0)
    check_whole_number("repeats", repeats, 1)
    for _ in range(warm_up):
        call(image)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call(image)
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def carries(path: str | Path, images: Tensor) -> int:
    """Return how many of these images stand in a file, byte for byte, as uint8 or as float32.

    Float32 is looked for as [0, 255], as [0, 1] and normalized to [-1, 1]. A compressed file, or one with another form
    of the numbers, may carry images that are not found: 0 is no proof.

    Args:
        path: of any file.
        images: (n, channels, height, width) uint8. Images of one single value are not looked for: a row of zeros
            proves nothing.
    """
    content = Path(path).read_bytes()
    pixels = images.cpu().flatten(start_dim=1)
    pixels = pixels[(pixels != pixels[:, :1]).any(dim=1)]
    forms = [form.numpy() for form in (normalize(pixels), pixels, pixels.float(), pixels.float() / 255)]
    return sum(any(form.tobytes() in content for form in forms_of_one) for forms_of_one in zip(*forms, strict=True))


def _check_scores(whole: nn.Module, images: Tensor, num_classes: int) -> None:
    """Raise an InputError unless a model maps these images to so many scores each."""
    shape = " x ".join(map(str, images.shape[1:]))
    try:
        with torch.no_grad():
            scores = whole(images)
    except RuntimeError:
        raise InputError(f"image_shape must be that of the model's images, got {shape}") from None
    if tuple(scores.shape) != (len(images), num_classes):
        raise InputError(f"class_names must have one name for each of {scores.shape[-1]} scores, got {num_classes}")


def _need(module: str) -> Any:
    """Import a module of the extra "device"."""
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise InputError(
            f"on_device.export needs {package}, which is not installed: pip install 'fedlearn-helpers[device]', "
            "or pip install onnx onnxscript onnxruntime"
        ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what exporter and quantization say to developers out of the notebook: warnings, and the root logger's."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
