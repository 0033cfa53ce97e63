"""PFLlib's question: which personalized methods beat FedAvg on their clients' own images, and when do they lose?

Usage: python benchmarks/reproductions/personalization.py [--output FOLDER]
"""

import argparse
from pathlib import Path

from fedlearn_helpers.algorithms import LocalConfig
from fedlearn_helpers.data import load_dataset
from fedlearn_helpers.experiments.compare_personal import PersonalComparison, compare_personal, summarize_personal

PLAN = PersonalComparison(
    methods=["global", "perfedavg", "pfedme", "ditto", "apfl", "fedper", "fedrep", "finetune"],
    situations=["pathological:2", "dirichlet:0.1", "dirichlet:10"],
    seeds=[0],
    num_clients=20,
    num_newcomers=0,
    num_rounds=20,
    local_config=LocalConfig(local_epochs=1, batch_size=10, learning_rate=0.02),
    model="mlp",
    validation_fraction=0.25,
)


def main() -> None:
    """Run what is missing and print a table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--output", type=Path, default=Path("build/personalization"), help="finished runs are kept")
    table = compare_personal(PLAN, load_dataset("fashion"), folder=arguments.parse_args().output)
    print((100 * summarize_personal(table)["mean"].unstack("situation")[list(PLAN.situations)]).round(1).to_string())


if __name__ == "__main__":
    main()
