"""A server that asks all clients, and writes down who answered."""

import json
import time
from pathlib import Path

from flwr.app import Message, RecordDict
from flwr.serverapp import ServerApp

app = ServerApp()


@app.main()
def main(grid, context):
    config = context.run_config
    while len(node_ids := sorted(grid.get_node_ids())) < config["num-clients"]:
        time.sleep(0.2)
    rounds = []
    write(config, "running", rounds)
    if config["server-fails"]:
        write(config, "failed", rounds, "RuntimeError: no model")
        raise RuntimeError("no model")
    for number in range(1, config["num-server-rounds"] + 1):
        replies = list(grid.send_and_receive([Message(RecordDict(), node_id, "train") for node_id in node_ids]))
        errors = [reply.error.reason for reply in replies if reply.has_error()]
        answered = sorted(reply.content["metrics"]["partition-id"] for reply in replies if not reply.has_error())
        rounds.append(
            {"round": number, "failures": {"train": len(node_ids) - len(answered)}, "errors": errors, "of": answered}
        )
        write(config, "running", rounds)
    write(config, "completed", rounds)


def write(config, status, rounds, error=None):
    Path(config["results-path"]).write_text(json.dumps({"status": status, "error": error, "rounds": rounds}))
