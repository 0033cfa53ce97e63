"""How fast it is: the talk's experiment, other scales, and a step here and there."""

import contextlib
import io
import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from fedlearn_helpers.data import ImageDataset
from fedlearn_helpers.models import new_cnn, new_mlp
from fedlearn_helpers.training import pick_device, train
from gpu import eager
from gpu.limit import captured_step, new_adam, seconds_of
from gpu.names import EAGER, LIMIT, OURS, PROCESSOR
from gpu.records import Recorder
from gpu.work import BATCH_SIZE, LEARNING_RATE, SEED, TALK, Place, Work, embedded_images, new_model, run

_ROUNDS_OF_EAGER = 2  # a round is like another, and all ten take half a minute
SCALES = (
    Work("cnn", clients=10, participants=10, images=4000, validation=0, tests=10_000, rounds=2),
    Work("cnn", clients=100, participants=100, images=400, validation=0, tests=10_000, rounds=2),
    Work("cnn", clients=1000, participants=1000, images=40, validation=0, tests=10_000, rounds=2),
    Work("resnet18", clients=10, participants=10, images=640, validation=0, tests=1000, rounds=2),
    Work("resnet18", clients=1000, participants=100, images=64, validation=0, tests=1000, rounds=2),
)
STEPS_OF_LIMIT = {"cnn": 1250, "resnet18": 200}
_PROCESSES = (1, 2, 4, 8, 16)


def talk_peers(place: Place, recorder: Recorder) -> None:
    """The bare graph, and the federation without it, with PyTorch's own settings."""
    work = place.of(TALK)
    dataset = work.dataset().to(place.device)
    with recorder.attempt(LIMIT):
        steps = work.rounds * work.steps_a_round
        seconds = _seconds_of_limit(new_model(work.model), dataset, BATCH_SIZE, steps)
        recorder.write(LIMIT, seconds=seconds, steps=steps)
    with recorder.attempt(EAGER):
        rounds = min(work.rounds, _ROUNDS_OF_EAGER)
        result = run(replace(work, rounds=rounds), dataset, workers=1, as_before=True)
        seconds = result.seconds + (work.rounds - rounds) * result.seconds_a_round
        recorder.write(
            EAGER,
            f"{rounds} rounds, the others reckoned" if rounds < work.rounds else "",
            seconds=seconds,
            steps=work.rounds * work.steps_a_round,
            accuracy=result.accuracy,
        )


def talk_ours(place: Place, recorder: Recorder) -> None:
    """The federation as the package runs it, twice."""
    _talk(place, recorder, OURS, pick_device(place.device), workers=1, repeats=2)


def talk_processor(place: Place, recorder: Recorder) -> None:
    """The same on all cores."""
    _talk(place, recorder, PROCESSOR, torch.device("cpu"), workers="auto", repeats=1)


def _talk(
    place: Place, recorder: Recorder, what: str, device: torch.device, *, workers: int | str, repeats: int
) -> None:
    work = place.of(TALK)
    dataset = work.dataset().to(device)
    with recorder.attempt(what):
        runs = [run(work, dataset, workers=workers) for _ in range(repeats)]
        best = min(runs, key=lambda result: result.seconds)
        recorder.write(
            what,
            ", then ".join(f"{result.seconds:.2f} s" for result in runs) if repeats > 1 else "",
            seconds=best.seconds,
            steps=work.rounds * work.steps_a_round,
            accuracy=best.accuracy,
        )


def scale_peers(place: Place, recorder: Recorder) -> None:
    """The bare graph of each model, and the federations without it."""
    for model in ("cnn", "resnet18"):
        works = [place.of(work) for work in SCALES if work.model == model]
        with recorder.attempt(scale_name(SCALES[0], LIMIT)):
            dataset = works[0].dataset().to(place.device)
            steps = place.steps(STEPS_OF_LIMIT[model])
            ms = 1000 * _seconds_of_limit(new_model(model), dataset, BATCH_SIZE, steps) / steps
            for work, whole in zip(works, (work for work in SCALES if work.model == model), strict=True):
                recorder.write(scale_name(whole, LIMIT), ms_a_step=ms, seconds_a_round=ms * work.steps_a_round / 1000)
    for work in SCALES:
        _scale(place, recorder, replace(work, rounds=1), EAGER, torch.device(place.device), 1)


def scale_ours(place: Place, recorder: Recorder) -> None:
    """All scales as the package runs them."""
    device = pick_device(place.device)
    for work in SCALES:
        _scale(place, recorder, work, OURS, device, 1)


def scale_processor(place: Place, recorder: Recorder) -> None:
    """All scales on all cores."""
    for work in SCALES:
        _scale(place, recorder, replace(work, rounds=2), PROCESSOR, torch.device("cpu"), "auto")


def scale_name(work: Work, how: str) -> str:
    """Return the name of a record: model, clients, way."""
    clients = f"{work.clients:,}"
    who = clients if work.participants == work.clients else f"{work.participants:,} of {clients}"
    return f"{work.model}, {who} clients: {how}"


def _scale(place: Place, recorder: Recorder, work: Work, how: str, device: torch.device, workers: int | str) -> None:
    name = scale_name(work, how)
    work = place.of(work)
    with recorder.attempt(name):
        result = run(work, work.dataset().to(device), workers=workers, as_before=how == EAGER)
        ms = 1000 * result.seconds_a_round / work.steps_a_round
        recorder.write(name, ms_a_step=ms, seconds_a_round=result.seconds_a_round)


def auto(place: Place, recorder: Recorder) -> None:
    """What "auto" picks, and a step of each kind of work on the device."""
    said = io.StringIO()
    with recorder.attempt("pick_device('auto')"), contextlib.redirect_stdout(said):
        picked = pick_device("auto")
    recorder.write("pick_device('auto')", f"{picked}; it says: {said.getvalue().strip() or 'nothing'}")
    device, steps = pick_device(place.device), place.steps(400)
    for name, dataset, model in _kinds_of_work(place):
        dataset, model = dataset.to(device), model.to(device)
        images, labels = dataset.train_images, dataset.train_labels
        indices = torch.arange(steps * BATCH_SIZE) % len(images)
        ways = {LIMIT: None, OURS: train, EAGER: eager.train}
        for how, function in ways.items():
            with recorder.attempt(f"{name}: {how}"):
                if function is None:
                    seconds = _seconds_of_limit(model, dataset, BATCH_SIZE, steps)
                else:
                    few = indices[: BATCH_SIZE * min(steps, 20)]
                    _seconds_of_training(function, model, images, labels, few)
                    seconds = _seconds_of_training(function, model, images, labels, indices)
                recorder.write(f"{name}: {how}", ms_a_step=1000 * seconds / steps)


def auto_processor(place: Place, recorder: Recorder) -> None:
    """The same steps in processes of one thread each, as workers are."""
    steps = place.steps(400)
    for name, dataset, model in _kinds_of_work(place):
        for count in _PROCESSES:
            if count > len(os.sched_getaffinity(0)):
                break
            what = f"{name}: {count} process{'es' if count > 1 else ''}"
            with recorder.attempt(what):
                seconds = _seconds_in_processes(count, dataset, model, steps)
                recorder.write(what, ms_a_step=1000 * seconds / (steps * count))


def _kinds_of_work(place: Place) -> list[tuple[str, ImageDataset, nn.Module]]:
    embedded, talk = embedded_images(place), place.of(TALK).dataset()
    return [
        ("CNN, 1x28x28", embedded, new_cnn(embedded.image_shape, embedded.num_classes, SEED)),
        ("MLP, 1x28x28", embedded, new_mlp(embedded.image_shape, embedded.num_classes, SEED)),
        ("CNN, 3x32x32", talk, new_model("cnn")),
    ]


def _seconds_of_limit(model: nn.Module, dataset: ImageDataset, batch_size: int, steps: int) -> float:
    """Return how long the bare steps take, after some to warm up."""
    images, labels = dataset.train_images, dataset.train_labels
    model = model.to(images.device)
    step = captured_step(model, new_adam(model, LEARNING_RATE), images, labels, batch_size)
    seconds_of(step, images, batch_size, min(steps, 20))
    return seconds_of(step, images, batch_size, steps)


def _seconds_of_training(
    function: Callable[..., float],
    model: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    indices: torch.Tensor,
) -> float:
    """Return how long it takes to train on these images once; the loss that is returned waits for the last step."""
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)
    start = time.perf_counter()
    function(model, images, labels, indices, optimizer, epochs=1, batch_size=BATCH_SIZE, seed=SEED)
    return time.perf_counter() - start


def _seconds_in_processes(count: int, dataset: ImageDataset, model: nn.Module, steps: int) -> float:
    """Return the mean time that so many processes need for so many steps each, all at once."""
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(count), context.SimpleQueue()
    indices = torch.arange(steps * BATCH_SIZE) % len(dataset.train_images)
    torch.optim.SGD([torch.zeros(1, requires_grad=True)])  # its first use imports much; once for all processes

    def work() -> None:
        torch.set_num_threads(1)
        few = indices[: BATCH_SIZE * min(steps, 20)]
        _seconds_of_training(train, model, dataset.train_images, dataset.train_labels, few)
        barrier.wait(60)
        results.put(_seconds_of_training(train, model, dataset.train_images, dataset.train_labels, indices))

    processes = [context.Process(target=work, daemon=True) for _ in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if failed := [process.exitcode for process in processes if process.exitcode]:
        raise RuntimeError(f"{len(failed)} of {count} processes failed")
    return sum(results.get() for _ in range(count)) / count
