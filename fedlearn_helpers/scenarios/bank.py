"""A bank with a branch in each state that asks which loans will not be paid back: one in twenty.

9,857 loans of Lending Club, an American lender, with what was known of the borrower. California has 1,324 of them,
Vermont 16. Branches lend by the same rules, so states differ much more in how many loans they have than in what they
could learn: quantity skew.
"""

import gzip
from collections.abc import Collection
from functools import cache

import numpy as np
import pandas as pd

from fedlearn_helpers.algorithms.local import LocalConfig
from fedlearn_helpers.scenarios.field import EMBEDDED, FieldScenario
from fedlearn_helpers.scenarios.tables import scenario_of_tables
from fedlearn_helpers.tables import Column, Schema, SiteTable

FILE = "lending_club.csv.gz"
SMALLEST = 100
"""By itself the scenario leaves out states with fewer loans: they never train, and get the final model."""
_LOGARITHMS = {
    "annual_inc": "income in a year, log10(1 + dollars)",
    "total_bal_il": "what is owed on instalment accounts, log10(1 + dollars)",
    "total_il_high_credit_limit": "what may be owed on instalment accounts, log10(1 + dollars)",
}
_NUMBERS = {
    "funded_amnt": "the loan, dollars",
    "int_rate": "interest, per cent a year: the lender's own judgement of the risk",
    "delinq_2yrs": "payments more than 30 days late, in two years",
    "inq_last_6mths": "inquiries by lenders in six months",
    "revol_util": "share of the revolving credit in use, per cent",
    "open_il_6m": "open instalment accounts",
    "open_il_12m": "instalment accounts opened in a year",
    "open_il_24m": "instalment accounts opened in two years",
    "all_util": "share of all credit in use, per cent",
    "inq_fi": "inquiries about personal finance",
    "inq_last_12m": "inquiries by lenders in twelve months",
    "num_il_tl": "instalment accounts",
}
LOANS = Schema(
    columns=(
        *(Column(name, "number", meaning) for name, meaning in (_NUMBERS | _LOGARITHMS).items()),
        Column("grade", "number", "the lender's grade, 0 for A1 to 34 for G5"),
        Column("years", "number", "in this job; 10 for more", "years", 0, 10),
        Column("long", "yes-no", "whether the loan runs for 60 months, not 36"),
        Column("verified", "category", "income: 0 not verified, 1 its source verified, 2 verified", allowed=(0, 1, 2)),
    ),
    label=Column("bad", "yes-no", "whether the loan was not paid back as agreed"),
)
"""What is known of a loan; delinq_amnt and acc_now_delinq of the file are left out, nearly all 0."""


def load_bank(leave_out: Collection[str] | None, seed: int) -> FieldScenario:
    """Return the scenario.

    Args:
        leave_out: states that do not train, such as "VT"; None for those with fewer than `SMALLEST` loans.
        seed: decides which loans are to train on, to validate on, and to test on.
    """
    sites = read_states()
    small = [site.name for site in sites if len(site) < SMALLEST]
    return scenario_of_tables(
        sites,
        name="bank",
        about="a bank's branches that foresee which loans go bad: 50 states, from 16 to 1,324 loans",
        leave_out=small if leave_out is None else leave_out,
        seed=seed,
        local_config=LocalConfig(batch_size=16, learning_rate=0.1),
        num_rounds=14,
        rate_alone=0.1,
        rate_adapting=0.01,
        epochs_adapting=1,
        attribution="Loans: Lending Club, as in the R package modeldata, MIT licence.",
    )


@cache
def read_states() -> list[SiteTable]:
    """Return the loans of each state, in the order of the states' letters; the list is not to be changed."""
    with gzip.open(EMBEDDED / FILE, "rt", encoding="utf-8") as file:
        table = pd.read_csv(file)
    for name in _LOGARITHMS:
        table[name] = np.log10(1 + table[name])
    table["grade"] = [5 * "ABCDEFG".index(grade[0]) + int(grade[1]) - 1 for grade in table["sub_grade"]]
    years = {"emp_lt_1": 0.0, "emp_ge_10": 10.0, "emp_unk": np.nan} | {f"emp_{n}": float(n) for n in range(1, 10)}
    table["years"] = [years[length] for length in table["emp_length"]]
    table["long"] = table["term"] == "term_60"
    table["verified"] = [
        ("Not_Verified", "Source_Verified", "Verified").index(status) for status in table["verification_status"]
    ]
    return [
        SiteTable(
            str(state), LOANS, of_state[list(LOANS.names)].to_numpy(np.float64), (of_state["Class"] == "bad").to_numpy()
        )
        for state, of_state in table.groupby("addr_state")
    ]
