"""Ten rounds of real training on the embedded data, with many clients of whom some take part.

    python -m probes.scale --clients 10000 --participants 100

All clients take turns in one process, so that what is not training can be told from what is.
"""

import argparse
import json

import torch

from fedlearn_helpers.data import load_dataset
from fedlearn_helpers.experiments import basic_client
from probes import federation
from probes.federation import Stopwatch, embedded_client_app, serve

ROUNDS = 10


def main() -> None:
    """Run it and print the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--participants", type=int, required=True)
    arguments = parser.parse_args()
    basic_client.train = training = Stopwatch(basic_client.train)
    federation.evaluate = evaluation = Stopwatch(federation.evaluate)
    torch.optim.SGD([torch.zeros(1, requires_grad=True)])  # PyTorch's first optimizer imports for two seconds
    dataset = load_dataset("fashion")
    app = embedded_client_app(dataset, arguments.clients)
    history = serve(app, dataset, rounds=ROUNDS, workers=1, **vars(arguments))
    print(
        json.dumps(
            {
                "messages": len(history.exchanges),
                "seconds": history.seconds,
                "training": training.seconds,
                "evaluation": evaluation.seconds,
            }
        )
    )


if __name__ == "__main__":
    main()
