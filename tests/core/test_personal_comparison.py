"""Scenarios and the comparison of models of clients' own: who is measured on what, and what is concluded."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from fedlearn_helpers.algorithms import LocalConfig
from fedlearn_helpers.data import ImageDataset
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments import (
    NORMALIZED,
    Comparison,
    compare,
    federate,
    make_scenario,
    reference_lines,
    summarize_clients,
)
from fedlearn_helpers.models import MODELS, NORMALIZED_MODELS
from fedlearn_helpers.partition import Shard

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def noise():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (220, 1, 16, 16), generator=generator, dtype=torch.uint8)
    labels = torch.arange(220) % 4
    return ImageDataset("noise", images[:200], labels[:200], images[200:], labels[200:], ("a", "b", "c", "d"), "Noise.")


DEAL = {"num_clients": 4, "num_unseen": 2, "validation_fraction": 0.25, "seed": 0}


@pytest.mark.parametrize("text", ["iid", "pathological:2", "dirichlet:1", "turned:2", "turned:4", "darker:0.5"])
def test_everyone_has_images_of_its_own(noise, text):
    made = make_scenario(text, noise, **DEAL, max_images=120)
    assert (len(made.members), len(made.unseen), len(made.kinds)) == (4, 2, 4)
    everything = [part for shard in (*made.members, *made.unseen) for part in (shard.train, shard.validation)]
    indices = np.concatenate(everything)
    assert len(indices) == len(set(indices.tolist())) == 120
    assert indices.max() < len(made.dataset.train_images) == len(made.dataset.train_labels)
    again, other = (make_scenario(text, noise, **{**DEAL, "seed": seed}, max_images=120) for seed in (0, 1))
    assert np.array_equal(again.members[0].train, made.members[0].train)
    assert not np.array_equal(other.members[0].train, made.members[0].train)


def test_a_scenario_without_small_last_batches_has_fewer_images_to_train_on_and_else_the_same(noise):
    whole, trimmed = (make_scenario("dirichlet:1", noise, **DEAL, trim_for=size) for size in (None, 10))
    pairs = list(zip([*whole.members, *whole.unseen], [*trimmed.members, *trimmed.unseen], strict=True))
    assert any(len(a.train) > len(b.train) for a, b in pairs)
    for a, b in pairs:
        assert set(b.train) <= set(a.train) and np.array_equal(a.validation, b.validation)
        assert len(a.train) < 10 or (len(b.train) % 10 == 0 or len(b.train) % 10 >= 5)


def test_a_trimmed_comparison_trims_clients_and_the_pooled_images(noise):
    plan = Comparison(**PLAN | {"algorithms": ["global"], "scenarios": ["dirichlet:1"], "seeds": [2], "trimmed": True})
    made = make_scenario("dirichlet:1", noise, **{**DEAL, "seed": 2}, max_images=120, trim_for=10)
    found = plan.scenario("dirichlet:1", noise, 2)
    assert all(np.array_equal(a.train, b.train) for a, b in zip(found.members, made.members, strict=True))
    assert all(np.array_equal(a.train, b.train) for a, b in zip(found.unseen, made.unseen, strict=True))
    table = compare(plan, noise, workers=1, label=None).clients
    first = MODELS["mlp"](noise.image_shape, 4, 2)
    options = {"epochs": 2, "batch_size": 10, "learning_rate": 0.05, "seed": 2, "workers": 1, "label": None}
    options |= {"model": first, "unseen": made.unseen, "optimizer": torch.optim.SGD}
    lines = reference_lines(noise, made.members, **options, trim=True)
    assert table.query("algorithm == 'centralized'")["accuracy"].tolist() == list(lines.centralized_validation)
    assert table.query("algorithm == 'local only'")["accuracy"].tolist() == list(lines.local_validation)


def test_only_a_small_last_batch_makes_reference_lines_other_lines(noise):
    options = {"epochs": 2, "batch_size": 10, "learning_rate": 0.05, "seed": 0, "workers": 1, "label": None}
    options["model"] = MODELS["mlp"](noise.image_shape, 4, 0)
    parts = np.split(np.arange(120), [25, 50, 66, 76])  # 25, 25 and 16 images, 66 together: 6 are more than half
    shards = [Shard(train=part, validation=np.arange(150, 200)) for part in parts[:3]]
    whole, trimmed = (reference_lines(noise, shards, **options, trim=trim) for trim in (False, True))
    assert (whole.centralized_test, whole.local_test) == (trimmed.centralized_test, trimmed.local_test)
    shards.append(Shard(train=np.arange(76, 82), validation=np.arange(150, 200)))  # 72 together: 2 are left out
    whole, trimmed = (reference_lines(noise, shards, **options, trim=trim) for trim in (False, True))
    assert whole.local_validation == trimmed.local_validation, "none of the clients has a small last batch"
    assert whole.centralized_validation != trimmed.centralized_validation


def test_a_scenario_leaves_the_data_as_they_are(noise):
    before = noise.train_images.clone()
    for text in ("turned:2", "darker:1"):
        make_scenario(text, noise, **DEAL)
    assert torch.equal(noise.train_images, before)


@pytest.mark.parametrize(("kinds", "angle"), [(2, 2), (4, 1)])
def test_images_are_turned_by_the_angle_of_the_clients_kind(noise, kinds, angle):
    made = make_scenario(f"turned:{kinds}", noise, **DEAL)
    assert len(set(made.kinds)) > 1
    for shard, kind in zip(made.members, made.kinds, strict=True):
        indices = torch.as_tensor(shard.train)
        turned = torch.rot90(noise.train_images[indices], angle * kind, dims=(-2, -1))
        assert torch.equal(made.dataset.train_images[indices], turned)


def test_images_are_darker_from_client_to_client(noise):
    made = make_scenario("darker:0.9", noise, **DEAL)
    means = sorted(made.dataset.train_images[torch.as_tensor(s.train)].float().mean() for s in made.members)
    assert means[0] < 0.6 * means[-1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("turned:3", "scenario turned must be turned:2 or turned:4, got 'turned:3'"),
        ("darker", "scenario darker needs a number > 0 and <= 1, as in darker:0.9, got 'darker'"),
        ("darker:1.5", "scenario darker needs a number > 0 and <= 1"),
        ("skewed", "partition must be one of iid, .*, turned, darker, got 'skewed'"),
        ("pathological:9", "classes_per_client must be between 1 and the 4 classes"),
    ],
)
def test_scenarios_that_cannot_be_made(noise, text, message):
    with pytest.raises(InputError, match=message):
        make_scenario(text, noise, **DEAL)


def test_oblong_images_cannot_be_turned(noise):
    oblong = ImageDataset(
        "oblong",
        noise.train_images[..., :8],
        noise.train_labels,
        noise.test_images[..., :8],
        noise.test_labels,
        noise.class_names,
        "Noise.",
    )
    with pytest.raises(InputError, match="scenario turned needs square images, got 16x8 pixels"):
        make_scenario("turned:2", oblong, **DEAL)


PLAN = {
    "algorithms": ["global", "ditto", f"fedbn{NORMALIZED}"],
    "scenarios": ["pathological:2", "turned:2"],
    "seeds": [0, 1],
    "num_clients": 4,
    "num_unseen": 2,
    "num_rounds": 2,
    "local_config": LocalConfig(batch_size=10),
    "model": "mlp",
    "max_images": 120,
    "validation_fraction": 0.25,
}


@pytest.fixture(scope="module")
def table(noise):
    return compare(Comparison(**PLAN), noise, workers=1, label=None).clients


def test_one_row_for_every_method_scenario_seed_and_client(table):
    methods = ["local only", "centralized", *PLAN["algorithms"]]
    assert list(dict.fromkeys(table["algorithm"])) == methods
    assert len(table) == len(methods) * 2 * 2 * 6
    assert table.groupby("client")["unseen"].all().tolist() == [False] * 4 + [True] * 2
    assert table["accuracy"].between(0, 1).all()


def test_a_run_is_the_same_as_a_call_of_federate(noise, table):
    for name, models in (("ditto", MODELS), (f"fedbn{NORMALIZED}", NORMALIZED_MODELS)):
        made = make_scenario("pathological:2", noise, **{**DEAL, "seed": 1}, max_images=120)
        outcome = federate(
            name.removesuffix(NORMALIZED),
            made.dataset,
            made.members,
            unseen=made.unseen,
            num_rounds=2,
            local_config=PLAN["local_config"],
            seed=1,
            workers=1,
            model=models["mlp"](noise.image_shape, 4, 1),
            label=None,
        )
        rows = table.query("algorithm == @name and scenario == 'pathological:2' and seed == 1")
        assert rows["accuracy"].tolist() == [*outcome.members.own, *outcome.unseen.own]


def test_it_goes_on_where_it_was_stopped_and_with_workers(noise, table, tmp_path):
    few = Comparison(**PLAN | {"seeds": [0]})
    compare(few, noise, folder=tmp_path, workers=1, label=None)
    finished = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(finished) == 8
    whole = compare(Comparison(**PLAN), noise, folder=tmp_path, workers=2, label=None).clients
    assert whole.equals(table)
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    with pytest.raises(InputError, match="num_rounds is 2, not 3"):
        compare(Comparison(**PLAN | {"num_rounds": 3}), noise, folder=tmp_path, workers=1, label=None)


def made_up(method, accuracies, scenario="s", seed=0, unseen=0.5):
    rows = [
        {
            "algorithm": method,
            "scenario": scenario,
            "seed": seed,
            "client": client,
            "unseen": client == len(accuracies),
        }
        | {"accuracy": accuracy, "test_accuracy": 0.1, "megabytes": 1.0}
        for client, accuracy in enumerate([*accuracies, unseen])
    ]
    return rows


def test_the_summary_by_hand():
    clients = 20
    alone, everyone = [0.5] * clients, [0.4] * 10 + [0.8] * 10
    own = [0.1, 0.3, *[0.5] * 8, *[0.9] * 10]
    rows = made_up("local only", alone) + made_up("global", everyone) + made_up("ditto", own, unseen=0.7)
    rows += made_up(f"global{NORMALIZED}", [0.95] * clients) + made_up(f"fedbn{NORMALIZED}", own)
    summary = summarize_clients(pd.DataFrame(rows))
    ditto = summary.loc[("s", "ditto")]
    assert ditto["mean"] == pytest.approx(np.mean(own)) and ditto["std"] == pytest.approx(np.std(own))
    assert ditto["worst_tenth"] == pytest.approx((0.1 + 0.3) / 2)
    assert ditto["better_than_alone"] == pytest.approx(10 / 20), "equal is not better"
    assert ditto["better_than_global"] == pytest.approx(18 / 20)
    assert ditto["unseen"] == pytest.approx(0.7)
    normalized = summary.loc[("s", f"fedbn{NORMALIZED}")]
    assert normalized["better_than_global"] == 0, "compared with FedAvg on the same kind of model"
    assert normalized["better_than_alone"] == pytest.approx(10 / 20)


def test_a_client_without_an_accuracy_leaves_no_mean():
    """Sorted, nan would be the best of all, and pandas would take the mean of the others."""
    rows = made_up("local only", [0.5] * 20) + made_up("ditto", [math.nan, *[0.5] * 19], unseen=math.nan)
    ditto = summarize_clients(pd.DataFrame(rows)).loc[("s", "ditto")]
    assert ditto[["mean", "std", "worst_tenth", "unseen"]].isna().all()
    assert ditto["test"] == pytest.approx(0.1) and ditto["better_than_alone"] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"algorithms": []}, "algorithms must name at least one, got none"),
        ({"algorithms": ["maml"]}, "algorithm must be 'fedavg', .*, got 'maml'"),
        ({"scenarios": ["turned:3"]}, "scenario turned must be"),
        ({"num_unseen": -1}, "num_unseen must be >= 0, got -1"),
        ({"num_rounds": 0}, "num_rounds must be >= 1, got 0"),
        ({"model": "resnet"}, "model must be 'cnn', 'mlp', got 'resnet'"),
        ({"settings": {"ditto": {"mu": 1}}}, "ditto has the settings lambda, got 'mu'"),
        ({"seeds": [-1]}, "seeds must be >= 0, got -1"),
    ],
)
def test_bad_input_ends_before_any_run(change, message):
    with pytest.raises(InputError, match=message):
        Comparison(**PLAN | change)
