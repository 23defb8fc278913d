"""Take a journal back by a new one that names it. Once: whoever comes second is told by whom."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from payment_gateway.domain import ledger_journal
from payment_gateway.domain.ledger import Journal
from payment_gateway.domain.ledger_journal import AlreadyReversed
from payment_gateway.domain.objects import journal_object
from payment_gateway.operations.answer_request import Answer, claim
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.problems import NotReversible, stored_refusal
from payment_gateway.store import ledger_history, ledger_reversals
from payment_gateway.store.commit import Commit, Effects, Locked, postings_accounts
from payment_gateway.store.ledger_reversals import Reversal
from payment_gateway.store.tenancy import as_merchant
from platform_kit.clock import isoformat
from platform_kit.idempotency import IdempotencyKey, StoredResponse
from platform_kit.ids import new_id
from platform_kit.outbox import Event
from platform_kit.problems import NotFound


@dataclass(frozen=True, slots=True)
class ReverseJournal:
    merchant_id: str
    key: IdempotencyKey
    journal_id: str
    reason: str


async def reverse_journal(deps: Deps, command: ReverseJournal) -> Answer:
    """201 with the new journal. Raises NotFound, NotReversible, AlreadyReversed, InsufficientFunds, KeyReused, …"""
    async with as_merchant(deps.engine, command.merchant_id) as connection:
        moved = await ledger_history.postings(connection, command.journal_id, command.merchant_id)
    if not moved:
        raise NotFound(f"There is no journal {command.journal_id}.")
    try:
        back = ledger_journal.reversal_of(moved)
    except ledger_journal.NotReversible:
        raise NotReversible("Only what moved money can be reversed.") from None
    journal = Journal(
        new_id("je"),
        None,
        back,
        merchant_id=command.merchant_id,
        reverses=command.journal_id,
        reason=command.reason,
    )

    def decide(locked: Locked) -> Effects:
        earlier: Reversal | None = locked.rows.get(command.journal_id)
        if earlier is not None:
            raise AlreadyReversed(earlier.by)
        shown = (journal_object(journal) or {}) | {
            "object": "journal",
            "reverses": command.journal_id,
            "reason": command.reason,
            "created_at": isoformat(locked.now),
        }
        event = Event(
            id=new_id("evt"),
            type="ledger.journal_reversed.v1",
            aggregate_id=command.journal_id,
            merchant_id=command.merchant_id,
            data={"journal": shown},
            occurred_at=locked.now,
        )
        return Effects(
            rows=((ledger_reversals, Reversal(command.journal_id, journal.id)),),
            journal=journal,
            events=(event,),
            response=StoredResponse(201, orjson.dumps(shown)),
        )

    scope = f"{command.merchant_id} POST /v1/ledger/journals/{command.journal_id}/reverse"
    commit = Commit(
        decide,
        also=((ledger_reversals, command.journal_id),),
        accounts=postings_accounts(back),
        opens_accounts=False,
        claim=command.key.claim(scope, journal.id),
        refusal_response=stored_refusal,
    )
    done = await claim(deps, commit)
    if isinstance(done, Answer):
        return done
    assert done.response is not None
    return Answer(done.response.status, done.response.body)
