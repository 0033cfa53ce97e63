"""Situations and the comparison of personalization methods: who is measured on what, and what is concluded."""

import numpy as np
import pandas as pd
import pytest
import torch

from fedlearn_helpers.algorithms import Recipe
from fedlearn_helpers.data import ImageDataset
from fedlearn_helpers.errors import InputError
from fedlearn_helpers.experiments.compare_personal import (
    NORMALIZED,
    PersonalComparison,
    compare_personal,
    summarize_personal,
)
from fedlearn_helpers.experiments.personalize import personalize
from fedlearn_helpers.experiments.scenarios import make_situation
from fedlearn_helpers.models import MODELS, NORMALIZED_MODELS


@pytest.fixture(scope="module")
def noise():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (220, 1, 16, 16), generator=generator, dtype=torch.uint8)
    labels = torch.arange(220) % 4
    return ImageDataset("noise", images[:200], labels[:200], images[200:], labels[200:], ("a", "b", "c", "d"), "Noise.")


DEAL = {"num_clients": 4, "num_newcomers": 2, "seed": 0}


@pytest.mark.parametrize("text", ["iid", "pathological:2", "dirichlet:1", "turned:2", "turned:4", "darker:0.5"])
def test_everyone_has_images_of_its_own(noise, text):
    made = make_situation(text, noise, **DEAL, max_images=120)
    assert (len(made.members), len(made.newcomers), len(made.kinds)) == (4, 2, 4)
    everything = [part for shard in (*made.members, *made.newcomers) for part in (shard.train, shard.validation)]
    assert np.array_equal(np.sort(np.concatenate(everything)), np.arange(120))
    assert len(made.dataset.train_images) == len(made.dataset.train_labels) == 120
    again, other = (make_situation(text, noise, **{**DEAL, "seed": seed}, max_images=120) for seed in (0, 1))
    assert np.array_equal(again.members[0].train, made.members[0].train)
    assert not np.array_equal(other.members[0].train, made.members[0].train)


def test_a_situation_leaves_the_data_as_they_are(noise):
    before = noise.train_images.clone()
    for text in ("turned:2", "darker:1"):
        make_situation(text, noise, **DEAL)
    assert torch.equal(noise.train_images, before)


@pytest.mark.parametrize(("kinds", "angle"), [(2, 2), (4, 1)])
def test_images_are_turned_by_the_angle_of_the_clients_kind(noise, kinds, angle):
    made = make_situation(f"turned:{kinds}", noise, **DEAL)
    assert len(set(made.kinds)) > 1
    for shard, kind in zip(made.members, made.kinds, strict=True):
        indices = torch.as_tensor(shard.train)
        turned = torch.rot90(noise.train_images[indices], angle * kind, dims=(-2, -1))
        assert torch.equal(made.dataset.train_images[indices], turned)


def test_images_are_darker_from_client_to_client(noise):
    made = make_situation("darker:0.9", noise, **DEAL)
    means = sorted(made.dataset.train_images[torch.as_tensor(s.train)].float().mean() for s in made.members)
    assert means[0] < 0.6 * means[-1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("turned:3", "situation turned must be turned:2 or turned:4, got 'turned:3'"),
        ("darker", "situation darker needs a number > 0 and <= 1, as in darker:0.9, got 'darker'"),
        ("darker:1.5", "situation darker needs a number > 0 and <= 1"),
        ("skewed", "partition must be one of iid, .*, got 'skewed'; or turned:KINDS, darker:SHARE"),
        ("pathological:9", "classes_per_client must be between 1 and the 4 classes"),
    ],
)
def test_situations_that_cannot_be_made(noise, text, message):
    with pytest.raises(InputError, match=message):
        make_situation(text, noise, **DEAL)


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
    with pytest.raises(InputError, match="situation turned needs square images, got 16x8 pixels"):
        make_situation("turned:2", oblong, **DEAL)


PLAN = {
    "methods": ["global", "ditto", f"fedbn{NORMALIZED}"],
    "situations": ["pathological:2", "turned:2"],
    "seeds": [0, 1],
    "num_clients": 4,
    "num_newcomers": 2,
    "num_rounds": 2,
    "recipe": Recipe(batch_size=10),
    "max_images": 120,
}


@pytest.fixture(scope="module")
def table(noise):
    return compare_personal(PersonalComparison(**PLAN), noise, workers=1, label=None)


def test_one_row_for_every_method_situation_seed_and_client(table):
    methods = ["local only", "centralized", *PLAN["methods"]]
    assert list(dict.fromkeys(table["method"])) == methods
    assert len(table) == len(methods) * 2 * 2 * 6
    assert table.groupby("client")["newcomer"].all().tolist() == [False] * 4 + [True] * 2
    assert table["accuracy"].between(0, 1).all()


def test_a_run_is_the_same_as_a_call_of_personalize(noise, table):
    for name, models in (("ditto", MODELS), (f"fedbn{NORMALIZED}", NORMALIZED_MODELS)):
        made = make_situation("pathological:2", noise, num_clients=4, num_newcomers=2, max_images=120, seed=1)
        outcome = personalize(
            name.removesuffix(NORMALIZED),
            made.dataset,
            made.members,
            newcomers=made.newcomers,
            num_rounds=2,
            recipe=PLAN["recipe"],
            seed=1,
            workers=1,
            model=models["mlp"](noise.image_shape, 4, 1),
            label=None,
        )
        rows = table.query("method == @name and situation == 'pathological:2' and seed == 1")
        assert rows["accuracy"].tolist() == [*outcome.members.own, *outcome.newcomers.own]


def test_it_goes_on_where_it_was_stopped_and_with_workers(noise, table, tmp_path):
    few = PersonalComparison(**PLAN | {"seeds": [0]})
    compare_personal(few, noise, folder=tmp_path, workers=1, label=None)
    finished = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(finished) == 8
    whole = compare_personal(PersonalComparison(**PLAN), noise, folder=tmp_path, workers=2, label=None)
    assert whole.equals(table)
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    with pytest.raises(InputError, match="num_rounds is 2, not 3"):
        compare_personal(PersonalComparison(**PLAN | {"num_rounds": 3}), noise, folder=tmp_path, workers=1, label=None)


def made_up(method, accuracies, situation="s", seed=0, newcomer=0.5):
    rows = [
        {
            "method": method,
            "situation": situation,
            "seed": seed,
            "client": client,
            "newcomer": client == len(accuracies),
        }
        | {"accuracy": accuracy, "test_accuracy": 0.1, "megabytes": 1.0}
        for client, accuracy in enumerate([*accuracies, newcomer])
    ]
    return rows


def test_the_summary_by_hand():
    clients = 20
    alone, everyone = [0.5] * clients, [0.4] * 10 + [0.8] * 10
    own = [0.1, 0.3, *[0.5] * 8, *[0.9] * 10]
    rows = made_up("local only", alone) + made_up("global", everyone) + made_up("ditto", own, newcomer=0.7)
    rows += made_up(f"global{NORMALIZED}", [0.95] * clients) + made_up(f"fedbn{NORMALIZED}", own)
    summary = summarize_personal(pd.DataFrame(rows))
    ditto = summary.loc[("s", "ditto")]
    assert ditto["mean"] == pytest.approx(np.mean(own)) and ditto["std"] == pytest.approx(np.std(own))
    assert ditto["worst_tenth"] == pytest.approx((0.1 + 0.3) / 2)
    assert ditto["better_than_alone"] == pytest.approx(10 / 20), "equal is not better"
    assert ditto["better_than_global"] == pytest.approx(18 / 20)
    assert ditto["newcomers"] == pytest.approx(0.7)
    normalized = summary.loc[("s", f"fedbn{NORMALIZED}")]
    assert normalized["better_than_global"] == 0, "compared with FedAvg on the same kind of model"
    assert normalized["better_than_alone"] == pytest.approx(10 / 20)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"methods": []}, "methods must name at least one, got none"),
        ({"methods": ["maml"]}, "method must be 'global', .*, got 'maml'"),
        ({"situations": ["turned:3"]}, "situation turned must be"),
        ({"num_newcomers": -1}, "num_newcomers must be >= 0, got -1"),
        ({"num_rounds": 0}, "num_rounds must be >= 1, got 0"),
        ({"model": "resnet"}, "model must be 'cnn', 'mlp', got 'resnet'"),
        ({"settings": {"ditto": {"mu": 1}}}, "ditto has the settings lambda, got 'mu'"),
        ({"seeds": [-1]}, "seeds must be >= 0, got -1"),
    ],
)
def test_bad_input_ends_before_any_run(change, message):
    with pytest.raises(InputError, match=message):
        PersonalComparison(**PLAN | change)
