"""Post, void and expire holds of the ledger. Whoever locks the hold first decides; the other finds it closed."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from payment_gateway.domain import ledger_hold
from payment_gateway.domain.ledger import Journal, Posting
from payment_gateway.domain.ledger_hold import Hold
from payment_gateway.domain.objects import hold_object, journal_object
from payment_gateway.operations.answer_request import Answer, claim
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.problems import stored_refusal
from payment_gateway.store import ledger_holds
from payment_gateway.store.commit import Commit, Done, Effects, Locked
from payment_gateway.store.tenancy import as_merchant
from platform_kit import canonical
from platform_kit.idempotency import IdempotencyKey, StoredResponse
from platform_kit.ids import new_id
from platform_kit.outbox import Event
from platform_kit.problems import NotFound

EXPIRE_MAX = 500  # per run


@dataclass(frozen=True, slots=True)
class SettleHold:
    """`amount_minor` None = the rest. `voids` gives the rest back instead of moving it."""

    merchant_id: str
    key: IdempotencyKey
    hold_id: str
    amount_minor: int | None = None
    voids: bool = False


async def settle_hold(deps: Deps, command: SettleHold) -> Answer:
    """201 with the hold as it now stands. Raises NotFound, HoldClosed, AmountExceedsRemaining, KeyReused, …"""
    async with as_merchant(deps.engine, command.merchant_id) as connection:
        found = await ledger_holds.get(connection, command.hold_id, f"ledger:{command.merchant_id}")
    if found is None:
        raise NotFound(f"There is no hold {command.hold_id}.")
    journal_id = new_id("je")
    act = "void" if command.voids else "post"

    def decide(locked: Locked) -> Effects:
        hold: Hold = locked.rows[found.id]
        if command.voids:
            after, posting = ledger_hold.void(hold)
        else:
            after, posting = ledger_hold.post(hold, command.amount_minor, locked.now)
        effects = _effects(command.merchant_id, journal_id, after, posting, locked)
        body = orjson.dumps(hold_object(after) | {"journal_id": journal_id})
        return Effects(
            rows=effects.rows,
            journal=effects.journal,
            events=effects.events,
            response=StoredResponse(201, body),
        )

    scope = f"{command.merchant_id} POST /v1/ledger/holds/{found.id}/{act}"
    commit = Commit(
        decide,
        also=((ledger_holds, found.id),),
        accounts=(found.debit, found.credit),
        opens_accounts=False,
        claim=command.key.claim(scope, journal_id),
        refusal_response=stored_refusal,
    )
    done = await claim(deps, commit)
    if isinstance(done, Answer):
        return done
    assert done.response is not None
    return Answer(done.response.status, done.response.body)


async def expire_ledger_holds(deps: Deps) -> int:
    """Give back what is too old by the database's clock; returns how many holds."""
    async with deps.engine.connect() as connection:
        due = await ledger_holds.due(connection, EXPIRE_MAX)
    expired = sum([await _expire(deps, hold) for hold in due])
    canonical.add(expired=expired)
    return expired


async def _expire(deps: Deps, found: Hold) -> bool:
    def decide(locked: Locked) -> Effects:
        after, posting = ledger_hold.expire(locked.rows[found.id], locked.now)
        return _effects(found.debit.owner.removeprefix("ledger:"), new_id("je"), after, posting, locked)

    commit = Commit(
        decide, also=((ledger_holds, found.id),), accounts=(found.debit, found.credit), opens_accounts=False
    )
    return isinstance(await deps.committer.submit(commit), Done)


def _effects(merchant_id: str, journal_id: str, after: Hold, posting: Posting, locked: Locked) -> Effects:
    journal = Journal(journal_id, None, (posting,), merchant_id=merchant_id, hold_id=after.id)
    event = Event(
        id=new_id("evt"),
        type=f"ledger.hold_{after.state if posting.kind == 'release' else 'posted'}.v1",
        aggregate_id=after.id,
        merchant_id=merchant_id,
        data={"hold": hold_object(after), "journal": journal_object(journal)},
        occurred_at=locked.now,
    )
    return Effects(rows=((ledger_holds, after),), journal=journal, events=(event,))
