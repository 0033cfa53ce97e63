"""PFLlib's question: which personalized methods beat FedAvg on their clients' own images, and when do they lose?

Usage: python benchmarks/reproductions/personalization.py [--output FOLDER]
"""

import argparse
from pathlib import Path

from fedlearn_helpers.algorithms import LocalConfig
from fedlearn_helpers.data import load_dataset
from fedlearn_helpers.experiments import Comparison, compare, summarize_clients

PLAN = Comparison(
    algorithms=["global", "perfedavg", "pfedme", "ditto", "apfl", "fedper", "fedrep", "finetune"],
    scenarios=["pathological:2", "dirichlet:0.1", "dirichlet:10"],
    seeds=[0],
    num_clients=20,
    num_rounds=20,
    local_config=LocalConfig(local_epochs=1, batch_size=10, learning_rate=0.02),
    model="mlp",
    validation_fraction=0.25,
)


def main() -> None:
    """Run what is missing and print a table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--output", type=Path, default=Path("build/personalization"), help="finished runs are kept")
    tables = compare(PLAN, load_dataset("fashion"), folder=arguments.parse_args().output)
    means = summarize_clients(tables.clients)["mean"].unstack("scenario")[list(PLAN.scenarios)]
    print((100 * means).round(1).to_string())


if __name__ == "__main__":
    main()
