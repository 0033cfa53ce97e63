"""Questions and answers as Flower messages, by a secure sum: the server sees masked digits, and learns the total.

    advertise   every site: a new pair of keys for this question
    share       shares of its secrets, encrypted, for the other sites
    answer      the question; the digits of its answer, masked
    reveal      the shares that unmask the sum of those that have answered

A site that drops out before it answers is not in the sum, and its masks are removed by the others' shares.

Source: Bonawitz et al. 2017, https://eprint.iacr.org/2017/281; see `privacy.secure_aggregation`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid

from fedlearn_helpers.errors import InputError
from fedlearn_helpers.privacy.secure_aggregation import Member, PublicKeys, Server, TooFewMembers, stages
from fedlearn_helpers.privacy.secure_aggregation.client import answer_stage
from fedlearn_helpers.privacy.secure_aggregation.member import ENCRYPTED_BYTES
from fedlearn_helpers.privacy.secure_aggregation.strategy import revealed_in
from fedlearn_helpers.privacy.secure_aggregation.wire import pack, unpack
from fedlearn_helpers.simulation.position import client_of
from fedlearn_helpers.statistics.answering import answer_of, check_lengths, site_names
from fedlearn_helpers.statistics.messages import (
    ANSWER,
    ASKED,
    QUESTION,
    Sites,
    answer_record,
    array_of,
    asked_record,
    question_of,
)
from fedlearn_helpers.statistics.questions import Answer, Asked
from fedlearn_helpers.statistics.sums import DIGITS, from_digits, to_digits

_Values = dict[str, Any]


class SecureSumOfSites:
    """The server's half: a secure sum for each question.

    Args:
        grid, names: as for `Sites`.
        threshold: how many sites must answer in every stage.
    """

    def __init__(self, grid: Grid, names: Sequence[str], threshold: int) -> None:
        self._sites, self._threshold = Sites(grid, names), threshold

    def __call__(self, question: str, asked: Asked) -> np.ndarray:
        """Return the total of all sites; see `Ask`.

        Raises:
            SitesMissing: not all sites are in the sum.
            InputError: answers of different lengths, or sums that are no int64.
        """
        self._sites.next_question()
        server, failed = Server(self._threshold), dict[int, str]()
        try:
            masked = self._masked(server, question, asked, failed)
            lengths = {self._sites.names[node]: len(digits) // DIGITS for node, digits in masked.items()}
            check_lengths(question, lengths)
            survivors = server.collect_masked(masked)
            told = dict.fromkeys(survivors, pack(dict.fromkeys(survivors, b"")))
            revealed = self._stage(stages.REVEAL, told, failed)
            unmasked = server.unmask({node: revealed_in(values) for node, values in revealed.items()})
        except TooFewMembers as error:
            raise self._sites.missing(question, failed, None) from error
        total = from_digits(f"the answers to {question!r}", unmasked)
        if dropped := {node: reason for node, reason in failed.items() if node not in masked}:
            raise self._sites.missing(question, dropped, total)
        return total

    def _masked(self, server: Server, question: str, asked: Asked, failed: dict[int, str]) -> dict[int, np.ndarray]:
        """Return the masked digits by node; note in `failed` which sites failed, and why."""
        advertised = self._stage(stages.ADVERTISE, dict.fromkeys(self._sites.names, b""), failed)
        keys = server.collect_keys({node: PublicKeys.from_bytes(of[stages.DATA]) for node, of in advertised.items()})
        table = pack({node: of.to_bytes() for node, of in keys.items()})
        shared = self._stage(stages.SHARE, dict.fromkeys(keys, table), failed)
        carried = server.collect_shares({node: unpack(of[stages.DATA], ENCRYPTED_BYTES) for node, of in shared.items()})
        named, record = ConfigRecord({QUESTION: question}), asked_record(asked)
        contents = {
            node: RecordDict({stages.CONFIG: _request(ANSWER, pack(shares)), QUESTION: named, ASKED: record})
            for node, shares in carried.items()
        }
        answered, more_failed = self._sites.send(contents)
        failed |= more_failed
        return {node: array_of(content) for node, content in answered.items()}

    def _stage(self, stage: str, data: Mapping[int, bytes], failed: dict[int, str]) -> dict[int, _Values]:
        """Return what sites answer in a stage without a question, by node; note in `failed` which sites failed."""
        contents = {node: RecordDict({stages.CONFIG: _request(stage, of_site)}) for node, of_site in data.items()}
        answered, more_failed = self._sites.send(contents)
        failed |= more_failed
        return {node: dict(content.config_records[stages.CONFIG]) for node, content in answered.items()}


def secure_site_app(sites: Sequence[Any], answers: Mapping[str, Answer], threshold: int) -> ClientApp:
    """Return the sites' half: a site answers from its own data, masked, and takes part in the stages around it.

    Its secrets are in its state from the first stage of a question to the last.

    Args:
        sites: their data, by the client's number.
        answers: by question.
        threshold: how many sites must answer in every stage: a site does not take the server's word for it.
    """
    client_app, names = ClientApp(), site_names(sites)

    @client_app.query()
    def take_part(message: Message, context: Context) -> Message:
        state, number = context.state, client_of(context)
        request: Any = message.content.config_records[stages.CONFIG]
        stage, data = request[stages.STAGE], request[stages.DATA]
        if stage == stages.ADVERTISE:
            member = Member(context.node_id, threshold)
        elif stages.CONFIG in state:
            kept: Any = state.config_records[stages.CONFIG]
            member = Member.from_state(kept)
        else:
            raise InputError(f"site {names[number]!r} must have advertised keys before {stage!r}")
        if stage == ANSWER:
            member.receive(unpack(data, ENCRYPTED_BYTES))  # before the answer: shares that were changed end it
            question, asked = question_of(message.content)
            given = answer_of(names[number], sites[number], question, asked, answers)
            content = answer_record(member.mask(to_digits(given)))
        else:
            said: Any = answer_stage(member, stage, data)
            content = RecordDict({stages.CONFIG: ConfigRecord(said)})
        if stage == stages.REVEAL:
            del state[stages.CONFIG]
        else:
            kept = member.state()
            state[stages.CONFIG] = ConfigRecord(kept)
        return Message(content, reply_to=message)

    return client_app


def _request(stage: str, data: bytes) -> ConfigRecord:
    return ConfigRecord({stages.STAGE: stage, stages.DATA: data})
