"""Algorithms x scenarios x seeds: one table, which an interruption does not change."""

import json
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from noise import noise_images

from fedlearn_helpers import plots
from fedlearn_helpers.algorithms import LocalConfig
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments import Comparison, compare, federate, summarize_runs
from fedlearn_helpers.partition import dirichlet, split_train_validation

pytestmark = pytest.mark.slow

MODULE = sys.modules["fedlearn_helpers.experiments.compare"]  # the package has the function of this name
NUMBERS = MODULE._numbers
PLAN = {
    "algorithms": ("fedavg", "scaffold"),
    "scenarios": ("iid", "dirichlet:0.5"),
    "seeds": (0, 1),
    "num_clients": 3,
    "num_rounds": 2,
    "local_config": LocalConfig(batch_size=20),
}


@pytest.fixture(scope="module")
def noise():
    return noise_images(120, 40)


def run(noise, folder=None, workers=1, **change):
    return compare(Comparison(**(PLAN | change)), noise, folder=folder, workers=workers, label=None).runs


def test_the_table_has_a_row_for_every_strategy_partition_and_seed_and_for_both_reference_lines(noise):
    table = run(noise)
    assert len(table) == (2 + 2) * 2 * 2
    assert set(table["algorithm"]) == {"local only", "centralized", "fedavg", "scaffold"}
    assert table.groupby(["algorithm", "scenario"])["seed"].apply(list).tolist() == [[0, 1]] * 8
    federated = table[table["algorithm"].isin(["fedavg", "scaffold"])]
    accuracies = federated[[name for name in table.columns if "accuracy" in name]]
    assert accuracies.notna().all(axis=None) and accuracies.stack().between(0, 1).all()
    assert (federated["best_test_accuracy"] >= federated["test_accuracy"]).all()
    assert (table["worst_client_accuracy"] <= table["mean_client_accuracy"]).all()
    megabytes = federated.groupby("algorithm")["megabytes"].mean()
    assert megabytes["scaffold"] > 1.4 * megabytes["fedavg"], "controls travel, too"


def test_a_run_is_the_federation_that_its_names_say(noise):
    tables = compare(Comparison(**PLAN), noise, workers=1, label=None)
    table = tables.runs.set_index(["algorithm", "scenario", "seed"])
    labels = noise.train_labels.numpy()
    parts = dirichlet(labels, 3, alpha=0.5, seed=1)
    shards = split_train_validation(parts, validation_fraction=0.2, seed=1, labels=labels)
    outcome = federate(
        "scaffold", noise, shards, num_rounds=2, local_config=LocalConfig(batch_size=20), seed=1, workers=1
    )
    row = table.loc["scaffold", "dirichlet:0.5", 1]
    assert row["test_accuracy"] == outcome.test_accuracy[-1]
    assert row["worst_client_accuracy"] == outcome.members.own.min()
    curve = tables.rounds.query("algorithm == 'scaffold' and scenario == 'dirichlet:0.5' and seed == 1")
    assert curve["round"].tolist() == [0, 1, 2]
    assert curve["test_accuracy"].tolist() == list(outcome.test_accuracy)
    assert len(tables.rounds) == 2 * 2 * 2 * 3, "none for reference lines"


def test_workers_change_nothing(noise):
    assert run(noise).equals(run(noise, workers=2))


def test_an_interrupted_comparison_goes_on_and_gives_the_same_table(noise, tmp_path, monkeypatch):
    whole = run(noise)
    started = []

    def interrupted(plan, scenario, of):
        started.append(of)
        if len(started) == 6:
            raise KeyboardInterrupt
        return NUMBERS(plan, scenario, of)

    monkeypatch.setattr(MODULE, "_numbers", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(noise, tmp_path)
    assert len(list(tmp_path.iterdir())) == 5

    repeated = []
    monkeypatch.setattr(MODULE, "_numbers", lambda *details: repeated.append(details[-1]) or NUMBERS(*details))
    assert run(noise, tmp_path).equals(whole)
    assert len(repeated) == 12 - 5
    repeated.clear()
    assert run(noise, tmp_path).equals(whole) and repeated == [], "nothing left to do"


def test_a_comparison_can_grow(noise, tmp_path, monkeypatch):
    run(noise, tmp_path, algorithms=("fedavg",), seeds=(0,))
    repeated = []
    monkeypatch.setattr(MODULE, "_numbers", lambda *details: repeated.append(details[-1]) or NUMBERS(*details))
    assert run(noise, tmp_path).equals(run(noise))
    assert len([of for of in repeated if of.seed == 0 and of.algorithm == "fedavg"]) == 2, "those of the second run"


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"num_rounds": 3}, "num_rounds"),
        ({"local_config": LocalConfig(batch_size=10)}, "local_config"),
        ({"max_images": 60}, "max_images"),
        ({"fraction_train": 0.5}, "fraction_train"),
    ],
)
def test_results_of_another_comparison_are_not_taken_for_those_of_this_one(noise, tmp_path, change, name):
    run(noise, tmp_path)
    with pytest.raises(
        InputError, match=f"folder must be empty or hold runs of the same comparison, and in .* {name} is"
    ):
        run(noise, tmp_path, **change)


def relabelled(data):
    labels = data.train_labels.clone()
    labels[0] = (labels[0] + 1) % 3
    return replace(data, train_labels=labels)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: replace(data, train_images=255 - data.train_images),
        lambda data: replace(data, test_images=255 - data.test_images),
        relabelled,
        lambda data: replace(data, class_names=(*data.class_names, "d")),
    ],
)
def test_results_of_other_images_under_the_same_name_are_refused(noise, tmp_path, change):
    options = {"algorithms": ("fedavg",), "scenarios": ("iid",), "seeds": (0,), "max_images": 90}
    run(noise, tmp_path, **options)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    sentence = "folder must be empty or hold runs of the same comparison, and in .* content of the data is '.*', not '"
    with pytest.raises(InputError, match=sentence):
        run(change(noise), tmp_path, **options)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert run(noise_images(120, 40), tmp_path, **options).equals(run(noise, **options)), "control: the same images"


def test_the_images_are_hashed_once_and_only_where_runs_are_kept(noise, tmp_path, monkeypatch):
    hashed = []
    monkeypatch.setattr(MODULE, "dataset_key", lambda data: hashed.append(data) or "key")
    options = {"algorithms": ("fedavg",), "scenarios": ("iid",)}
    run(noise, **options)
    assert hashed == []
    run(noise, tmp_path, **options)
    assert len(hashed) == 1


def test_a_changed_digit_in_a_kept_run_is_noticed(noise, tmp_path):
    options = {"algorithms": ("fedavg",), "scenarios": ("iid",), "seeds": (0,), "with_references": False}
    run(noise, tmp_path, **options)
    file = tmp_path / "fedavg_iid_0.json"
    kept = json.loads(file.read_text())
    file.write_text(json.dumps(kept))
    assert len(run(noise, tmp_path, **options)) == 1, "control: only written otherwise"
    kept["numbers"]["test_accuracy"] += 0.125
    file.write_text(json.dumps(kept))
    with pytest.raises(InputError, match="fedavg_iid_0.json is damaged; delete it"):
        run(noise, tmp_path, **options)


def test_other_settings_of_one_strategy_concern_its_runs_alone(noise, tmp_path):
    run(noise, tmp_path, algorithms=("fedavg",))
    run(noise, tmp_path, algorithms=("fedavg", "fedprox"), settings={"fedprox": {"mu": 1.0}})
    with pytest.raises(InputError, match="fedprox.* settings is {'mu': 1.0}, not {'mu': 2.0}"):
        run(noise, tmp_path, algorithms=("fedavg", "fedprox"), settings={"fedprox": {"mu": 2.0}})


@pytest.mark.parametrize("content", ["", "[]", '{"run": {}}', "{"])
def test_a_damaged_file_is_named(noise, tmp_path, content):
    run(noise, tmp_path)
    damaged = next(tmp_path.iterdir())
    damaged.write_text(content)
    with pytest.raises(InputError, match=f"{damaged.name} is damaged; delete it"):
        run(noise, tmp_path)


def test_files_say_what_they_are_of(noise, tmp_path):
    run(noise, tmp_path)
    kept = json.loads((tmp_path / "scaffold_dirichlet-0.5_1.json").read_text())
    assert kept["run"]["algorithm"] == "scaffold" and kept["run"]["local_config"]["batch_size"] == 20
    assert kept["run"]["dataset"] == "noise"


def test_max_images_are_chosen_at_random_and_each_seed_chooses_its_own(noise):
    plan = Comparison(**PLAN, max_images=30)
    shards = [plan.scenario("iid", noise, seed).members for seed in (0, 1)]
    chosen = [np.concatenate([part for shard in of for part in (shard.train, shard.validation)]) for of in shards]
    assert [len(set(images.tolist())) for images in chosen] == [30, 30]
    assert set(chosen[0].tolist()) != set(chosen[1].tolist())
    assert max(chosen[0]) > 60


def test_the_summary_has_mean_and_spread_over_seeds(noise):
    table = run(noise)
    row = summarize_runs(table).loc["dirichlet:0.5", "scaffold"]
    values = table.query("algorithm == 'scaffold' and scenario == 'dirichlet:0.5'")["test_accuracy"]
    assert row["test_accuracy"] == pytest.approx(values.mean())
    assert row["test_accuracy_std"] == pytest.approx(values.std()) and row["seeds"] == 2
    alone = summarize_runs(table[table["seed"] == 0]).loc["iid", "fedavg"]
    assert alone["test_accuracy_std"] == 0 and alone["seeds"] == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"algorithms": ()}, "algorithms must name at least one, got none"),
        ({"algorithms": ("fedsgd",)}, "algorithm must be 'fedavg', .*, got 'fedsgd'"),
        ({"scenarios": ("even",)}, "partition must be one of iid, .*, got 'even'"),
        ({"seeds": (0, -1)}, "seeds must be >= 0, got -1"),
        ({"num_rounds": 0}, "num_rounds must be >= 1, got 0"),
        ({"num_clients": 0}, "num_clients must be >= 1, got 0"),
        ({"fraction_train": 2}, "fraction_train must be > 0 and <= 1, got 2"),
        ({"model": "resnet"}, "model must be 'cnn', 'mlp', got 'resnet'"),
        ({"max_images": 0}, "max_images must be a whole number >= 1, got 0"),
        ({"settings": {"fedprox": {"mu": -1}}}, "mu of fedprox must be >= 0, got -1"),
    ],
)
def test_bad_input_ends_before_any_run(change, sentence):
    with pytest.raises(InputError, match=sentence):
        Comparison(**(PLAN | change))


def test_a_partition_that_cannot_be_made_ends_before_any_run(noise, tmp_path):
    with pytest.raises(InputError, match="num_clients must be <= 12, since each client needs min_size=10"):
        run(noise, tmp_path, num_clients=50)
    assert list(tmp_path.iterdir()) == []


# Runs that diverge --------------------------------------------------------------------------

TOO_LARGE = {"local_config": LocalConfig(batch_size=20, learning_rate=1e15), "scenarios": ("iid",), "num_rounds": 3}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_that_diverges_has_no_accuracy_and_the_others_go_on(noise, tmp_path, workers, capsys):
    """FedAdam's clients diverge as all others do; reference lines are trained without a server that could refuse."""
    table = run(noise, tmp_path, workers, **TOO_LARGE)
    assert len(table) == 8, "no run is missing"
    accuracies = [name for name in table.columns if name.endswith("accuracy")]
    assert table[accuracies].isna().all(axis=None), "and none shows the share of class 0"
    said = capsys.readouterr().out
    assert "scaffold has no accuracy in iid with seed 1: the reply of client " in said
    kept = json.loads((tmp_path / "fedavg_iid_0.json").read_text())
    assert kept["numbers"]["test_accuracy"] is None and kept["numbers"]["accuracy"] == [None] * 3
    pd.testing.assert_frame_equal(run(noise, tmp_path, workers, **TOO_LARGE), table)


def test_one_seed_without_an_accuracy_leaves_no_mean(noise):
    table = run(noise, scenarios=("iid",))
    whole = summarize_runs(table)
    table.loc[(table["algorithm"] == "scaffold") & (table["seed"] == 1), "test_accuracy"] = np.nan
    summary = summarize_runs(table)
    lacking = ["test_accuracy", "test_accuracy_std"]
    assert summary.loc[("iid", "scaffold"), lacking].isna().all()
    summary.loc[("iid", "scaffold"), lacking] = whole.loc[("iid", "scaffold"), lacking]
    pd.testing.assert_frame_equal(summary, whole)
    assert summarize_runs(table.query("seed == 1")).loc[("iid", "scaffold"), lacking].isna().all()


def test_the_figure_says_which_runs_have_no_accuracy(noise):
    table = run(noise, scenarios=("iid",))
    plain = [text.get_text() for text in plots.comparison(table).axes[0].texts]
    table.loc[(table["algorithm"] == "scaffold") & (table["seed"] == 1), "test_accuracy"] = np.nan
    texts = [text.get_text() for text in plots.comparison(table).axes[0].texts]
    assert (plain, texts) == ([], ["no accuracy in 1 of 2"])
