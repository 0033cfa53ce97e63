"""Questions and answers as Flower messages, in the clear: the server sees every site's answer, and adds them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid

from fedlearn_helpers.simulation.position import client_of
from fedlearn_helpers.statistics.answering import SitesMissing, answer_of, site_names, total_of
from fedlearn_helpers.statistics.questions import Answer, Asked

QUESTION, ASKED, ANSWER = "question", "asked", "answer"  # names of records, and the answer's array


class Sites:
    """The sites as the server reaches them.

    Args:
        grid: by which they are reached.
        names: by site, in the order of the grid's nodes.
    """

    def __init__(self, grid: Grid, names: Sequence[str]) -> None:
        self.names = dict(zip(sorted(grid.get_node_ids()), names, strict=True))
        self._grid = grid
        self._number = 0

    def next_question(self) -> None:
        """Count a question; the history has it as a round."""
        self._number += 1

    def send(self, contents: Mapping[int, RecordDict]) -> tuple[dict[int, RecordDict], dict[int, str]]:
        """Send each site its content, by node; return the answers' contents, and the reasons of those that failed."""
        messages = [
            self._grid.create_message(content, "query", node, group_id=str(self._number))
            for node, content in contents.items()
        ]
        replies = {reply.metadata.src_node_id: reply for reply in self._grid.send_and_receive(messages)}
        answered = {node: reply.content for node, reply in replies.items() if not reply.has_error()}
        failed = {
            node: str(replies[node].error.reason) if node in replies else f"no answer from site {self.names[node]!r}"
            for node in contents
            if node not in answered
        }
        return answered, failed

    def missing(self, question: str, reasons: Mapping[int, str], total: np.ndarray | None) -> SitesMissing:
        """Return the error for a question that not all sites have answered.

        Args:
            question: its name.
            reasons: what the sites that are not in the total said instead, by node.
            total: of the others; None if there is none.
        """
        said = "; ".join(reasons[node].removeprefix("InputError: ") for node in sorted(reasons))
        return SitesMissing(
            f"all {len(self.names)} sites must answer {question!r}, and {len(reasons)} did not: {said}",
            tuple(self.names[node] for node in sorted(reasons)),
            total,
        )


class PlainSum:
    """The server's half: sends a question to all sites, and adds their answers.

    Args:
        grid, names: as for `Sites`.
    """

    def __init__(self, grid: Grid, names: Sequence[str]) -> None:
        self._sites = Sites(grid, names)

    def __call__(self, question: str, asked: Asked) -> np.ndarray:
        """Return the total of all sites; see `Ask`.

        Raises:
            SitesMissing: not all sites have answered.
            InputError: answers of different lengths, or sums that are no int64.
        """
        self._sites.next_question()
        content = RecordDict({QUESTION: ConfigRecord({QUESTION: question}), ASKED: asked_record(asked)})
        contents, failed = self._sites.send(dict.fromkeys(self._sites.names, content))
        given = {self._sites.names[node]: array_of(of_site) for node, of_site in contents.items()}
        if failed:
            raise self._sites.missing(question, failed, total_of(question, given) if given else None)
        return total_of(question, given)


def site_app(sites: Sequence[Any], answers: Mapping[str, Answer]) -> ClientApp:
    """Return the sites' half: a site answers a query from its own data.

    Args:
        sites: their data, by the client's number.
        answers: by question.
    """
    client_app, names = ClientApp(), site_names(sites)

    @client_app.query()
    def answer(message: Message, context: Context) -> Message:
        number = client_of(context)
        question, asked = question_of(message.content)
        given = answer_of(names[number], sites[number], question, asked, answers)
        return Message(answer_record(given), reply_to=message)

    return client_app


def asked_record(asked: Asked) -> ArrayRecord:
    """Return what a question says, to send."""
    return ArrayRecord({name: Array(np.asarray(array)) for name, array in asked.items()})


def question_of(content: RecordDict) -> tuple[str, dict[str, np.ndarray]]:
    """Return a question's name and what it says, as sent."""
    asked = {name: array.numpy() for name, array in content.array_records[ASKED].items()}
    return str(content.config_records[QUESTION][QUESTION]), asked


def answer_record(answer: np.ndarray) -> RecordDict:
    """Return an answer, to send."""
    return RecordDict({ANSWER: ArrayRecord({ANSWER: Array(answer)})})


def array_of(content: RecordDict) -> np.ndarray:
    """Return an answer as sent."""
    return content.array_records[ANSWER][ANSWER].numpy()
