"""One call combines everything: any algorithm with any aggregator, mods, adaptation and task; each with a control."""

import functools
import re
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.serverapp.strategy import FedAvg, FedAvgM, FedProx
from noise import noise_images, shards
from torch import nn
from torch.nn import functional as F

from fedlearn_helpers.algorithms import ALGORITHMS, LocalConfig, LocalTraining, fine_tuning, uniform_mean, weighted_mean
from fedlearn_helpers.data import Examples
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments import federate, reference_lines, run_key
from fedlearn_helpers.experiments.value_key import function_key
from fedlearn_helpers.models import NORMALIZED_MODELS, new_mlp
from fedlearn_helpers.partition import Shard
from fedlearn_helpers.tasks import Task
from fedlearn_helpers.training import evaluate

HERE = Path(__file__).parent
SIZES = (12, 20, 40)
CONFIG = LocalConfig(batch_size=4, learning_rate=0.05)
PLAIN = {"local_config": CONFIG, "seed": 0, "workers": 1, "label": None}


@pytest.fixture(scope="module")
def noise():
    return noise_images(80, 20)


def weights_of(result):
    return result.model.to_torch_state_dict()


def equal(first, second):
    return all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def median(states, weights):
    """The median of each entry: one client that lies does not move it far."""
    return {name: torch.stack([state[name] for state in states]).median(dim=0).values for name in states[0]}


def momentum_of(beta):
    """A strategy of one's own."""
    options = {"fraction_evaluate": 0.0, "min_train_nodes": 1, "min_available_nodes": 1}
    return functools.partial(FedAvgM, server_momentum=beta, **options)


# Aggregators ------------------------------------------------------------------------------


def models_of_clients(noise, rounds=1):
    """What the clients send in the last round of FedAvg."""
    seen = []

    def keep(states, weights):
        seen.append(([dict(state) for state in states], list(weights)))
        return weighted_mean(states, weights)

    federate("fedavg", noise, shards(SIZES), num_rounds=rounds, aggregator=keep, **PLAIN)
    return seen[-1]


def test_fedavg_with_a_median_in_one_call(noise):
    result = federate("fedavg", noise, shards(SIZES), num_rounds=1, aggregator=median, **PLAIN)
    states, weights = models_of_clients(noise)
    assert weights == list(SIZES)
    for name, tensor in weights_of(result).items():
        assert np.array_equal(tensor, np.median([state[name].numpy() for state in states], axis=0))
    assert not equal(weights_of(result), weights_of(federate("fedavg", noise, shards(SIZES), num_rounds=1, **PLAIN)))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, algorithm in ALGORITHMS.items() if algorithm.takes_aggregator])
def test_every_server_combines_models_by_the_aggregator(noise, name):
    """With one that returns the first client's model, or change, the others have no say."""
    first = functools.partial(
        federate, name, noise, num_rounds=1, model=new_mlp(noise.image_shape, noise.num_classes, 0), **PLAIN
    )
    alone = first(shards(SIZES), aggregator=lambda states, weights: dict(states[0]))
    common = first(shards(SIZES))
    assert not equal(weights_of(alone), weights_of(common)), "control: the aggregator is asked"
    again = first(shards(SIZES), aggregator=ALGORITHMS[name].new_server(CONFIG, settings_of(name)).aggregator)
    assert equal(weights_of(again), weights_of(common))


def settings_of(name):
    return ALGORITHMS[name].complete_settings()


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [1, 3])
@pytest.mark.parametrize(
    ("name", "flowers", "settings"),
    [
        ("fedavg", FedAvg, {}),
        ("fedprox", functools.partial(FedProx, proximal_mu=0.0), {"mu": 0.0}),
        ("fedavgm", functools.partial(FedAvgM, server_momentum=0.9, server_learning_rate=1.0), {}),
    ],
)
def test_the_same_bits_as_flowers_own_strategy(noise, name, flowers, settings, rounds):
    options = {"fraction_evaluate": 0.0, "min_train_nodes": 1, "min_available_nodes": 1}
    ours = federate(name, noise, shards(SIZES), num_rounds=rounds, settings=settings, **PLAIN)
    theirs = federate(lambda: flowers(**options), noise, shards(SIZES), num_rounds=rounds, **PLAIN)
    assert equal(weights_of(ours), weights_of(theirs))
    assert ours.test_accuracy == theirs.test_accuracy
    uniform = federate(
        name,
        noise,
        shards(SIZES),
        num_rounds=rounds,
        settings=settings,
        aggregator=lambda states, weights: weighted_mean(states, [1] * len(states)),
        **PLAIN,
    )
    assert not equal(weights_of(uniform), weights_of(theirs)), "control"


def test_an_aggregator_that_would_not_be_used_is_refused(noise):
    with pytest.raises(InputError, match="aggregator must be None for q-FedAvg, whose server does not average models"):
        federate("qfedavg", noise, shards(SIZES), num_rounds=1, aggregator=median, **PLAIN)
    with pytest.raises(InputError, match="aggregator must be None with a strategy of your own"):
        federate(FedAvg, noise, shards(SIZES), num_rounds=1, aggregator=median, **PLAIN)


# Adaptation -------------------------------------------------------------------------------


def test_scaffold_then_fine_tuning_in_one_call(noise):
    own = {"num_rounds": 2, "adaptation_epochs": 10, "unseen": [shards((8,))[0]]}
    own["model"] = new_mlp(noise.image_shape, noise.num_classes, 0)
    tuned = federate("scaffold", noise, shards(SIZES), adapt=fine_tuning.adapt, **own, **PLAIN)
    plain = federate("scaffold", noise, shards(SIZES), **own, **PLAIN)
    assert equal(weights_of(tuned), weights_of(plain)), "the federation is the same"
    by_hand = [fine_tuned(noise, plain, client, shard) for client, shard in enumerate(shards(SIZES))]
    assert tuned.members.own.tolist() == by_hand
    assert tuned.members.own.tolist() != plain.members.own.tolist(), "control"
    assert tuned.members.elsewhere.shape == (3, 3) and tuned.unseen.own.shape == (1,)
    assert np.array_equal(np.diag(tuned.members.elsewhere), tuned.members.own)
    assert plain.test_accuracy and tuned.test_accuracy == (), "there is no one model that all use"


def fine_tuned(noise, result, client, shard):
    """The accuracy of one client after ten epochs from the server's model, in the order of images of the package."""
    model = new_mlp(noise.image_shape, noise.num_classes, 0)
    config = {"server-round": 2, "adaptation-epochs": 10.0}
    content = RecordDict({"arrays": result.model})
    content["config"] = ConfigRecord(config)
    context = Context(run_id=1, node_id=1, node_config={"partition-id": client}, state=RecordDict(), run_config={})

    class Sent:
        pass

    message: Message = Sent()
    message.content = content
    local = LocalTraining(message, context, noise, shard, model, CONFIG, 0, purpose="adapt")
    local.train(10)
    return evaluate(model, noise.train_images, noise.train_labels, shard.validation).accuracy


def test_everything_at_once(noise, tmp_path):
    """SCAFFOLD, fine-tuned, with a median, a mod, an unseen client, a part of the clients, and a checkpoint."""
    asked = []

    def count(message, context, call_next):
        asked.append(context.node_config["partition-id"])
        return call_next(message, context)

    options = {
        "aggregator": median,
        "mods": [count],
        "adapt": fine_tuning.adapt,
        "unseen": [shards((8,))[0]],
        "fraction_train": 0.7,
    }
    whole = federate("scaffold", noise, shards(SIZES), num_rounds=4, **options, **PLAIN)
    assert len(asked) == 4 * 2
    file = tmp_path / "half"
    federate("scaffold", noise, shards(SIZES), num_rounds=2, checkpoint=file, **options, **PLAIN)
    resumed = federate("scaffold", noise, shards(SIZES), num_rounds=4, checkpoint=file, **options, **PLAIN)
    assert equal(weights_of(whole), weights_of(resumed))
    assert np.array_equal(whole.members.own, resumed.members.own)
    assert np.array_equal(whole.unseen.own, resumed.unseen.own)


@pytest.mark.parametrize("name", ["ifca", "fedper", "fedrep", "ditto"])
def test_clients_first_complete_the_model_and_then_adapt_it(noise, name):
    """Where the server does not hold the whole model, what is given comes behind what the algorithm does."""
    adapted = []

    def look(local):
        adapted.append({name: tensor.clone() for name, tensor in local.model.state_dict().items()})

    model = new_mlp(noise.image_shape, noise.num_classes, 0)
    initial = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    options = PLAIN | {"num_rounds": 2, "model": model}
    federate(name, noise, shards(SIZES), adapt=look, **options)
    assert len(adapted) == 3
    for state in adapted:
        assert all(not torch.equal(tensor, initial[key]) for key, tensor in state.items()), "all of it was trained"


def look_of(model):
    """All that may change in a model by training: copies of its numbers, their gradients, and every layer's mode."""
    numbers = [*model.named_parameters(), *model.named_buffers()]
    parts = [(name, tensor.detach().clone(), tensor.requires_grad, tensor.grad) for name, tensor in numbers]
    return parts, [layer.training for layer in model.modules()], model.counter


def looks_the_same(first, second):
    pairs = zip(first[0], second[0], strict=True)
    same = all(a[0] == b[0] and torch.equal(a[1], b[1]) and a[2:] == b[2:] for a, b in pairs)
    return same and first[1:] == second[1:]


class Counting(nn.Sequential):
    """A model with a number and a buffer that are in no state_dict and change whenever it is used."""

    counter = 0

    def forward(self, images):
        self.counter += 1
        self.calls.add_(1)
        return super().forward(images) * (1 + 1e-3 * self.calls)


def used_model(noise, buffers=True, frozen=False):
    model = Counting(*new_mlp(noise.image_shape, noise.num_classes, 0))
    if buffers:
        model.register_buffer("calls", torch.zeros(()), persistent=False)
    else:
        model.calls = torch.zeros(())
    model[1].bias.requires_grad_(not frozen)
    return model.eval()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fedavg", "fedper", "fedrep", "fedbn", "ditto", "ifca", "finetune", "perfedavg"])
def test_the_same_model_twice_gives_the_same_twice_and_stays_as_it_was(noise, name):
    model = used_model(noise, buffers=ALGORITHMS[name].any_model, frozen=name in ("fedavg", "fedrep"))
    before = look_of(model)
    options = {"num_rounds": 2, "unseen": [shards((8,))[0]], "model": model} | PLAIN
    results = [federate(name, noise, shards(SIZES), **options) for _ in range(2)]
    assert equal(*map(weights_of, results))
    assert np.array_equal(results[0].members.own, results[1].members.own)
    assert looks_the_same(look_of(model), before)


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("ends_with", [RuntimeError, KeyboardInterrupt])
def test_the_model_is_as_it_was_whatever_ends_a_federation(noise, name, ends_with):
    model = new_mlp(noise.image_shape, noise.num_classes, 0).eval()
    model.counter = 0
    before = look_of(model)

    def stop(message, context, call_next):
        call_next(message, context)
        raise ends_with("stopped")

    with pytest.raises(ends_with):
        federate(name, noise, shards(SIZES), num_rounds=1, model=model, mods=[stop], **PLAIN)
    assert looks_the_same(look_of(model), before)


def test_reference_lines_leave_the_model_as_it_was(noise):
    model = used_model(noise)
    before = look_of(model)
    options = {"epochs": 1, "batch_size": 4, "learning_rate": 0.05, "seed": 0, "workers": 1, "label": None}
    lines = [reference_lines(noise, shards(SIZES), model=model, **options) for _ in range(2)]
    assert replace(lines[0], seconds=0) == replace(lines[1], seconds=0)
    assert looks_the_same(look_of(model), before)

    def interrupted(*arguments, **details):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reference_lines(noise, shards(SIZES), model=model, optimizer=interrupted, **options)
    assert looks_the_same(look_of(model), before)


LINES = {"batch_size": 4, "learning_rate": 0.05, "seed": 0, "workers": 1, "label": None}


def test_the_centralized_model_is_measured_on_unseen_clients_too(noise):
    *members, unseen = shards(SIZES)
    lines = reference_lines(noise, members, unseen=[unseen], epochs=1, patience=2, **LINES)
    assert len(lines.centralized_validation) == len(lines.early_stopping.centralized_validation) == 3
    assert len(lines.local_validation) == 3


@pytest.mark.slow
def test_early_stopping_takes_the_best_epoch_on_validation_examples(noise):
    """Against a search by hand: a run for every number of epochs, until `patience` of them brought nothing."""
    patience, runs, best = 3, [], -1
    while len(runs) - 1 - best < patience:
        runs.append(reference_lines(noise, shards(SIZES), epochs=len(runs) + 1, **LINES))
        reached = [run.local_validation[1] for run in runs]
        best = reached.index(max(reached))
    lines = reference_lines(noise, shards(SIZES), epochs=2, patience=patience, **LINES)
    stopped = lines.early_stopping
    assert stopped.local_epochs[1] == best + 1
    assert stopped.local_test[1] == runs[best].local_test[1]
    assert stopped.local_validation[1] == runs[best].local_validation[1]
    plain = reference_lines(noise, shards(SIZES), epochs=2, **LINES)
    assert replace(lines, early_stopping=None, seconds=0) == replace(plain, seconds=0), "the line of 2 epochs stays"
    assert plain.early_stopping is None and plain.local_epochs == (2, 2, 2) and plain.centralized_epochs == 2


def test_early_stopping_ends_where_nothing_ever_improves(noise):
    lines = reference_lines(noise, shards(SIZES), epochs=1, patience=2, **LINES | {"learning_rate": 1e15})
    assert np.isnan(lines.early_stopping.local_test).all()
    assert lines.early_stopping.local_epochs == (1, 1, 1)


def test_early_stopping_needs_validation_examples_and_a_patience(noise):
    bare = [*shards(SIZES[:2]), replace(shards(SIZES)[2], validation=np.array([], dtype=np.int64))]
    with pytest.raises(InputError, match="no validation examples, as client 2"):
        reference_lines(noise, bare, epochs=1, patience=1, **LINES)
    with pytest.raises(InputError, match="patience must be .*got 0"):
        reference_lines(noise, shards(SIZES), epochs=1, patience=0, **LINES)


def test_a_model_that_cannot_be_copied_is_one_sentence(noise):
    model = new_mlp(noise.image_shape, noise.num_classes, 0)
    model.lock = threading.Lock()
    with pytest.raises(InputError, match="^model must be one that copy.deepcopy can copy, got TypeError: "):
        federate("fedavg", noise, shards(SIZES), num_rounds=1, model=model, **PLAIN)


def test_what_a_strategy_of_ones_own_has_is_not_given_twice(noise):
    with pytest.raises(InputError, match="fraction_train must be 1 with a strategy of your own, .*, got 0.5"):
        federate(FedAvg, noise, shards(SIZES), num_rounds=1, fraction_train=0.5, **PLAIN)


def test_a_uniform_mean_of_models_with_whole_numbers(noise):
    model = NORMALIZED_MODELS["mlp"](noise.image_shape, noise.num_classes, 0)
    result = federate("fedavg", noise, shards(SIZES), num_rounds=1, model=model, aggregator=uniform_mean, **PLAIN)
    counters = [tensor for tensor in weights_of(result).values() if not tensor.is_floating_point()]
    assert [(tensor.dtype, int(tensor)) for tensor in counters] == [(torch.int64, round((3 + 5 + 10) / 3))]


# Models that are not finite ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fedavg", "finetune", "ditto"])
def test_a_model_whose_outputs_overflow_has_no_accuracy(noise, name):
    """Its weights are finite, so the server takes it; class 0 alone would give the share of class 0."""

    def enlarge(message, context, call_next):
        reply = call_next(message, context)
        state = reply.content["arrays"].to_torch_state_dict()
        reply.content["arrays"] = ArrayRecord({key: 1e30 * tensor.sign() for key, tensor in state.items()})
        return reply

    options = PLAIN | {"model": new_mlp(noise.image_shape, noise.num_classes, 0)}
    unseen = [shards((8,))[0]]
    result = federate(name, noise, shards(SIZES), num_rounds=1, mods=[enlarge], unseen=unseen, **options)
    if name != "ditto":
        assert np.isnan(result.members.own).all() and np.isnan(result.members.test).all()
        assert np.isnan(result.members.elsewhere).all()
    assert np.isnan(result.unseen.own).all() and np.isnan(result.unseen.elsewhere).all()
    if name == "fedavg":
        assert np.isfinite(result.test_accuracy[0]) and np.isnan(result.test_accuracy[1])
        assert np.isnan(result.history.server_metrics[1]["accuracy"])
    assert result.history.failures.empty, "what a client measures is no fault"


def test_reference_lines_that_diverge_have_no_accuracy(noise):
    lines = reference_lines(
        noise, shards(SIZES), epochs=2, batch_size=4, learning_rate=1e15, seed=0, workers=1, label=None,
        optimizer=torch.optim.SGD, model=new_mlp(noise.image_shape, noise.num_classes, 0),
    )  # fmt: skip
    numbers = (lines.centralized_test, lines.local_test_mean, *lines.local_validation, *lines.centralized_validation)
    assert np.isnan(numbers).all()


# Checkpoints ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"local_config": LocalConfig(batch_size=5, learning_rate=0.05)}, "local_config"),
        ({"settings": {"mu": 0.5}}, "settings"),
        ({"seed": 1}, "seed"),
        ({"fraction_train": 0.5}, "fraction_train"),
        ({"aggregator": median}, "aggregator"),
        ({"adapt": fine_tuning.adapt}, "adapt"),
        ({"model": new_mlp((3, 32, 32), 10, 0)}, "model"),
    ],
)
def test_a_checkpoint_of_other_settings_is_refused_in_one_sentence(noise, tmp_path, change, name):
    file = tmp_path / "run"
    options = PLAIN | {"model": new_mlp(noise.image_shape, noise.num_classes, 3)}
    federate("fedprox", noise, shards(SIZES), num_rounds=1, checkpoint=file, **options)
    if name == "model":
        change = {"model": new_mlp(noise.image_shape, noise.num_classes, 4)}
    with pytest.raises(InputError, match=f"^checkpoint must be of the same run, and in .* {name} is .*, not .*$"):
        federate("fedprox", noise, shards(SIZES), num_rounds=2, checkpoint=file, **(options | change))


def inverted(dataset):
    return replace(dataset, train_images=255 - dataset.train_images)


def by_first(number):
    return lambda states, weights: dict(states[number])


@pytest.mark.parametrize(
    ("before", "after", "name"),
    [
        ({}, {"dataset": inverted}, "data"),
        ({}, {"clients": [*shards(SIZES)][::-1]}, "clients"),
        ({}, {"clients": shards((12, 20, 40))[:2] + [Shard(np.arange(30, 70), np.arange(72, 80))]}, "data"),
        ({"aggregator": by_first(0)}, {"aggregator": by_first(1)}, "aggregator"),
        ({"algorithm": momentum_of(0.9)}, {"algorithm": momentum_of(0.0)}, "attribute server_momentum of the server"),
    ],
)
def test_a_checkpoint_of_other_data_or_functions_is_refused(noise, tmp_path, before, after, name):
    def run(rounds, *, algorithm="fedavg", dataset=lambda same: same, clients=None, **options):
        model = new_mlp(noise.image_shape, noise.num_classes, 0)
        file = tmp_path / "run"
        given = {"num_rounds": rounds, "checkpoint": file, "model": model} | options
        return federate(algorithm, dataset(noise), clients or shards(SIZES), **given, **PLAIN)

    run(1, **before)
    assert run(2, **before).test_accuracy, "control: the same goes on"
    with pytest.raises(InputError, match=f"checkpoint must be of the same run, and in .* {name} is "):
        run(3, **(before | after))


@pytest.mark.slow
def test_a_functions_key_is_the_same_in_another_process():
    code = (
        "import functools, test_one_stack as here; from fedlearn_helpers.experiments.value_key import function_key; "
        "print(*map(function_key, (here.median, here.by_first(1), functools.partial(here.median, 3))))"
    )
    said = [subprocess.run([sys.executable, "-c", code], cwd=HERE, capture_output=True, text=True).stdout for _ in "ab"]
    assert said[0] == said[1] and len(set(said[0].split())) >= 5
    assert function_key(by_first(1)) != function_key(by_first(2))


def test_a_checkpoint_of_other_code_is_refused(noise, tmp_path, monkeypatch):
    file = tmp_path / "run"
    federate("fedavg", noise, shards(SIZES), num_rounds=1, checkpoint=file, **PLAIN)
    monkeypatch.setattr(run_key, "digest_of", lambda files: "other")
    run_key.code_key.cache_clear()
    try:
        with pytest.raises(InputError, match="checkpoint must be of the same run, .* source of the package is"):
            federate("fedavg", noise, shards(SIZES), num_rounds=2, checkpoint=file, **PLAIN)
    finally:
        run_key.code_key.cache_clear()


def test_a_resumed_run_has_the_accuracies_of_all_rounds(noise, tmp_path):
    whole = federate("fedadam", noise, shards(SIZES), num_rounds=4, **PLAIN)
    federate("fedadam", noise, shards(SIZES), num_rounds=2, checkpoint=tmp_path / "run", **PLAIN)
    resumed = federate("fedadam", noise, shards(SIZES), num_rounds=4, checkpoint=tmp_path / "run", **PLAIN)
    assert resumed.test_accuracy == whole.test_accuracy and len(whole.test_accuracy) == 5
    assert list(resumed.history.server_metrics) == [2, 3, 4]
    assert equal(weights_of(resumed), weights_of(whole))


# What decides whether kept results are still good --------------------------------------------


def test_code_that_computes_is_told_from_code_that_draws():
    files = {path.relative_to(run_key.PACKAGE).as_posix() for path in run_key.computing_code()}
    assert {"training.py", "algorithms/scaffold.py", "data/load.py", "simulation/grid.py"} <= files
    assert not [name for name in files if re.search("figures|widget|plots|progress|exercise|decision|project/", name)]


def test_code_of_other_lessons_decides_nothing():
    everything = run_key.code_key()["source of the package"]
    keys = [run_key.code_key(lesson)["source of the package"] for lesson in ("strategies", "personalization", "mine")]
    assert len({everything, *keys}) == 3 and keys[2] == everything


def test_a_digest_changes_with_a_files_text_and_with_its_name(tmp_path):
    first, second = tmp_path / "a.py", tmp_path / "b.py"
    first.write_text("x = 1\n")
    second.write_text("y = 2\n")
    before = run_key.digest_of([first, second])
    assert run_key.digest_of([second, first]) == before
    second.write_text("y = 3\n")
    changed = run_key.digest_of([first, second])
    second.write_text("y = 2\n")
    second.rename(tmp_path / "c.py")
    assert len({before, changed, run_key.digest_of([first, tmp_path / "c.py"])}) == 3


# Tasks ------------------------------------------------------------------------------------


TABLE = Task(
    "a table",
    inputs=lambda rows: rows,
    loss=F.mse_loss,
    predict=lambda outputs: (outputs, torch.ones(len(outputs))),
    metric=lambda predictions, targets: (predictions - targets).abs().squeeze(1) < 0.1,
)
TRUE_WEIGHTS = torch.tensor([[2.0, -1.0, 0.5]])


def table(rows=120):
    """Rows of three numbers, and a target that is linear in them."""
    inputs = torch.randn(rows, 3, generator=torch.Generator().manual_seed(0))
    targets = inputs @ TRUE_WEIGHTS.T
    return Examples("numbers", TABLE, inputs[20:], targets[20:], inputs[:20], targets[:20])


def line():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Linear(3, 1, bias=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fedavg", "scaffold", "ditto", "pfedme", "ifca"])
def test_tables_are_learned_as_images_are(name):
    data = table()
    result = federate(name, data, shards((20, 30, 40)), num_rounds=40, model=line(), **PLAIN)
    assert result.members.own.min() == 1.0, "all within 0.1"
    weights = list(weights_of(result).values())[0]
    if name != "ifca":
        assert torch.allclose(weights, TRUE_WEIGHTS, atol=0.05)
    lines = reference_lines(
        data, shards((20, 30, 40)), epochs=20, batch_size=4, learning_rate=0.05, seed=0, workers=1, model=line(),
        optimizer=torch.optim.SGD, label=None,
    )  # fmt: skip
    assert lines.centralized_test == 1.0


def test_a_table_needs_a_model():
    with pytest.raises(InputError, match="model must be given for a table, since the CNN is for images, got None"):
        federate("fedavg", table(), shards((20, 30)), num_rounds=1, **PLAIN)
    with pytest.raises(InputError, match="model must be given for a table"):
        reference_lines(table(), shards((20, 30)), epochs=1, batch_size=4, learning_rate=0.1, seed=0, label=None)


def test_the_weighting_rule_stands_in_one_file():
    files = (run_key.PACKAGE / "algorithms").glob("*.py")
    assert [path.name for path in files if "weighted_by_key" in path.read_text()] == ["aggregation.py"]
