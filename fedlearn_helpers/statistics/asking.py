"""Two ways to ask all sites: a loop over them in this process, and a Flower federation.

A program is a function of `ask` alone, so it does not know which of them it has, and the totals are the same bits.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from fedlearn_helpers.errors import InputError, check_whole_number
from fedlearn_helpers.privacy.secure_aggregation.errors import check_threshold
from fedlearn_helpers.simulation import History, simulate
from fedlearn_helpers.simulation.workers import Workers
from fedlearn_helpers.statistics.answering import answer_of, check_question, site_names, total_of
from fedlearn_helpers.statistics.messages import PlainSum, site_app
from fedlearn_helpers.statistics.questions import Answer, Ask, Asked
from fedlearn_helpers.statistics.secure_messages import SecureSumOfSites, secure_site_app
from fedlearn_helpers.statistics.sums import MOST_SITES

Result = TypeVar("Result")


def in_process(sites: Sequence[Any], answers: Mapping[str, Answer]) -> Ask:
    """Return an `ask` that calls one site after the other: for tests, and for what pooled data would answer.

    Args:
        sites: their data, at least one; a site's `name` is for messages.
        answers: by question.

    Raises:
        InputError: no site, or two of one name. The `ask` raises it for an unknown question, a site that fails or
            answers anything but int64 (d,) with one d for all sites, and sums that are no int64.
    """
    names = site_names(sites)

    def ask(question: str, asked: Asked) -> Any:
        given = {name: answer_of(name, site, question, asked, answers) for name, site in zip(names, sites, strict=True)}
        return total_of(question, given)

    return ask


def ask_sites(
    program: Callable[[Ask], Result],
    sites: Sequence[Any],
    answers: Mapping[str, Answer],
    *,
    seed: int = 0,
    secure: int | None = None,
    workers: Workers = 1,
) -> tuple[Result, History]:
    """Run a program of questions as a Flower federation.

    The server sends each question as a query to all sites and adds their answers. With `secure` it learns the total
    alone: each question is a secure sum, four messages to each site. What a site's answer raises reaches the server in
    words in either case.

    Args:
        program: the server's code: called with `ask`.
        sites: their data, one client each; a site's `name` is known to the server.
        answers: by question.
        seed: for clients whose answers draw random numbers; masks come from the operating system.
        secure: None, or the threshold: how many sites must answer in every stage, at least 2 and more than half.
        workers: as in `simulate`.

    Returns:
        What the program returned, and the federation's history: a question is a round, from 1.

    Raises:
        SitesMissing: not all sites have answered a question; see there for the total of the others.
        InputError: as `in_process`, or a threshold out of range, or more than 2^16 sites.
    """
    names = site_names(sites)
    if secure is not None:
        check_threshold(check_whole_number("secure", secure, 2), len(sites))
        if len(sites) > MOST_SITES:
            raise InputError(f"sites must be at most {MOST_SITES} for a secure sum, got {len(sites)}")
    results: list[Result] = []
    server_app = ServerApp()

    @server_app.main()
    def main(grid: Grid, context: Context) -> None:
        total = PlainSum(grid, names) if secure is None else SecureSumOfSites(grid, names, secure)

        def ask(question: str, asked: Asked) -> Any:
            check_question(question, answers)
            return total(question, asked)

        results.append(program(ask))

    client_app = site_app(sites, answers) if secure is None else secure_site_app(sites, answers, secure)
    options: dict[str, Any] = {"num_clients": len(sites), "seed": seed, "workers": workers, "label": None}
    history = simulate(server_app, client_app, on_error="reply", **options)
    return results[0], history
