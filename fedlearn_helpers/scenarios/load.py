"""The scenarios by name. A new one is a file beside this one, and a line here."""

from collections.abc import Callable, Collection

from fedlearn_helpers.errors import check_one_of
from fedlearn_helpers.scenarios.bank import load_bank
from fedlearn_helpers.scenarios.field import FieldScenario
from fedlearn_helpers.scenarios.keyboard import load_keyboard
from fedlearn_helpers.scenarios.watch import load_watch
from fedlearn_helpers.seeds import check_seed

_LOADERS: dict[str, Callable[[Collection[str] | None, int], FieldScenario]] = {
    "keyboard": load_keyboard,
    "watch": load_watch,
    "bank": load_bank,
}
SCENARIO_NAMES = tuple(_LOADERS)
"""What `load_scenario` takes."""


def load_scenario(name: str, *, leave_out: Collection[str] | None = None, seed: int = 0) -> FieldScenario:
    """Return one of the scenarios that come with the package.

        scenario = load_scenario("watch", leave_out=["person 3"])
        result = federate(
            "fedavg", scenario.dataset, scenario.shards, unseen=scenario.unseen, model=scenario.new_model(seed),
            local_config=scenario.local_config, num_rounds=scenario.num_rounds, seed=seed,
        )
        lines = reference_lines(
            scenario.dataset, scenario.shards, model=scenario.new_model(seed), **scenario.reference_options, seed=seed,
        )

    With `adapt=scenario.adapt, adaptation_epochs=scenario.epochs_adapting` each client fine-tunes the final model.

    One of your own: a folder with a CSV file for each client becomes one by
    `scenario_of_tables(load_sites("path/of/folder"), name=..., about=...)`, with `load_sites` of
    `fedlearn_helpers.tables`; examples of any other kind by `new_scenario`.

    Args:
        name: "keyboard", "watch" or "bank".
        leave_out: names of the clients that do not train; None for those that each scenario leaves out by itself.
        seed: decides which loans are for training and which for testing. Texts and measurements are cut by time, and
            depend on no seed.

    Raises:
        InputError: another name, or clients that cannot be left out.
    """  # fmt: skip
    check_one_of("name", name, SCENARIO_NAMES)
    return _LOADERS[name](leave_out, check_seed(seed))
