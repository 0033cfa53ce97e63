"""Should this be federated at all? Ten questions, a table of rules, cases from the literature, and claims to test."""

from fedlearn_helpers.decision.cards import CARDS, Card
from fedlearn_helpers.decision.cases import CASES, Case
from fedlearn_helpers.decision.decide import CONTRADICTIONS, RULES, Reason, Verdict, decide
from fedlearn_helpers.decision.places import Place
from fedlearn_helpers.decision.questions import QUESTIONS, Question

__all__ = [
    "CARDS",
    "CASES",
    "CONTRADICTIONS",
    "QUESTIONS",
    "RULES",
    "Card",
    "Case",
    "Place",
    "Question",
    "Reason",
    "Verdict",
    "decide",
]
