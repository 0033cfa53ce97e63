"""A federation in a field of one's own: a plan before the runs, their records, checks, and the rubric."""

from fedlearn_helpers.project.leaderboard import leaderboard, write_leaderboard
from fedlearn_helpers.project.plan import Plan
from fedlearn_helpers.project.project import Project
from fedlearn_helpers.project.rubric import RUBRIC, rubric_table

__all__ = ["RUBRIC", "Plan", "Project", "leaderboard", "rubric_table", "write_leaderboard"]
