"""Statistics of data that stays where it is: every site answers with whole numbers, and the server adds them."""

from fedlearn_helpers.statistics.answering import SitesMissing
from fedlearn_helpers.statistics.answers import ANSWERS
from fedlearn_helpers.statistics.asking import ask_sites, in_process
from fedlearn_helpers.statistics.columns import LABELS, Category, Number
from fedlearn_helpers.statistics.extremes import extremes_by_counts, usual_range
from fedlearn_helpers.statistics.imputing import Preparation, preparation
from fedlearn_helpers.statistics.moments import Moments, moments
from fedlearn_helpers.statistics.newton import LogisticRegression, fit_logistic
from fedlearn_helpers.statistics.quantiles import quantiles
from fedlearn_helpers.statistics.schema_columns import columns_of, ranges_of
from fedlearn_helpers.statistics.suppression import HIDDEN, difference_reveals, hide_small, publish, recover

__all__ = [
    "ANSWERS",
    "HIDDEN",
    "LABELS",
    "Category",
    "LogisticRegression",
    "Moments",
    "Number",
    "Preparation",
    "SitesMissing",
    "ask_sites",
    "columns_of",
    "difference_reveals",
    "extremes_by_counts",
    "fit_logistic",
    "hide_small",
    "in_process",
    "moments",
    "preparation",
    "publish",
    "quantiles",
    "ranges_of",
    "recover",
    "usual_range",
]
