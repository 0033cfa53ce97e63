"""PFLlib's question: which personalized methods beat FedAvg on their clients' own images, and when do they lose?

    python benchmarks/reproductions/personalization.py
    FEDLEARN_DATA=folder python benchmarks/reproductions/personalization.py --dataset fashion-mnist --model cnn \
        --rounds 200 --learning-rate 0.005 --device cuda --output build/personalization-200

Stop it when you like: the same command leaves out the runs that are finished.
"""

import argparse
from pathlib import Path

import pandas as pd

from fedlearn_helpers.algorithms import LocalConfig
from fedlearn_helpers.data import load_dataset
from fedlearn_helpers.experiments import Comparison, compare, summarize_clients
from fedlearn_helpers.files import write_whole
from fedlearn_helpers.models import MODELS
from fedlearn_helpers.training import pick_device

METHODS = ["global", "perfedavg", "pfedme", "ditto", "apfl", "fedper", "fedrep", "finetune"]
SCENARIOS = ["pathological:2", "dirichlet:0.1", "dirichlet:10"]
PUBLISHED = {  # in per cent, on Fashion-MNIST after up to 2,000 rounds
    "PFLlib pathological:2": {
        **{"global": 80.4, "perfedavg": 99.2, "pfedme": 99.4, "ditto": 99.4},
        **{"apfl": 99.4, "fedper": 99.5, "fedrep": 99.6},
    },
    "PFLlib dirichlet:0.1": {
        **{"global": 85.9, "perfedavg": 95.1, "pfedme": 97.3, "ditto": 97.5},
        **{"apfl": 97.3, "fedper": 97.4, "fedrep": 97.6},
    },
}


def table_of(means: pd.DataFrame) -> pd.DataFrame:
    """Return the clients' mean accuracy by algorithm and scenario in per cent, the published numbers beside it."""
    return (100 * means).round(1).join(pd.DataFrame(PUBLISHED))


def main() -> None:
    """Run what is missing and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="fashion")
    parser.add_argument("--model", choices=MODELS, default="mlp")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--learning-rate", type=float, default=0.02)
    parser.add_argument("--seeds", default="0", help="such as 0,1,2")
    parser.add_argument("--device", default="cpu", choices=("auto", "cuda", "cpu"))
    parser.add_argument("--output", type=Path, default=Path("build/personalization"), help="finished runs are kept")
    options = parser.parse_args()
    plan = Comparison(
        algorithms=METHODS,
        scenarios=SCENARIOS,
        seeds=[int(seed) for seed in options.seeds.split(",")],
        num_clients=options.clients,
        num_rounds=options.rounds,
        local_config=LocalConfig(local_epochs=1, batch_size=10, learning_rate=options.learning_rate),
        model=options.model,
        validation_fraction=0.25,
    )
    dataset = load_dataset(options.dataset).to(pick_device(options.device))
    tables = compare(plan, dataset, folder=options.output)
    means = summarize_clients(tables.clients)["mean"].unstack("scenario")[SCENARIOS]
    table = table_of(means).to_string()
    print(table)
    write_whole(options.output / "personalization.txt", f"{table}\n")


if __name__ == "__main__":
    main()
