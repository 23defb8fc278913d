"""Charge a payment that its merchant confirms, at its creation or later: assess, route, mark, charge, record.

    assess and route   no transaction: the risk engine and the routing rules, each idempotent
    commit A           key claimed, payment PROCESSING, the attempt "about to be sent", events
    charge             no transaction: the channel is asked under the attempt's own key
    commit B           state, postings, events and the stored response

A crash before A leaves nothing. After A the attempt on record says which channel to ask with which key, and
`resolve_attempts` completes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from payment_gateway.domain import payment as machine
from payment_gateway.domain.attempt import Attempt, Operation
from payment_gateway.domain.cards import shown_token
from payment_gateway.domain.objects import payment_object
from payment_gateway.domain.payment import Payment, Status
from payment_gateway.domain.personal_data import ERASED, is_sealed
from payment_gateway.domain.risk import Assessment, Decision
from payment_gateway.domain.routing import NoRoute
from payment_gateway.operations.answer_request import (
    Answer,
    accepted,
    claim,
    created_status,
    find_stored,
    payment_response,
)
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.events import payment_event
from payment_gateway.operations.problems import NoChannel, stored_refusal
from payment_gateway.operations.route_payment import ask_or_fail_over, decide_route
from payment_gateway.operations.saved_method import sealed_payer
from payment_gateway.store import routing_decisions
from payment_gateway.store.commit import Commit, Effects, Locked
from payment_gateway.store.routing_decisions import RoutingDecision
from platform_kit import canonical
from platform_kit.clock import isoformat
from platform_kit.idempotency import Claim

Begin = Callable[[Locked], Payment]
"""The payment as it enters PROCESSING, from the locked row or from nothing. Raises a domain refusal."""


async def charge_payment(
    deps: Deps, wanted: Claim, payment: Payment, begin: Begin, *, event: str, is_new: bool
) -> Answer:
    """The payment as it stands after the channel was asked: 201 (200 when it was created before) when that is final or
    up to the payer, else 202. `payment` is what is to be charged, as known now; `wanted.subject` names the attempt.

    Raises KeyReused, KeyInProgress, NoChannel, NotCommitted (nothing was charged), CommitUnknown.
    """
    assert payment.method is not None
    payer = await _payer(deps, payment)
    assessment = await deps.risk.assess(_assessment_request(deps, payment, payer, wanted.key))
    try:
        routing = _route(deps, payment, assessment, wanted.subject)
    except NoRoute:
        if stored := await find_stored(deps, wanted):
            return stored
        raise NoChannel() from None
    canonical.add(
        payment_id=payment.id,
        decision=assessment.decision,
        channel=routing.route.channel if routing else None,
    )
    commit = _commit_a(wanted, None if is_new else payment.id, begin, assessment, routing, event)
    done = await claim(deps, commit)
    if isinstance(done, Answer):
        return done
    assert done.payment is not None
    if done.payment.status is not Status.PROCESSING:
        if done.response is None:  # our COMMIT's answer was lost, and a resolver has taken over meanwhile
            return accepted(payment_object(done.payment))
        return Answer(done.response.status, done.response.body)
    details = {
        "method": payment.method,
        "capture": _captures_at_once(payment, assessment),
        "challenge": assessment.decision is Decision.CHALLENGE,
        "statement_descriptor": payment.statement_descriptor,
        "fault": payment.metadata.get("sandbox_fault") if deps.settings.sandbox else None,
    }
    attempt = done.attempt or _attempt(done.payment, wanted)
    # Shielded: a client who hangs up must not leave a question open that was answered.
    assert routing is not None
    return await asyncio.shield(ask_or_fail_over(deps, payment, attempt, details, routing))


def _route(deps: Deps, payment: Payment, assessment: Assessment, attempt_id: str) -> RoutingDecision | None:
    """The channel, or None for a payment that risk blocked and no channel will see. Raises NoRoute."""
    if assessment.decision is Decision.BLOCK:
        return None
    return decide_route(deps, payment, attempt_id, holds=not _captures_at_once(payment, assessment))


def _captures_at_once(payment: Payment, assessment: Assessment) -> bool:
    """What risk wants reviewed is held and waits for the merchant's capture or void."""
    return payment.capture == "automatic" and assessment.decision is not Decision.REVIEW


def _commit_a(
    wanted: Claim,
    payment_id: str | None,
    begin: Begin,
    assessment: Assessment,
    routing: RoutingDecision | None,
    event: str,
) -> Commit:
    """Claim, payment, attempt and events; a blocked payment ends here, response included."""

    def decide(locked: Locked) -> Effects:
        payment = begin(locked)
        if routing is None:
            blocked = machine.declined(payment, "risk_blocked", locked.now, risk=assessment.as_object())
            told = payment_event("payment.declined.v1", blocked)
            status = created_status((wanted.scope, wanted.key))
            return Effects(payment=blocked, events=(told,), response=payment_response(blocked, status))
        payment = machine.open_attempt(
            payment, wanted.subject, locked.now, channel=routing.route.channel, risk=assessment.as_object()
        )
        attempt = _attempt(payment, wanted)
        told = payment_event(event, payment, attempt=attempt, route=routing.route.as_object())
        return Effects(payment=payment, attempt=attempt, rows=((routing_decisions, routing),), events=(told,))

    return Commit(decide, payment_id=payment_id, claim=wanted, refusal_response=stored_refusal)


def _attempt(payment: Payment, wanted: Claim) -> Attempt:
    assert payment.channel is not None
    return Attempt(
        id=wanted.subject,
        payment_id=payment.id,
        operation=Operation.AUTHORISE,
        channel=payment.channel,
        amount_minor=payment.amount_minor,
        surcharge_minor=payment.surcharge_minor,
        currency=payment.currency,
        sent_at=payment.updated_at,
        claim=(wanted.scope, wanted.key),
    )


async def _payer(deps: Deps, payment: Payment) -> dict[str, Any]:
    """What risk is told of who pays: known by token, what rules count and compare in clear for this one question.

    Somebody who had an id keeps the token: erased since, or still in clear as an older version kept them.
    """
    customer = payment.customer
    if customer and not is_sealed(customer):
        customer = await sealed_payer(deps, payment.merchant_id, payment.id, customer)
    if not customer:
        return {}
    told: dict[str, Any] = await deps.subjects.opened(payment.merchant_id, customer)
    return told | {"id": customer["subject"] if told.get("id") or told == ERASED else None}


def _assessment_request(deps: Deps, payment: Payment, payer: Mapping[str, Any], key: str) -> dict[str, Any]:
    assert payment.method is not None
    return {
        "merchant_id": payment.merchant_id,
        "idempotency_key": key,
        "payment_id": payment.id,
        "amount_minor": payment.amount_minor,
        "currency": payment.currency,
        "method": payment.method["type"],
        **_card(payment.method),
        "customer": {name: payer.get(name) for name in ("id", "country", "ip", "device_id", "email")},
        "occurred_at": isoformat(deps.clock.now()),
    }


def _card(method: Mapping[str, Any]) -> dict[str, str | None]:
    """What risk is told of a card: what tells it apart, its first six digits, its issuer's country."""
    token = method.get("token")
    shown = shown_token(token) if token and "payment_method" not in method else {}
    return {
        "card": method.get("identity") or token,
        "card_bin": method.get("bin") or shown.get("bin"),
        "card_country": method.get("country") or shown.get("country"),
    }
