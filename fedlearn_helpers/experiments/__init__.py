"""Whole experiments: one federation, comparisons of many, and what they are measured against."""

from fedlearn_helpers.experiments.basic_client import make_client_app
from fedlearn_helpers.experiments.client_app import new_client_app
from fedlearn_helpers.experiments.compare import (
    NORMALIZED,
    Comparison,
    ComparisonTables,
    compare,
    summarize_clients,
    summarize_runs,
)
from fedlearn_helpers.experiments.federate import FederationResult, federate
from fedlearn_helpers.experiments.measures import ClientMeasures
from fedlearn_helpers.experiments.parallel import run_in_parallel
from fedlearn_helpers.experiments.reference_lines import ReferenceLines, reference_lines
from fedlearn_helpers.experiments.scenarios import Scenario, make_scenario

__all__ = [
    "NORMALIZED",
    "ClientMeasures",
    "Comparison",
    "ComparisonTables",
    "FederationResult",
    "ReferenceLines",
    "Scenario",
    "compare",
    "federate",
    "make_client_app",
    "make_scenario",
    "new_client_app",
    "reference_lines",
    "run_in_parallel",
    "summarize_clients",
    "summarize_runs",
]
