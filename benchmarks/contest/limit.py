"""The limit: the same training steps and nothing else, in one single-thread process per core.

No messages, no averaging, no rounds to wait for. Each process trains one model on the shards of its share of the
clients, again and again. With `--evaluate` it also does the same number of evaluations.
"""

import os

import torch

from contest.marks import FINISH, ROUND, START, Marks
from contest.settings import BATCH_SIZE, DATASET, LEARNING_RATE, LOCAL_EPOCHS, SEED, Task, make_shards, start
from fedlearn_helpers.data import ImageDataset, load_dataset
from fedlearn_helpers.models import new_cnn
from fedlearn_helpers.partition import Shard
from fedlearn_helpers.training import evaluate, train


def work(dataset: ImageDataset, shards: list[Shard], share: slice, task: Task, marks: Marks | None) -> None:
    """Take the steps of the clients in this share, in all rounds; the marks are those of one of the processes."""
    torch.set_num_threads(1)
    model = new_cnn(dataset.image_shape, dataset.num_classes, SEED)
    test = torch.arange(len(dataset.test_images))[share]
    for server_round in range(task.rounds + 1):
        for shard in shards[share] if server_round > 0 else []:
            optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, fused=True)
            train(
                model,
                dataset.train_images,
                dataset.train_labels,
                shard.train,
                optimizer,
                epochs=LOCAL_EPOCHS,
                batch_size=BATCH_SIZE,
                seed=server_round,
            )
            if task.evaluate:
                evaluate(model, dataset.train_images, dataset.train_labels, shard.validation)
        if task.evaluate:
            evaluate(model, dataset.test_images, dataset.test_labels, test)
        if marks:
            marks.write(ROUND, round=server_round)


def run(task: Task) -> None:
    """Spread the clients over one process per core and wait for all."""
    marks = Marks(task.marks)
    marks.write(START)
    dataset = load_dataset(DATASET)
    shards = make_shards(dataset, task.clients)
    cores = min(len(os.sched_getaffinity(0)), task.clients)
    torch.optim.SGD([torch.zeros(1, requires_grad=True)])  # its first use imports much; once for all processes
    pids = []
    for number in range(cores):
        if (pid := os.fork()) == 0:
            code = 1
            try:
                work(dataset, shards, slice(number, None, cores), task, marks if number == 0 else None)
                code = 0
            finally:
                os._exit(code)
        pids.append(pid)
    if failed := [pid for pid in pids if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0]:
        raise RuntimeError(f"{len(failed)} of {cores} processes failed")
    marks.write(FINISH)


if __name__ == "__main__":
    start(prepare=lambda task: load_dataset(DATASET), run=run)
