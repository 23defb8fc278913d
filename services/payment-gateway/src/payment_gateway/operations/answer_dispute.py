"""What a merchant does about a dispute: save or submit evidence, or accept it. The channel is told afterwards, by
`send_dispute_answers`, for as long as it takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from payment_gateway.domain import dispute as machine
from payment_gateway.domain.dispute import (
    Dispute,
    DisputeChange,
    DisputeEvent,
    DisputeStatus,
    dispute_object,
)
from payment_gateway.domain.moves import IllegalMove
from payment_gateway.domain.payment import Payment
from payment_gateway.domain.personal_data import Subject, is_sealed, payer_reference
from payment_gateway.operations.answer_request import Answer, claim, find_stored
from payment_gateway.operations.change_dispute import commit_of_change
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.problems import stored_refusal
from payment_gateway.store import disputes, payments
from payment_gateway.store.commit import Locked
from payment_gateway.store.pages import Page, Window
from payment_gateway.store.tenancy import as_merchant
from platform_kit.idempotency import IdempotencyKey, StoredResponse
from platform_kit.ids import new_id
from platform_kit.problems import NotFound


@dataclass(frozen=True, slots=True)
class AnswerDispute:
    """`event` is SAVE, SUBMIT or ACCEPT; new evidence is laid over what was saved before."""

    merchant_id: str
    dispute_id: str
    key: IdempotencyKey
    event: DisputeEvent
    evidence: Mapping[str, str]


async def answer_dispute(deps: Deps, command: AnswerDispute) -> Answer:
    """200 with the dispute. Raises NotFound, InvalidState, KeyReused, KeyInProgress, NotCommitted."""
    dispute = await get_dispute(deps, command.merchant_id, command.dispute_id)
    route = "accept" if command.event is DisputeEvent.ACCEPT else "evidence"
    wanted = command.key.claim(f"{command.merchant_id} POST /v1/disputes/{{id}}/{route}", new_id("act"))
    if stored := await find_stored(deps, wanted):
        return stored
    async with as_merchant(deps.engine, command.merchant_id) as connection:
        payment = await payments.get(connection, dispute.payment_id, command.merchant_id)
    assert payment is not None
    subject = await _subject(deps, dispute, payment) if command.evidence else None

    def change(locked: Dispute | None, held: Payment, seen: Locked) -> DisputeChange:
        assert locked is not None
        evidence = locked.evidence
        if subject is not None:
            before = subject.open(evidence) if is_sealed(evidence) else evidence
            evidence = subject.seal({**before, **command.evidence})
        is_late = seen.now > locked.evidence_due_at
        if is_late and command.event is not DisputeEvent.ACCEPT:
            raise IllegalMove("dispute whose evidence was due", locked.status, command.event, ["accept"])
        tells = command.event is not DisputeEvent.SAVE
        return machine.advanced(
            locked, held, command.event, seen.now, evidence=evidence, send_at=seen.now if tells else None
        )

    def response(after: Dispute) -> StoredResponse:
        return StoredResponse(200, orjson.dumps(dispute_object(after)))

    commit = commit_of_change(
        payment, dispute.id, change, claim=wanted, response=response, refusal=stored_refusal
    )
    done = await claim(deps, commit)
    if isinstance(done, Answer):
        return done
    assert done.response is not None
    return Answer(done.response.status, done.response.body)


async def _subject(deps: Deps, dispute: Dispute, payment: Payment) -> Subject:
    """Under whose key the evidence is kept: it tells of who paid. Raises VaultClosed."""
    for kept in (dispute.evidence, payment.customer):
        if kept and is_sealed(kept):
            known = await deps.subjects.by_id(dispute.merchant_id, [kept["subject"]])
            if known:
                return known[kept["subject"]]
    return await deps.subjects.of(dispute.merchant_id, payer_reference({}, payment.id))


async def get_dispute(deps: Deps, merchant_id: str, dispute_id: str) -> Dispute:
    """Raises NotFound, also for another merchant's dispute."""
    found = None
    if dispute_id.isascii() and dispute_id.isprintable():
        async with as_merchant(deps.engine, merchant_id) as connection:
            found = await disputes.get(connection, dispute_id, merchant_id)
    if found is None:
        raise NotFound("This merchant has no such dispute.")
    return found


async def list_disputes(
    deps: Deps,
    merchant_id: str,
    window: Window,
    *,
    payment_id: str | None,
    status: DisputeStatus | None = None,
) -> Page[Dispute]:
    """Newest first; of one payment, of one status, when it is named."""
    async with as_merchant(deps.engine, merchant_id) as connection:
        return await disputes.page(connection, merchant_id, window, payment_id=payment_id, status=status)
