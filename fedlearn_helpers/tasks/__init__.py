"""What is learned: how stored examples become inputs of a model, and how its outputs are judged."""

from fedlearn_helpers.tasks.classes import IMAGES, SIGNALS, TABLES, is_right, most_likely_class, normalize
from fedlearn_helpers.tasks.rare import balanced, class_by_threshold, rare_class
from fedlearn_helpers.tasks.task import Task
from fedlearn_helpers.tasks.text import TEXT, in_pieces, loss_per_character, share_right

__all__ = [
    "IMAGES",
    "SIGNALS",
    "TABLES",
    "TEXT",
    "Task",
    "balanced",
    "class_by_threshold",
    "in_pieces",
    "is_right",
    "loss_per_character",
    "most_likely_class",
    "normalize",
    "rare_class",
    "share_right",
]
