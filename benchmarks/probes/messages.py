"""The cost of a message to a client who does nothing but load the model and send it back.

    python -m probes.messages --model cnn --workers 1 --rounds 20

In every round, all ten clients get a message to train and one to evaluate. The first round, which starts workers,
does not count.
"""

import argparse
import json
import time

import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg
from torch import nn
from torchvision.models import resnet18

from fedlearn_helpers.models import TutorialCNN, count_parameters
from fedlearn_helpers.simulation import simulate
from probes.federation import SEED, new_server_app

CLIENTS = 10
MODELS = {"cnn": lambda: TutorialCNN(3, 32, 32, 10), "resnet18": lambda: resnet18(num_classes=10)}


def echo_client_app(model: nn.Module) -> ClientApp:
    """Return a client that converts as notebook 02's does, and computes nothing."""
    app = ClientApp()
    metrics = MetricRecord({"loss": 1.0, "num-examples": 10})

    @app.train()
    def train(message: Message, context: Context) -> Message:
        model.load_state_dict(message.content["arrays"].to_torch_state_dict())
        reply = RecordDict({"arrays": ArrayRecord(model.state_dict()), "metrics": metrics})
        return Message(reply, reply_to=message)

    @app.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        model.load_state_dict(message.content["arrays"].to_torch_state_dict())
        return Message(RecordDict({"metrics": metrics}), reply_to=message)

    return app


def main() -> None:
    """Run it and print the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=MODELS, required=True)
    parser.add_argument("--workers", required=True, type=int)
    parser.add_argument("--rounds", required=True, type=int)
    arguments = parser.parse_args()
    model = MODELS[arguments.model]()
    times = []

    def note_the_time(server_round: int, arrays: ArrayRecord) -> MetricRecord:
        times.append(time.perf_counter())
        return MetricRecord({})

    server_app = new_server_app(FedAvg(), ArrayRecord(model.state_dict()), arguments.rounds, note_the_time)
    history = simulate(server_app, echo_client_app(model), num_clients=CLIENTS, seed=SEED, workers=arguments.workers)
    later = [exchange for exchange in history.exchanges if exchange.round > 1]
    print(
        json.dumps(
            {
                "parameters": count_parameters(model),
                "messages": len(later),
                "seconds": times[-1] - times[1],
                "clients": sum(exchange.seconds for exchange in later),
            }
        )
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
