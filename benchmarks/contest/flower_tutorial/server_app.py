"""The quickstart's server: FedAvg, with the global model evaluated on the test set after every round."""

from flwr.app import ArrayRecord, ConfigRecord, Context
from flwr.serverapp import Grid, ServerApp

from contest.flower_tutorial.task import Net, load_test_data, pick_device, test
from contest.marks import FINISH, Marks
from contest.settings import LEARNING_RATE
from contest.strategy import FullFedAvg


def make_server_app(rounds: int, num_clients: int, marks: Marks) -> ServerApp:
    """Return the server app."""
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        result = FullFedAvg(num_clients).start(
            grid=grid,
            initial_arrays=ArrayRecord(Net().state_dict()),
            train_config=ConfigRecord({"lr": LEARNING_RATE}),
            num_rounds=rounds,
            evaluate_fn=marks.after_each_round(evaluate_on_test),
        )
        marks.write(FINISH, validation_accuracy=float(result.evaluate_metrics_clientapp[rounds]["eval_acc"]))
        print(f"test accuracy {result.evaluate_metrics_serverapp[rounds]['accuracy']:.4f}")

    return app


def evaluate_on_test(arrays: ArrayRecord) -> dict[str, float]:
    """Measure a new model with these weights on the whole test set."""
    net = Net()
    net.load_state_dict(arrays.to_torch_state_dict())
    loss, accuracy = test(net, load_test_data(), pick_device())
    return {"loss": loss, "accuracy": accuracy}
