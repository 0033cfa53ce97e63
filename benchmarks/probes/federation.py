"""A federation on the embedded data, for the probes."""

import time
from collections.abc import Callable

from flwr.app import ArrayRecord, Context, MetricRecord
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from fedlearn_helpers.data import ImageDataset
from fedlearn_helpers.experiments.basic_client import make_client_app
from fedlearn_helpers.models import new_cnn
from fedlearn_helpers.partition import Shard, iid
from fedlearn_helpers.simulation import History, simulate
from fedlearn_helpers.training import evaluate

SEED = 0


def embedded_client_app(dataset: ImageDataset, clients: int) -> ClientApp:
    """Return the client of notebook 02, who has an equal share of the training images and validates on it, too."""
    parts = iid(len(dataset.train_labels), clients, seed=SEED)
    model = new_cnn(dataset.image_shape, dataset.num_classes, SEED)
    return make_client_app(
        dataset,
        [Shard(part, part) for part in parts],
        model,
        local_epochs=1,
        batch_size=32,
        learning_rate=0.001,
        seed=SEED,
    )


def serve(
    client_app: ClientApp, dataset: ImageDataset, *, clients: int, participants: int, rounds: int, workers: int | str
) -> History:
    """Run FedAvg with some of the clients in every round, who only train; the server evaluates on the test set."""
    model = new_cnn(dataset.image_shape, dataset.num_classes, SEED)

    def evaluate_on_test(server_round: int, arrays: ArrayRecord) -> MetricRecord:
        model.load_state_dict(arrays.to_torch_state_dict())
        return MetricRecord({"accuracy": evaluate(model, dataset.test_images, dataset.test_labels).accuracy})

    strategy = FedAvg(fraction_train=participants / clients, min_train_nodes=participants, fraction_evaluate=0.0)
    server_app = new_server_app(strategy, ArrayRecord(model.state_dict()), rounds, evaluate_on_test)
    return simulate(server_app, client_app, num_clients=clients, seed=SEED, workers=workers)


def new_server_app(
    strategy: FedAvg, initial: ArrayRecord, rounds: int, evaluate_fn: Callable[[int, ArrayRecord], MetricRecord]
) -> ServerApp:
    """Return a server that runs the strategy."""
    server_app = ServerApp()

    @server_app.main()
    def main(grid: Grid, context: Context) -> None:
        strategy.start(grid, initial, num_rounds=rounds, evaluate_fn=evaluate_fn)

    return server_app


class Stopwatch:
    """Adds up the time that calls of a function take."""

    def __init__(self, function: Callable) -> None:
        self._function, self.seconds = function, 0.0

    def __call__(self, *arguments: object, **options: object) -> object:
        start = time.perf_counter()
        try:
            return self._function(*arguments, **options)
        finally:
            self.seconds += time.perf_counter() - start
