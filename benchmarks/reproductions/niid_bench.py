"""NIID-Bench's column for CIFAR-10: four strategies on five partitions, beside the published numbers.

Li et al. 2022, https://arxiv.org/abs/2102.02079: ten parties, all of them in every round, 50 rounds of ten local epochs
in batches of 64, SGD with rate 0.01, momentum 0.9 and weight decay 1e-5, the small CNN (two 5x5 convolutions with 6 and
16 filters, linear layers of 120 and 84).

    FEDLEARN_DATA=folder python benchmarks/reproductions/niid_bench.py --device cuda --seeds 0,1,2

Stop it when you like: the same command goes on after the last kept rounds, and leaves out what is finished. On one
processor core a run takes hours, so there is `--only`, such as `--only fedavg,iid`.

Differences: no random crops and flips; FedProx with mu = 0.01 throughout, where the paper chooses the best of four.
"""

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path

import pandas as pd
import torch

from fedlearn_helpers.algorithms import LocalConfig
from fedlearn_helpers.data import ImageDataset, load_dataset
from fedlearn_helpers.experiments import federate
from fedlearn_helpers.files import try_writing, write_whole
from fedlearn_helpers.partition import Shard
from fedlearn_helpers.partition.registry import parse_partition
from fedlearn_helpers.simulation.replies import FaultyReply
from fedlearn_helpers.training import pick_device

PARTIES, ROUNDS, EPOCHS = 10, 50, 10
CONFIG = LocalConfig(EPOCHS, batch_size=64, learning_rate=0.01, momentum=0.9, weight_decay=1e-5)
SETTINGS = {"fedprox": {"mu": 0.01}}
PARTITIONS = {
    "iid": "IID",
    "dirichlet:0.5": "Dirichlet 0.5",
    "pathological:3": "3 classes a client",
    "pathological:2": "2 classes a client",
    "pathological:1": "1 class a client",
}
# In per cent: NIID-Bench's table 3, and the best of 50 rounds in Flower's baseline of it. A star: quoted from memory.
PUBLISHED = {
    "fedavg": {
        "iid": ("70.4*", "71.3"),
        "dirichlet:0.5": ("68.2", "62.5"),
        "pathological:1": ("10.0*", "10.0"),
        "pathological:2": ("49.8", "51.2"),
        "pathological:3": ("58.3*", "59.1"),
    },
    "fedprox": {
        "iid": ("70.2*", "71.3"),
        "dirichlet:0.5": ("67.9", "65.6"),
        "pathological:1": ("12.3*", "12.7"),
        "pathological:2": ("50.7", "50.4"),
        "pathological:3": ("57.1*", "59.2"),
    },
    "scaffold": {
        "iid": ("71.5*", "71.7"),
        "dirichlet:0.5": ("69.8", "68.1"),
        "pathological:1": ("10.0*", "10.0"),
        "pathological:2": ("49.1", "49.4"),
        "pathological:3": ("57.8*", "61.0"),
    },
    "fednova": {
        "iid": ("69.5*", "70.7"),
        "dirichlet:0.5": ("66.8", "63.9"),
        "pathological:1": ("10.0*", "10.0"),
        "pathological:2": ("46.5", "46.9"),
        "pathological:3": ("54.4*", "57.8"),
    },
}
_PARTS = 10  # a run is kept so often
_MEASURED_ON = 100  # of each party's own images; federate measures the parties, and nothing here looks at it


@dataclass(frozen=True)
class Run:
    """One federation, as far as it has come.

    Attributes:
        dataset, epochs, algorithm, partition, seed: which one it is.
        rounds: that are finished.
        final, best: test accuracy in [0, 1] after the last round, and in the best one; nan for a run that diverged.
        device: on which the last rounds ran.
    """

    dataset: str
    epochs: int
    algorithm: str
    partition: str
    seed: int
    rounds: int = 0
    final: float = math.nan
    best: float = math.nan
    device: str = ""

    @property
    def name(self) -> str:
        """A name for its files."""
        return f"{self.dataset}_{self.epochs}_{self.algorithm}_{self.partition.replace(':', '-')}_{self.seed}"


class Results:
    """The runs that are kept in a folder, as a table for programs and as one for readers.

    Programs that do other runs at the same time may keep them in the same folder.
    """

    def __init__(self, folder: Path) -> None:
        self._csv, self._markdown = folder / "niid_bench.csv", folder / "niid_bench.md"
        self._own: dict[str, Run] = {}

    def _read(self) -> dict[str, Run]:
        if not self._csv.exists():
            return {}
        table = pd.read_csv(self._csv, dtype={"device": str})
        rows = table.assign(device=table["device"].fillna("")).to_dict("records")
        return {run.name: run for run in (Run(**row) for row in rows)}

    def known(self, run: Run) -> Run:
        """Return the run as far as it is known to have come."""
        return self._read().get(run.name, run)

    def keep(self, run: Run) -> None:
        """Write what a run has reached."""
        self._own[run.name] = run
        runs = list((self._read() | self._own).values())
        write_whole(self._csv, pd.DataFrame([asdict(known) for known in runs]).to_csv(index=False, float_format="%.6g"))
        write_whole(self._markdown, markdown(runs))


def markdown(runs: Sequence[Run]) -> str:
    """Return the runs beside the published numbers."""
    lines = [
        "# NIID-Bench, CIFAR-10",
        "",
        "Written by `benchmarks/reproductions/niid_bench.py`. Test accuracy in per cent: NIID-Bench's table 3 (50",
        "rounds; with a star: quoted from memory, not checked), Flower's baseline of it (the best of 50 rounds), and",
        "ours after the last round and in the best one; over several seeds their mean and standard deviation.",
        "",
        "| data | strategy | partition | NIID-Bench | Flower, best | ours | ours, best | rounds | epochs | seeds |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    groups: dict[tuple[str, int, str, str, int], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.dataset, run.epochs, run.algorithm, run.partition, run.rounds), []).append(run)
    places = list(product(PUBLISHED, PARTITIONS))
    for key in sorted(groups, key=lambda key: (key[0], -key[1], places.index((key[2], key[3])), -key[4])):
        dataset, epochs, algorithm, partition, rounds = key
        of_paper, of_flower = PUBLISHED[algorithm][partition] if dataset == "cifar10" else ("", "")
        final, best = ([getattr(run, name) for run in groups[key]] for name in ("final", "best"))
        seeds = ", ".join(str(run.seed) for run in groups[key])
        cells = [dataset, algorithm, PARTITIONS[partition], of_paper, of_flower, _per_cent(final), _per_cent(best)]
        lines.append(f"| {' | '.join([*cells, str(rounds), str(epochs), seeds])} |")
    return "\n".join(lines) + "\n"


def _per_cent(shares: Sequence[float]) -> str:
    values = pd.Series(shares) * 100
    if values.isna().any():
        return "diverged"
    return f"{values.mean():.1f}" + (f" ± {values.std():.1f}" if len(values) > 1 else "")


def advance(run: Run, rounds: int, dataset: ImageDataset, checkpoint: Path) -> Run:
    """Return the run after so many rounds; it goes on after those in the checkpoint."""
    labels = dataset.train_labels.cpu().numpy()
    parts = parse_partition(run.partition).make(labels, PARTIES, seed=run.seed)
    device = dataset.train_images.device
    try:
        accuracy = federate(
            run.algorithm,
            dataset,
            [Shard(part, part[:_MEASURED_ON]) for part in parts],
            num_rounds=rounds,
            local_config=replace(CONFIG, local_epochs=run.epochs),
            settings=SETTINGS.get(run.algorithm),
            seed=run.seed,
            checkpoint=checkpoint,
            label=None,
        ).test_accuracy
    except FaultyReply as fault:
        print(f"{run.name} diverged: {fault}", flush=True)
        return replace(run, rounds=rounds, final=math.nan, best=math.nan)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "processor"
    return replace(run, rounds=rounds, final=accuracy[-1], best=max(accuracy[1:]), device=name)


def run_all(
    runs: Sequence[Run], rounds: int, dataset: ImageDataset, results: Results, checkpoints: Path, seconds: float
) -> bool:
    """Do what is missing, as far as it fits into the time; return whether all is done."""
    end = time.monotonic() + seconds
    for run in runs:
        longest = 0.0
        run = results.known(run)
        step = -(-rounds // _PARTS)
        while run.rounds < rounds:
            start = time.monotonic()
            if start + longest > end:
                return False
            target = min(run.rounds - run.rounds % step + step, rounds)
            checkpoint = checkpoints / f"{run.name}.checkpoint"
            run = advance(run, target, dataset, checkpoint)
            if math.isnan(run.final):  # it stays so
                run = replace(run, rounds=rounds)
            if run.rounds == rounds:
                checkpoint.unlink(missing_ok=True)
            results.keep(run)
            longest = max(longest, time.monotonic() - start)
            print(f"{run.name}: {run.rounds} rounds, {run.final:.1%}, {time.monotonic() - start:.1f} s", flush=True)
    return True


def main() -> None:
    """Run what is missing."""
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--device", default="auto", choices=("auto", "cuda", "cpu"))
    parser.add_argument("--seeds", default="0", help="such as 0,1,2")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--only", default="", help=f"some of {','.join([*PUBLISHED, *PARTITIONS])}")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop when the next rounds would end later")
    parser.add_argument("--output", type=Path, default=here / "results", help="folder of the tables")
    parser.add_argument("--checkpoints", type=Path, default=Path("build/niid-bench"), help="folder of unfinished runs")
    options = parser.parse_args()
    chosen = set(filter(None, options.only.split(",")))
    if unknown := chosen - {*PUBLISHED, *PARTITIONS}:
        parser.error(f"--only must be some of {', '.join([*PUBLISHED, *PARTITIONS])}, got {', '.join(unknown)}")
    for folder in (options.output, options.checkpoints):
        try:  # before hours of training have gone into it
            try_writing(folder)
        except (OSError, ValueError) as error:
            parser.error(f"{folder} must be a folder that can be made and written: {error}")
    start = time.monotonic()
    dataset = load_dataset(options.dataset).to(pick_device(options.device))
    runs = [
        Run(options.dataset, options.epochs, algorithm, partition, int(seed))
        for seed in options.seeds.split(",")
        for algorithm in [name for name in PUBLISHED if name in chosen] or PUBLISHED
        for partition in [name for name in PARTITIONS if name in chosen] or PARTITIONS
    ]
    seconds = 60 * options.minutes - (time.monotonic() - start)
    done = run_all(runs, options.rounds, dataset, Results(options.output), options.checkpoints, seconds)
    print(f"{'All is done' if done else 'The time is up; the same command goes on'}: {options.output}/niid_bench.md")


if __name__ == "__main__":
    main()
