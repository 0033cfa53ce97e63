"""The contestant of this project: `simulate` with the client of notebook 02."""

from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp

from contest.marks import FINISH, START, Marks
from contest.settings import BATCH_SIZE, DATASET, LEARNING_RATE, LOCAL_EPOCHS, SEED, Task, make_shards, start
from contest.strategy import FullFedAvg
from fedlearn_helpers.data import ImageDataset, load_dataset
from fedlearn_helpers.experiments.basic_client import make_client_app
from fedlearn_helpers.models import new_cnn
from fedlearn_helpers.simulation import keep_result, simulate
from fedlearn_helpers.training import evaluate


def make_server_app(dataset: ImageDataset, task: Task, marks: Marks) -> ServerApp:
    """Return the server: FedAvg over all clients, with the test set evaluated after every round."""
    server_app = ServerApp()

    @server_app.main()
    def main(grid: Grid, context: Context) -> None:
        model = new_cnn(dataset.image_shape, dataset.num_classes, SEED)

        def evaluate_on_test(arrays: ArrayRecord) -> dict[str, float]:
            model.load_state_dict(arrays.to_torch_state_dict())
            result = evaluate(model, dataset.test_images, dataset.test_labels)
            return {"loss": result.loss, "accuracy": result.accuracy}

        result = FullFedAvg(task.clients).start(
            grid,
            ArrayRecord(model.state_dict()),
            num_rounds=task.rounds,
            evaluate_fn=marks.after_each_round(evaluate_on_test),
        )
        keep_result(result, context)

    return server_app


def run(task: Task) -> None:
    """Run the experiment."""
    marks = Marks(task.marks)
    marks.write(START)
    dataset = load_dataset(DATASET)
    client_app = make_client_app(
        dataset,
        make_shards(dataset, task.clients),
        new_cnn(dataset.image_shape, dataset.num_classes, SEED),
        local_epochs=LOCAL_EPOCHS,
        batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE,
        seed=SEED,
    )
    history = simulate(
        make_server_app(dataset, task, marks),
        client_app,
        num_clients=task.clients,
        seed=SEED,
        run_config={"num-server-rounds": task.rounds},
        workers=task.workers,
    )
    validation_accuracy = history.aggregated["evaluate"][task.rounds]["accuracy"]
    marks.write(FINISH, validation_accuracy=validation_accuracy)
    print(f"validation accuracy {validation_accuracy:.4f}")


if __name__ == "__main__":
    start(prepare=lambda task: load_dataset(DATASET), run=run)
