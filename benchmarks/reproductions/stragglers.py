"""FedProx's experiment with stragglers, by direction: what is lost when slow clients are dropped.

Li et al. 2020, https://arxiv.org/abs/1812.06127, figure 1: logistic regression, 1,000 clients with two classes each, 10
of them in a round, 20 local epochs in batches of 10, learning rate 0.03, 100 rounds. In every round 90 % of the clients
are stragglers, which manage between 1 and 20 epochs, drawn at random. FedAvg drops them, FedProx takes what they have.

    python benchmarks/reproductions/stragglers.py --dataset fashion --seeds 0,1,2

Differences: Fashion-MNIST by default (the paper: MNIST); clients with equal numbers of images (the paper: a power law).
"""

import argparse
from functools import partial

import numpy as np
import pandas as pd
import torch
from flwr.app import Error, Message
from torch import nn

from fedlearn_helpers.algorithms import LocalConfig
from fedlearn_helpers.availability.mods import MAX_STEPS
from fedlearn_helpers.data import load_dataset
from fedlearn_helpers.experiments.federate import federate
from fedlearn_helpers.experiments.parallel import run_in_parallel
from fedlearn_helpers.partition import classes_per_client, split_train_validation
from fedlearn_helpers.seeds import derive_seed, seeded

EPOCHS, BATCH_SIZE, LEARNING_RATE = 20, 10, 0.03
RULES = {
    "FedAvg, drops stragglers": ("fedavg", 0.0, "drop"),
    "partial work, mu = 0": ("fedprox", 0.0, "partial"),
    "partial work, mu = 0.1": ("fedprox", 0.1, "partial"),
    "partial work, mu = 1": ("fedprox", 1.0, "partial"),
}


def straggle(message, context, call_next, *, seed, share, late, steps_an_epoch):
    """A Flower mod: this client is a straggler in some rounds, whatever the rule that is measured."""
    client, server_round = context.node_config["partition-id"], message.content["config"]["server-round"]
    rng = np.random.default_rng(derive_seed(seed, "straggler", server_round, client))
    if rng.random() < share:
        if late == "drop":
            return Message(Error(100, "dropped"), reply_to=message)
        message.content["config"][MAX_STEPS] = int(rng.integers(1, EPOCHS + 1)) * steps_an_epoch[client]
    return call_next(message, context)


def run(dataset, rule, seed, share, clients, rounds):
    """Return the test accuracies of one federation, round by round."""
    torch.set_num_threads(1)
    strategy, mu, late = rule
    labels = dataset.train_labels.numpy()
    parts = classes_per_client(labels, clients, num_classes_each=2, seed=seed)
    shards = split_train_validation(parts, validation_fraction=0.1, seed=seed)
    steps = [-(-len(shard.train) // BATCH_SIZE) for shard in shards]
    with seeded(seed):
        model = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(dataset.image_shape)), dataset.num_classes))
    return federate(
        strategy,
        dataset,
        shards,
        num_rounds=rounds,
        local_config=LocalConfig(EPOCHS, BATCH_SIZE, LEARNING_RATE),
        settings={"mu": mu} if strategy == "fedprox" else None,
        fraction_train=10 / clients,
        seed=seed,
        workers=1,
        model=model,
        mods=[partial(straggle, seed=seed, share=share, late=late, steps_an_epoch=steps)],
        on_error="reply",
        label=None,
    ).test_accuracy


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dataset", default="fashion")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--share", type=float, default=0.9, help="of the clients that are stragglers in a round")
    options = parser.parse_args()
    dataset = load_dataset(options.dataset)
    seeds = [int(seed) for seed in options.seeds.split(",")]
    runs = [(name, seed) for name in RULES for seed in seeds]

    def do_run(number):
        name, seed = runs[number]
        return {"accuracy": list(run(dataset, RULES[name], seed, options.share, options.clients, options.rounds))}

    results = run_in_parallel(do_run, len(runs), seed=0)
    last = 10  # rounds: a single one depends on who happened to take part
    rows = [
        {"rule": name, "seed": seed, "accuracy": float(np.mean(result["accuracy"][-last:]))}
        for (name, seed), result in zip(runs, results, strict=True)
    ]
    table = pd.DataFrame(rows).pivot(index="rule", columns="seed", values="accuracy").loc[list(RULES)]
    table = table.assign(mean=table.mean(axis=1), std=table[seeds].std(axis=1))
    print(
        f"{options.dataset}, {options.share:.0%} stragglers; "
        f"test accuracy, mean of the last {last} of {options.rounds} rounds"
    )
    print(table.to_string(float_format="{:.3f}".format))


if __name__ == "__main__":
    main()
