"""The device to compute on, and what lets a GPU compute the same bits twice."""

import math
import os
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from fedlearn_helpers.errors import InputError

_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of the container this process runs in (Linux, control groups 2)
# With more cores than these, workers train the CNN about as fast as a GPU's captured steps. Measured on an H200 and 16
# cores of its machine: a step takes 0.26 and 0.32 ms on 1x28x28 pixels, 0.29 and 0.45 ms on 3x32x32.
_CORES_LIKE_A_GPU = 24
_LEAST_MEMORY = 5e8  # bytes of a GPU that must be free: for data, model, and what PyTorch keeps for itself
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_hidden = False  # whether this process has hidden the GPU from itself


def pick_device(name: str = "auto", model: str = "cnn") -> torch.device:
    """Return the device to compute on.

    On a machine with a GPU, "auto" prints one line that says what it took and why. Whoever computes on the processor
    there hides the GPU from this process if nothing has used it yet: processes that are forked after PyTorch has
    computed gradients beside a GPU could not compute any.

    Args:
        name: "cpu", "cuda", or "auto" for a GPU where there is one that can be used and is faster.
        model: a key of `MODELS`, what is to be trained. A step of the "mlp" is so short that messages take most of the
            time: there a GPU, with one process, is slower than two cores with two.

    Raises:
        InputError: another name, or "cuda" on a machine without a usable CUDA device; the message says why.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise InputError(f"device must be 'auto', 'cpu' or 'cuda', got {name!r}")
    if name == "cuda" and (obstacle := _obstacle()):
        raise InputError(f"device must be 'cpu' or 'auto' here: {obstacle}, got 'cuda'")
    if name == "cpu":
        _hide_gpu()
    if name == "auto":
        name, said = choose_device(model)
        if said:
            print(said)
    return torch.device(name)


def choose_device(model: str = "cnn") -> tuple[str, str]:
    """Return the name of the device that "auto" takes, and a sentence that says why: none where there is no GPU."""
    count = cores()
    if not (torch.cuda.device_count() or _hidden):
        return "cpu", ""
    if model == "mlp":
        _hide_gpu()
        return "cpu", "Computing on the processor, which is faster than a GPU for so small a network."
    if count > _CORES_LIKE_A_GPU:
        _hide_gpu()
        return "cpu", f"Computing on the processor: its {count} cores are faster than a GPU for such models."
    if obstacle := _obstacle():
        return "cpu", f"Computing on the processor: {obstacle}."
    faster = f"faster than {count} core{'s'[: count - 1]}"
    return "cuda", f"Computing on the GPU ({torch.cuda.get_device_name()}), which is {faster}."


def device_in_use() -> torch.device:
    """Return the GPU if this process has used it, or else the processor."""
    return torch.device("cuda" if torch.cuda.is_initialized() else "cpu")


def _hide_gpu() -> None:
    global _hidden
    if not torch.cuda.is_initialized() and torch.cuda.device_count():
        os.environ[_VISIBLE], _hidden = "", True


def _obstacle() -> str | None:
    """Return why a GPU cannot be used, or None where it can: a small computation on it tells."""
    if _hidden:
        return "this process has begun on the processor, and must be restarted to use the GPU"
    _fix_workspace()
    with warnings.catch_warnings(record=True) as caught:  # PyTorch warns of a driver that is too old
        warnings.simplefilter("always")
        if not torch.cuda.is_available():
            said = f" ({_first_sentence(caught[-1].message)})" if caught else ""
            return f"PyTorch sees no CUDA device on this machine{said}"
        try:
            free, _ = torch.cuda.mem_get_info()
            torch.ones(2, device="cuda").sum().item()
        except (RuntimeError, AssertionError) as error:  # too old, in use by others alone, out of order
            return f"the GPU cannot be used ({_first_sentence(error)})"
    if free < _LEAST_MEMORY:
        return f"only {free / 1e9:.1f} GB of the GPU's memory are free"
    return None


def _first_sentence(message: Warning | Exception | str) -> str:
    return str(message).strip().split("\n")[0].split(". ")[0].rstrip(".")


def cores() -> int:
    """Return how many cores this process may use: those it is bound to, or fewer in a container with a quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _QUOTA.read_text().split()
    except (OSError, ValueError):  # no such file, or not of this form: no quota
        return cores
    return cores if quota == "max" else min(cores, math.ceil(int(quota) / int(period)))


def _fix_workspace() -> None:
    """Let matrix products on a GPU add in a fixed order; cuBLAS reads it when it is first used."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@contextmanager
def computing_on(device: torch.device) -> Iterator[None]:
    """Inside the block, a GPU computes the same bits every time, in full precision; a processor does anyway.

    Afterwards PyTorch is set as before. An operation that can only be computed in an order that is not fixed is
    computed so, and PyTorch warns of it.

    Raises:
        InputError: the GPU's memory is used up.
    """
    if device.type != "cuda":
        yield
        return
    _fix_workspace()
    cudnn: Any = torch.backends.cudnn
    matmul: Any = torch.backends.cuda.matmul
    memory: Any = torch.utils.deterministic
    mode, benchmark, deterministic = torch.get_deterministic_debug_mode(), cudnn.benchmark, cudnn.deterministic
    fill = memory.fill_uninitialized_memory
    precisions = matmul.fp32_precision, cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision
    try:
        torch.set_deterministic_debug_mode(max(mode, 1))  # 1: to warn where there is no fixed order
        cudnn.benchmark, cudnn.deterministic = False, True
        matmul.allow_tf32 = cudnn.allow_tf32 = False  # PyTorch has two ways to say it, and both must say the same
        matmul.fp32_precision = cudnn.conv.fp32_precision = cudnn.rnn.fp32_precision = "ieee"
        memory.fill_uninitialized_memory = False  # nothing here reads such memory, and to fill it takes time
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)  # they hold what was in memory
        torch.cuda.empty_cache()
        raise InputError(
            "device must be 'cpu', or batch_size smaller, since the memory of the GPU is used up, "
            f"got {torch.cuda.get_device_name(device)}"
        ) from None
    finally:
        torch.set_deterministic_debug_mode(mode)
        cudnn.benchmark, cudnn.deterministic = benchmark, deterministic
        matmul.allow_tf32, cudnn.allow_tf32 = (precision == "tf32" for precision in precisions[:2])
        matmul.fp32_precision, cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision = precisions
        memory.fill_uninitialized_memory = fill


def is_out_of_memory(error: Exception) -> bool:
    """Tell whether an error says that a GPU has no memory left."""
    said = str(error)
    return isinstance(error, torch.cuda.OutOfMemoryError) or "out of memory" in said or "ALLOC_FAILED" in said
