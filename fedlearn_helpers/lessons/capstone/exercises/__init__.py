"""The exercises of notebook 12, a file for each: what a wrong answer has got wrong, and the exercise."""

from fedlearn_helpers.lessons.capstone.exercises.adapter_bytes import bytes_of_lora
from fedlearn_helpers.lessons.capstone.exercises.adapters import product_of_means
from fedlearn_helpers.lessons.capstone.exercises.cards import card
from fedlearn_helpers.lessons.capstone.exercises.comparisons import bug_hunt
from fedlearn_helpers.lessons.capstone.exercises.decisions import verdict
from fedlearn_helpers.lessons.capstone.exercises.reports import worst_client

__all__ = ["bug_hunt", "bytes_of_lora", "card", "product_of_means", "verdict", "worst_client"]
