"""Which device is taken, what is said about it, and how PyTorch is set while it computes."""

import os
import weakref

import pytest
import torch

from fedlearn_helpers import device
from fedlearn_helpers.device import computing_on, pick_device
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.simulation.workers import obstacle_to_forking


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Let what is set in the environment, and remembered, be as before."""
    for name in ("CUDA_VISIBLE_DEVICES", "CUBLAS_WORKSPACE_CONFIG"):
        monkeypatch.setenv(name, "before")
        monkeypatch.delenv(name)
    monkeypatch.setattr(device, "_hidden", False)


@pytest.fixture
def gpu(monkeypatch):
    """Return what sets up a machine with a GPU, or one that has something wrong with it."""

    def machine(*, count=1, available=True, warning=None, error=None, free=8e9, cores=2):
        def is_available():
            if warning:
                import warnings

                warnings.warn(warning, stacklevel=1)
            return available

        class Ones:
            def __init__(self, *_, **__):
                if error:
                    raise error

            def sum(self):
                return torch.tensor(2.0)

        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "is_available", is_available)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free, 16e9))
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "A Card")
        monkeypatch.setattr(torch, "ones", Ones)
        monkeypatch.setattr(device, "cores", lambda: cores)

    return machine


OLD_DRIVER = (
    "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040). Please update your GPU "
    "driver by downloading and installing a new version from the URL: http://www.nvidia.com/Download/index.aspx"
)
TROUBLE = {
    "driver": ({"available": False, "warning": OLD_DRIVER}, "The NVIDIA driver on your system is too old"),
    "none": ({"available": False}, "PyTorch sees no CUDA device on this machine"),
    "too old": (
        {"error": RuntimeError("CUDA error: no kernel image is available for execution on the device\nCompile with")},
        r"the GPU cannot be used \(CUDA error: no kernel image is available for execution on the device\)",
    ),
    "busy": (
        {"error": RuntimeError("CUDA error: CUDA-capable device(s) is/are busy or unavailable\nFor debugging")},
        r"the GPU cannot be used \(CUDA error: CUDA-capable device\(s\) is/are busy or unavailable\)",
    ),
    "full": ({"error": torch.cuda.OutOfMemoryError("CUDA out of memory. Tried")}, "CUDA out of memory"),
    "nearly full": ({"free": 1e8}, "only 0.1 GB of the GPU's memory are free"),
    "no CUDA": ({"error": AssertionError("Torch not compiled with CUDA enabled")}, "not compiled with CUDA"),
}


def test_a_small_network_is_trained_on_the_processor(gpu, capsys):
    gpu()
    assert pick_device("auto", "mlp") == torch.device("cpu") and os.environ["CUDA_VISIBLE_DEVICES"] == ""
    said = "Computing on the processor, which is faster than a GPU for so small a network.\n"
    assert capsys.readouterr().out == said


def test_whoever_asks_for_the_gpu_gets_it_for_any_network(gpu):
    gpu()
    assert pick_device("cuda", "mlp") == pick_device("auto", "cnn") == torch.device("cuda")


def test_without_a_gpu_nothing_is_said(gpu, capsys):
    gpu(count=0, available=False)
    assert pick_device("auto") == pick_device("cpu") == torch.device("cpu")
    assert capsys.readouterr() == ("", "")
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_a_gpu_is_taken_and_it_is_said(gpu, capsys):
    gpu()
    assert pick_device("auto") == torch.device("cuda")
    assert capsys.readouterr().out == "Computing on the GPU (A Card), which is faster than 2 cores.\n"
    assert pick_device("cuda") == torch.device("cuda")
    assert capsys.readouterr().out == ""
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_many_cores_are_faster_than_a_gpu(gpu, capsys):
    gpu(cores=device._CORES_LIKE_A_GPU + 1)
    assert pick_device("auto") == torch.device("cpu")
    assert "Computing on the processor: its 25 cores are faster" in capsys.readouterr().out
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "", "so that its workers can compute gradients"


@pytest.mark.parametrize(("trouble", "says"), TROUBLE.values(), ids=TROUBLE)
def test_a_gpu_that_cannot_be_used(trouble, says, gpu, capsys, recwarn):
    gpu(**trouble)
    assert pick_device("auto") == torch.device("cpu")
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("Computing on the processor: ")
    with pytest.raises(InputError, match=f"device must be 'cpu' or 'auto' here: .*{says}.*, got 'cuda'$"):
        pick_device("cuda")
    assert len(recwarn) == 0


def test_another_device_is_refused():
    with pytest.raises(InputError, match="device must be 'auto', 'cpu' or 'cuda', got 'tpu'"):
        pick_device("tpu")


def test_the_processor_hides_the_gpu_and_says_so(gpu, capsys, monkeypatch):
    """Not where the GPU is in use."""
    gpu()
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    assert pick_device("cpu") == torch.device("cpu") and "CUDA_VISIBLE_DEVICES" not in os.environ
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    assert pick_device("cpu") == torch.device("cpu") and os.environ["CUDA_VISIBLE_DEVICES"] == ""
    with pytest.raises(InputError, match="this process has begun on the processor, and must be restarted to use"):
        pick_device("cuda")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert pick_device("auto") == torch.device("cpu")
    assert "has begun on the processor" in capsys.readouterr().out


def settings():
    return (
        torch.get_deterministic_debug_mode(),
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.enabled,
        torch.utils.deterministic.fill_uninitialized_memory,
    )


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_pytorch_is_set_inside_and_restored(error, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    before = settings()
    if error is None:
        with computing_on(torch.device("cuda")):
            assert settings() == (1, False, False, False, True, before[5], False)
    else:
        with pytest.raises(error), computing_on(torch.device("cuda")):
            raise error
    assert settings() == before
    with computing_on(torch.device("cpu")):
        assert settings() == before


def test_a_workspace_of_the_users_own_stays(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    with computing_on(torch.device("cuda")):
        pass
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


@pytest.mark.parametrize(
    "said", ["CUDA error: out of memory\nFor debugging", "CUBLAS_STATUS_ALLOC_FAILED when calling"]
)
def test_memory_that_is_used_up_is_one_sentence(said, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "A Card")
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    before = settings()

    def compute():
        tensor = torch.zeros(2)
        held.append(weakref.ref(tensor))
        raise RuntimeError(said)

    held = []
    with pytest.raises(InputError, match="device must be 'cpu', or batch_size smaller.*, got A Card") as caught:
        with computing_on(torch.device("cuda")):
            compute()
    assert caught.value.__suppress_context__ and held[0]() is None, "nothing keeps what was in memory"
    assert settings() == before


def test_other_errors_stay_as_they_are():
    with pytest.raises(RuntimeError, match="something else"), computing_on(torch.device("cuda")):
        raise RuntimeError("something else")


def test_a_thread_of_autograd_is_an_obstacle_to_forking(monkeypatch, tmp_path):
    from fedlearn_helpers.simulation import workers

    if obstacle_to_forking():
        pytest.skip("processes cannot be forked here")
    for task, name in (("1", "python"), ("2", "pt_autograd_0")):
        (tmp_path / task).mkdir()
        (tmp_path / task / "comm").write_text(f"{name}\n")
    (tmp_path / "3" / "comm").mkdir(parents=True)  # cannot be read, as that of a thread that has just ended
    monkeypatch.setattr(workers, "Path", lambda _: tmp_path)
    assert "begin with pick_device('cpu')" in obstacle_to_forking()
    (tmp_path / "2" / "comm").write_text("python\n")
    assert obstacle_to_forking() is None
