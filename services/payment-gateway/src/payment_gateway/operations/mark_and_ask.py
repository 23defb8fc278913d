"""The shape of every act on an existing payment: mark it under the client's key, ask the channel, record.

commit A   key claimed, the payment checked and marked, the attempt "about to be sent"
ask        no transaction: the channel, under the attempt's own key
commit B   state, postings, events and the stored response
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from payment_gateway.domain.attempt import Attempt, Operation
from payment_gateway.domain.audit import Actor, Entry, StoredEntry
from payment_gateway.domain.payment import Payment
from payment_gateway.operations.answer_request import Answer, claim, find_stored
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.find_payments import get_payment
from payment_gateway.operations.problems import NoChannel, stored_refusal
from payment_gateway.operations.record_answer import ask_and_record
from payment_gateway.store import audit_log
from payment_gateway.store.commit import Commit, Effects, Locked
from platform_kit.idempotency import Claim, IdempotencyKey
from platform_kit.ids import new_id


@dataclass(frozen=True, slots=True)
class Act:
    """Who wants something done to which payment, under which key. `amount_minor` None = all that remains."""

    merchant_id: str
    payment_id: str
    key: IdempotencyKey
    amount_minor: int | None = None
    reason: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Of a refund."""
    by: Actor | None = None
    """The operator who does it for the merchant; None for the merchant's own request."""


Mark = Callable[[Payment, Attempt, Locked], Effects]
"""Checks the locked payment and marks it; raises a domain refusal. The attempt's amount is the mark's to set. Effects
without an attempt, but with a response, need no channel and are final."""


async def mark_and_ask(
    deps: Deps, act: Act, operation: Operation, mark: Mark, route: str | None = None
) -> Answer:
    """The final answer, or 202 while the channel's is not known. `route` names the act in the key's scope.

    Raises NotFound, NoChannel, InvalidState, AmountExceedsRemaining, OperationInProgress, KeyReused, KeyInProgress.
    """
    payment = await get_payment(deps, act.merchant_id, act.payment_id)
    wanted = act.key.claim(f"{act.merchant_id} POST /v1/payments/{{id}}/{route or operation}", new_id("att"))
    if stored := await find_stored(deps, wanted):
        return stored
    if payment.channel is not None and not deps.channels[payment.channel].is_open:
        raise NoChannel()

    def decide(locked: Locked) -> Effects:
        assert locked.payment is not None
        effects = mark(locked.payment, _attempt(locked, operation, wanted), locked)
        return effects if act.by is None else _recorded(effects, act, act.by, locked)

    commit = Commit(decide, payment_id=payment.id, claim=wanted, refusal_response=stored_refusal)
    done = await claim(deps, commit)
    if isinstance(done, Answer):
        return done
    if done.attempt is None:
        assert done.response is not None
        return Answer(done.response.status, done.response.body)
    # Shielded: a client who hangs up must not leave a question open that was answered.
    return await asyncio.shield(ask_and_record(deps, act.merchant_id, done.attempt, {}))


def _recorded(effects: Effects, act: Act, by: Actor, locked: Locked) -> Effects:
    """With the entry of the audit log, in the transaction that begins the act."""
    asked = effects.attempt
    told: dict[str, Any] = {"reason": act.reason}
    if asked is not None:
        told |= {"attempt_id": asked.id, "amount_minor": asked.amount_minor, "currency": asked.currency}
    action = f"payment.{asked.operation if asked else 'act'}"
    entry = Entry(action, act.merchant_id, act.payment_id, told)
    stored = StoredEntry(new_id("aud"), entry, by, locked.now)
    return replace(effects, rows=(*effects.rows, (audit_log, stored)))


def first_attempt_id(payment_id: str) -> str:
    """The authorisation's attempt is named after its payment: whoever holds one knows the other."""
    return "att_" + payment_id.removeprefix("pay_")


def _attempt(locked: Locked, operation: Operation, wanted: Claim) -> Attempt:
    payment: Any = locked.payment
    return Attempt(
        id=wanted.subject,
        payment_id=payment.id,
        operation=operation,
        channel=payment.channel or "",
        amount_minor=payment.capturable_minor,
        surcharge_minor=payment.surcharge_left_minor,
        currency=payment.currency,
        sent_at=locked.now,
        original=payment.authorised_by or payment.open_attempt_id or first_attempt_id(payment.id),
        claim=(wanted.scope, wanted.key),
    )
