"""Create and confirm a payment: assess, route, mark, charge, record.

    assess and route   no transaction: the risk engine and the routing rules, each idempotent
    commit A           key claimed, payment PROCESSING, the attempt "about to be sent", events
    charge             no transaction: the channel is asked under the attempt's own key
    commit B           state, postings, events and the stored response

A crash before A leaves nothing. After A the attempt on record says which channel to ask with which key, and
`resolve_attempts` completes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from payment_gateway.domain import payment as machine
from payment_gateway.domain.attempt import Attempt, Operation
from payment_gateway.domain.objects import payment_object
from payment_gateway.domain.payment import Payment, Status
from payment_gateway.domain.risk import Assessment, Decision
from payment_gateway.domain.routing import NoRoute, Route, choose
from payment_gateway.operations.answer_request import (
    Answer,
    accepted,
    claim,
    find_stored,
    payment_response,
)
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.events import payment_event
from payment_gateway.operations.mark_and_ask import first_attempt_id
from payment_gateway.operations.problems import NoChannel
from payment_gateway.operations.record_answer import ask_and_record
from payment_gateway.store.commit import Commit, Effects, Locked
from platform_kit import canonical
from platform_kit.clock import isoformat
from platform_kit.idempotency import Claim
from platform_kit.ids import new_id


@dataclass(frozen=True, slots=True)
class CreatePayment:
    """What a merchant asks for. `amount_minor` > 0 in minor units; `method` is {"type": "card", "token": ...} or
    {"type": "wallet", "provider": ...}; `capture` is automatic or manual."""

    merchant_id: str
    key: str
    fingerprint: bytes
    amount_minor: int
    currency: str
    capture: str
    method: Mapping[str, Any]
    reference: str | None
    description: str | None
    customer: Mapping[str, Any] | None
    metadata: Mapping[str, str]


async def create_payment(deps: Deps, command: CreatePayment) -> Answer:
    """The payment as it stands after the channel was asked: 201 when that is final or up to the payer, else 202.

    Raises KeyReused, KeyInProgress, NoChannel, NotCommitted (nothing was charged), CommitUnknown.
    """
    payment_id = new_id("pay")
    wanted = Claim(
        f"{command.merchant_id} POST /v1/payments",
        command.key,
        command.fingerprint,
        subject=first_attempt_id(payment_id),
    )
    if stored := await find_stored(deps, wanted):
        return stored
    assessment = await deps.risk.assess(_assessment_request(command, payment_id, deps))
    route = _route(deps, command, assessment)
    canonical.add(
        payment_id=payment_id, decision=assessment.decision, channel=route.channel if route else None
    )

    done = await claim(deps, _commit_a(command, payment_id, wanted, assessment, route))
    if isinstance(done, Answer):
        return done
    assert done.payment is not None
    if done.payment.status is not Status.PROCESSING:
        if done.response is None:  # our COMMIT's answer was lost, and a resolver has taken over meanwhile
            return accepted(payment_object(done.payment))
        return Answer(done.response.status, done.response.body)
    details = {
        "method": command.method,
        "capture": _captures_at_once(command, assessment),
        "challenge": assessment.decision is Decision.CHALLENGE,
    }
    # Shielded: a client who hangs up must not leave a question open that was answered.
    return await asyncio.shield(
        ask_and_record(deps, command.merchant_id, _first_attempt(done.payment, wanted), details)
    )


def _route(deps: Deps, command: CreatePayment, assessment: Assessment) -> Route | None:
    """The channel, or None for a payment that risk blocked and no channel will see."""
    if assessment.decision is Decision.BLOCK:
        return None
    closed = frozenset(name for name, channel in deps.channels.items() if not channel.is_open)
    try:
        return choose(str(command.method["type"]), closed)
    except NoRoute:
        raise NoChannel() from None


def _captures_at_once(command: CreatePayment, assessment: Assessment) -> bool:
    """What risk wants reviewed is held and waits for the merchant's capture or void."""
    return command.capture == "automatic" and assessment.decision is not Decision.REVIEW


def _commit_a(
    command: CreatePayment, payment_id: str, wanted: Claim, assessment: Assessment, route: Route | None
) -> Commit:
    """Claim, payment, attempt and events; a blocked payment ends here, response included."""

    def decide(locked: Locked) -> Effects:
        payment = Payment(
            id=payment_id,
            merchant_id=command.merchant_id,
            amount_minor=command.amount_minor,
            currency=command.currency,
            capture=command.capture,
            method=command.method,
            channel=route.channel if route else None,
            status=Status.PROCESSING,
            created_at=locked.now,
            updated_at=locked.now,
            risk=assessment.as_object(),
            reference=command.reference,
            description=command.description,
            customer=command.customer,
            metadata=command.metadata,
        )
        if route is None:
            blocked = machine.declined(payment, "risk_blocked", locked.now)
            events = (payment_event("payment.declined.v1", blocked),)
            return Effects(payment=blocked, events=events, response=payment_response(blocked))
        payment = machine.open_attempt(payment, first_attempt_id(payment.id), locked.now)
        attempt = _first_attempt(payment, wanted)
        chosen = {"channel": route.channel, "reason": route.reason}
        created = payment_event("payment.created.v1", payment, attempt=attempt, route=chosen)
        return Effects(payment=payment, attempt=attempt, events=(created,))

    return Commit(decide=decide, claim=wanted)


def _first_attempt(payment: Payment, wanted: Claim) -> Attempt:
    assert payment.channel is not None
    return Attempt(
        id=first_attempt_id(payment.id),
        payment_id=payment.id,
        operation=Operation.AUTHORISE,
        channel=payment.channel,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        sent_at=payment.created_at,
        claim=(wanted.scope, wanted.key),
    )


def _assessment_request(command: CreatePayment, payment_id: str, deps: Deps) -> dict[str, Any]:
    customer = command.customer or {}
    return {
        "merchant_id": command.merchant_id,
        "idempotency_key": command.key,
        "payment_id": payment_id,
        "amount_minor": command.amount_minor,
        "currency": command.currency,
        "method": command.method["type"],
        "card": command.method.get("token"),
        "customer": {name: customer.get(name) for name in ("id", "country", "ip", "device_id")} or None,
        "occurred_at": isoformat(deps.clock.now()),
    }
