"""Move money by a batch whose transfers stand alone: each is done or refused, in their order, in one commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from payment_gateway.domain.ledger import Account, AccountName, Journal, apply
from payment_gateway.operations.answer_request import Answer, claim
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.problems import problem_of, stored_refusal
from payment_gateway.operations.transfer_funds import TransferFunds, claim_of, effects_of, journal_of
from payment_gateway.store.commit import (
    REFUSALS,
    Commit,
    Effects,
    Locked,
    UnknownAccount,
    postings_accounts,
)
from platform_kit.idempotency import IdempotencyKey, StoredResponse


@dataclass(frozen=True, slots=True)
class TransferEach:
    """At least one transfer; their own keys are not looked at: the batch has one, and one answer."""

    merchant_id: str
    key: IdempotencyKey
    transfers: tuple[TransferFunds, ...]


async def transfer_each(deps: Deps, command: TransferEach) -> Answer:
    """200 with a result for each transfer, in their order: `done` with the transfer, or `refused` with the problem.

    A refused one has moved nothing and does not touch its neighbours; what is done is committed together with the
    answer, so that a batch is never half known. Raises KeyReused, KeyInProgress, NotCommitted.
    """
    wanted = [(transfer, journal_of(transfer)) for transfer in command.transfers]

    def decide(locked: Locked) -> Effects:
        books = dict(locked.accounts)
        done: list[Effects] = []
        results: list[dict[str, Any]] = []
        for transfer, journal in wanted:
            try:
                effects = effects_of(transfer, journal, locked.now)
                books |= _moved(books, journal)
            except REFUSALS as error:
                results.append({"status": "refused", "problem": problem_of(error).body(None, None)})
                continue
            assert effects.response is not None
            done.append(effects)
            results.append({"status": "done", "transfer": orjson.Fragment(effects.response.body)})
        body = {
            "object": "transfer_batch",
            "done": len(done),
            "refused": len(wanted) - len(done),
            "results": results,
        }
        return Effects(
            rows=tuple(row for effects in done for row in effects.rows),
            journals=tuple(journal for effects in done for journal in effects.written),
            events=tuple(event for effects in done for event in effects.events),
            response=StoredResponse(200, orjson.dumps(body)),
        )

    commit = Commit(
        decide,
        accounts=postings_accounts([posting for _, journal in wanted for posting in journal.postings]),
        opens_accounts=False,
        needs_accounts=False,
        weight=len(wanted),
        claim=claim_of(command.merchant_id, command.key, wanted[0][1]),
        refusal_response=stored_refusal,
    )
    outcome = await claim(deps, commit)
    if isinstance(outcome, Answer):
        return outcome
    assert outcome.response is not None
    return Answer(outcome.response.status, outcome.response.body)


def _moved(books: Mapping[AccountName, Account], journal: Journal) -> dict[AccountName, Account]:
    """The accounts that the journal touches, after it. Raises UnknownAccount, InsufficientFunds or AboveCeiling."""
    for name in postings_accounts(journal.postings):
        if name not in books:
            raise UnknownAccount(name)
    return apply(books, journal.postings)
