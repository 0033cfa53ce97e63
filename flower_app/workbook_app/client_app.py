"""The ClientApp: every client of a process shares one data set, one model and one thread."""

import copy
from functools import lru_cache
from pathlib import Path

import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments import new_client_app
from fedlearn_helpers.simulation.position import client_of, training_round
from workbook_app.secure import secure_aggregation
from workbook_app.settings import RunConfig, read_run_config
from workbook_app.states import LAST_TRAINED, FlowersMemory, Memory, StateFile
from workbook_app.task import load_images, new_model, new_shards
from workbook_app.versions import own_versions

app = ClientApp()


@app.query()
def tell_who_it_is(message: Message, context: Context) -> Message:
    """Tell the server which client this is: node ids are random, partition ids are the same in every run.

    And which software it runs, and of which rounds it has states.
    """
    partition = {name: context.node_config[name] for name in ("partition-id", "num-partitions")}
    memory = _memory(read_run_config(context.run_config), context)
    rounds = memory.rounds if isinstance(memory, StateFile) else []
    content = {
        "partition": ConfigRecord(partition),
        "versions": ConfigRecord(dict(own_versions())),
        "states": ConfigRecord({"rounds": [0, *rounds]}),
    }
    return Message(RecordDict(content), reply_to=message)


@app.train()
def train(message: Message, context: Context) -> Message:
    """Train the model in the message on this client's images, as the algorithm does."""
    config = read_run_config(context.run_config)
    memory, server_round = _memory(config, context), training_round(message.content)
    state = _state(message, context, memory, server_round)
    reply = _client(context)(message, _with_state(context, state))
    if config.the_algorithm.keeps_state:
        memory.keep(server_round, state)
    return reply


@app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Measure the model that this client uses on its validation images."""
    memory = _memory(read_run_config(context.run_config), context)
    state = _state(message, context, memory, training_round(message.content) + 1)
    return _client(context)(message, _with_state(context, state))


def _memory(config: RunConfig, context: Context) -> Memory:
    if not (config.the_algorithm.keeps_state and config.client_states_path):
        return FlowersMemory(context)
    key = config.run_key(int(context.node_config["num-partitions"]))
    return StateFile(Path(config.client_states_path), client_of(context), key)


def _state(message: Message, context: Context, memory: Memory, server_round: int) -> RecordDict:
    """Return the state before a round.

    Raises:
        InputError: the client has trained since, and what it kept is lost, such as with a restart of its machine.
    """
    kept_in, state = memory.before(server_round)
    needed = int(message.content.config_records.get(LAST_TRAINED, {}).get("round", 0))
    if kept_in < needed:
        raise InputError(
            f"client {client_of(context)} must have the state that it kept in round {needed}, and has "
            f"{f'that of round {kept_in}' if kept_in else 'none'}; with a client-states-path it outlives a restart"
        )
    return state


def _with_state(context: Context, state: RecordDict) -> Context:
    own = copy.copy(context)
    own.state = state
    return own


def _client(context: Context) -> ClientApp:
    return _new_client(read_run_config(context.run_config), context.node_config["num-partitions"])


@lru_cache(maxsize=1)
def _new_client(config: RunConfig, num_clients: int) -> ClientApp:
    torch.set_num_threads(1)  # sums of floats depend on how they are split over threads
    model, mods = new_model(config), []
    if config.secure_aggregation:
        first = ArrayRecord(dict(config.the_algorithm.first(model, config.all_settings(), config.seed)))
        mods = [secure_aggregation(config, num_clients).around_client(first, config.seed)]
    return new_client_app(
        config.the_algorithm,
        load_images(config.dataset),
        new_shards(config, num_clients),
        model,
        mods=mods,
        local_config=config.local_config(),
        seed=config.seed,
        adapt=config.the_algorithm.adapt,
    )
