"""A client that waits, and then answers or fails."""

import time

from flwr.app import Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(message, context):
    time.sleep(context.run_config["seconds"])
    partition_id = context.node_config["partition-id"]
    if partition_id == context.run_config["failing-client"]:
        raise RuntimeError("disk full")
    return Message(RecordDict({"metrics": MetricRecord({"partition-id": partition_id})}), reply_to=message)
