"""Three federations from the field, ready to run without a network: a keyboard, smartwatches, a bank; or your own."""

from fedlearn_helpers.scenarios.field import ClientExamples, FieldScenario, fine_tuning_at, new_scenario
from fedlearn_helpers.scenarios.keyboard import MOVED, VOCABULARY, moved_phone, read_texts
from fedlearn_helpers.scenarios.load import SCENARIO_NAMES, load_scenario
from fedlearn_helpers.scenarios.ranking import average_precision, scores_of_class_1, share_found
from fedlearn_helpers.scenarios.tables import scenario_of_tables

__all__ = [
    "MOVED",
    "SCENARIO_NAMES",
    "VOCABULARY",
    "ClientExamples",
    "FieldScenario",
    "average_precision",
    "fine_tuning_at",
    "load_scenario",
    "moved_phone",
    "new_scenario",
    "read_texts",
    "scenario_of_tables",
    "scores_of_class_1",
    "share_found",
]
