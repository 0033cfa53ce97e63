"""All questions of this folder, and what answers them at a site."""

from collections.abc import Mapping

from fedlearn_helpers.statistics.groups import CROSS_TABLE, FREQUENCIES, answer_cross_table, answer_frequencies
from fedlearn_helpers.statistics.histograms import HISTOGRAMS, answer_histograms
from fedlearn_helpers.statistics.moments import MOMENTS, answer_moments
from fedlearn_helpers.statistics.newton import NEWTON, answer_newton
from fedlearn_helpers.statistics.quantiles import COUNTS_AT_MOST, answer_counts_at_most
from fedlearn_helpers.statistics.questions import Answer

ANSWERS: Mapping[str, Answer] = {
    MOMENTS: answer_moments,
    COUNTS_AT_MOST: answer_counts_at_most,
    HISTOGRAMS: answer_histograms,
    FREQUENCIES: answer_frequencies,
    CROSS_TABLE: answer_cross_table,
    NEWTON: answer_newton,
}
