"""Personalization: one file per algorithm, named after it; a client's model of its own beside everybody's."""

from fedlearn_helpers.personalization.experiment import Measured, PersonalOutcome, personalize
from fedlearn_helpers.personalization.methods import PERSONALIZATIONS

__all__ = ["PERSONALIZATIONS", "Measured", "PersonalOutcome", "personalize"]
