"""The quickstart's client: a new model and new data loaders for every message."""

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from contest.flower_tutorial.task import Net, load_data, pick_device, test, train
from contest.settings import BATCH_SIZE, LOCAL_EPOCHS

app = ClientApp()


@app.train()
def train_client(message: Message, context: Context) -> Message:
    """Train the received model on this client's training share."""
    net, device = _received_model(message), pick_device()
    loader, _ = load_data(context.node_config["partition-id"], context.node_config["num-partitions"], BATCH_SIZE)
    loss = train(net, loader, LOCAL_EPOCHS, message.content["config"]["lr"], device)
    metrics = MetricRecord({"train_loss": loss, "num-examples": len(loader.dataset)})
    content = RecordDict({"arrays": ArrayRecord(net.state_dict()), "metrics": metrics})
    return Message(content=content, reply_to=message)


@app.evaluate()
def evaluate_client(message: Message, context: Context) -> Message:
    """Measure the received model on this client's validation share."""
    net, device = _received_model(message), pick_device()
    _, loader = load_data(context.node_config["partition-id"], context.node_config["num-partitions"], BATCH_SIZE)
    loss, accuracy = test(net, loader, device)
    metrics = MetricRecord({"eval_loss": loss, "eval_acc": accuracy, "num-examples": len(loader.dataset)})
    return Message(content=RecordDict({"metrics": metrics}), reply_to=message)


def _received_model(message: Message) -> Net:
    net = Net()
    net.load_state_dict(message.content["arrays"].to_torch_state_dict())
    return net
