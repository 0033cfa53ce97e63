"""The same numbers: again, in another process, and on the processor."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace

from flwr.app import ArrayRecord

from fedlearn_helpers.algorithms import LocalConfig
from fedlearn_helpers.algorithms.registry import STRATEGIES
from fedlearn_helpers.data import ImageDataset
from fedlearn_helpers.experiments import federate, make_scenario
from fedlearn_helpers.models import new_cnn
from fedlearn_helpers.training import pick_device
from gpu.names import OURS, PROCESSOR
from gpu.records import Recorder
from gpu.work import SEED, TALK, Place, embedded_images, run

_CONFIG = LocalConfig(local_epochs=2, batch_size=32, learning_rate=0.02, momentum=0.9)


def bits(place: Place, recorder: Recorder) -> None:
    """Two federations, again after others."""
    first = _digests(place)
    for name, digest in first.items():
        recorder.write(f"{name}: first run", digest)
    for name, digest in reversed(_digests(place, between=True).items()):
        recorder.write(f"{name}: after other federations", digest)


def bits_again(place: Place, recorder: Recorder) -> None:
    """The same in a process of its own, in another order."""
    for name, digest in _digests(place, backwards=True).items():
        recorder.write(f"{name}: in another process", digest)


def _digests(place: Place, *, between: bool = False, backwards: bool = False) -> dict[str, str]:
    """Return a hash of the final model of each federation."""
    device = pick_device(place.device)
    dataset = embedded_images(place).to(device)
    talk = replace(place.of(TALK), rounds=2)
    talk = talk if place.quick else replace(talk, images=410, validation=90)  # the last batch is smaller
    made_up = talk.dataset().to(device)
    config = LocalConfig(batch_size=32, learning_rate=0.05, momentum=0.9, weight_decay=1e-4)

    def of_strategy(name: str, config: LocalConfig = config) -> ArrayRecord:
        return _federate(name, dataset, place, rounds=2, config=config, clients=9)[1]

    runs: dict[str, Callable[[], ArrayRecord]] = {
        "FedAvg": lambda: of_strategy("fedavg"),
        "SCAFFOLD": lambda: of_strategy("scaffold"),
        "notebook 02's client": lambda: run(talk, made_up, workers=1).history.arrays,
    }
    if between:
        of_strategy("feddyn", LocalConfig(batch_size=16, learning_rate=0.01))
    names = sorted(runs, reverse=backwards)
    return {name: _digest(runs[name]()) for name in names}


def _digest(arrays: ArrayRecord) -> str:
    hashed = hashlib.sha256()
    for name, tensor in arrays.to_torch_state_dict().items():
        hashed.update(name.encode() + tensor.cpu().numpy().tobytes())
    return hashed.hexdigest()[:16]


def strategies(place: Place, recorder: Recorder) -> None:
    """Every strategy on the device, twice."""
    dataset = embedded_images(place).to(pick_device(place.device))
    for name in STRATEGIES:
        with recorder.attempt(f"{name}: {OURS}"):
            start = time.perf_counter()
            (accuracy, first), (again, second) = (_federate(name, dataset, place, rounds=3) for _ in range(2))
            recorder.write(
                f"{name}: {OURS}",
                accuracy=accuracy,
                equal=float(_digest(first) == _digest(second) and accuracy == again),
                seconds=(time.perf_counter() - start) / 2,
            )


def strategies_processor(place: Place, recorder: Recorder) -> None:
    """Every strategy on the processor."""
    dataset = embedded_images(place)
    for name in STRATEGIES:
        with recorder.attempt(f"{name}: {PROCESSOR}"):
            start = time.perf_counter()
            accuracy, _ = _federate(name, dataset, place, rounds=3, workers="auto")
            recorder.write(f"{name}: {PROCESSOR}", accuracy=accuracy, seconds=time.perf_counter() - start)


def _federate(
    name: str,
    dataset: ImageDataset,
    place: Place,
    *,
    rounds: int,
    config: LocalConfig = _CONFIG,
    clients: int = 10,
    workers: int | str = 1,
) -> tuple[float, ArrayRecord]:
    """Return the test accuracy and the model that a strategy ends with."""
    shards = make_scenario("iid", dataset, num_clients=clients, seed=SEED).members
    model = new_cnn(dataset.image_shape, dataset.num_classes, SEED).to(dataset.train_images.device)
    result = federate(
        name,
        dataset,
        shards,
        num_rounds=1 if place.quick else rounds,
        local_config=config,
        seed=SEED,
        workers=workers,
        model=model,
        label=None,
    )
    return result.test_accuracy[-1], result.model
