"""Choose a channel and ask it; go on to the next one only where the first provably did nothing.

commit A (charge_payment) holds the first decision with its attempt. Each failover is one commit more, before the next
channel is asked: the first attempt's outcome, the next decision, and the next attempt "about to be sent". An UNKNOWN
outcome never fails over: the payer may have been charged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from payment_gateway.domain import payment as machine
from payment_gateway.domain.attempt import Attempt, Declined, NotProcessed, Outcome
from payment_gateway.domain.payment import Payment, Status
from payment_gateway.domain.routing import Facts, NoRoute, choose, seed_of
from payment_gateway.operations.answer_request import Answer
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.events import payment_event
from payment_gateway.operations.record_answer import record_and_answer
from payment_gateway.store import routing_decisions
from payment_gateway.store.commit import Commit, Done, Effects, Locked
from payment_gateway.store.routing_decisions import RoutingDecision
from platform_kit import canonical
from platform_kit.committer import CommitUnknown, NotCommitted

Details = Mapping[str, Any]


def decide_route(
    deps: Deps, payment: Payment, attempt_id: str, *, holds: bool, tried: tuple[str, ...] = ()
) -> RoutingDecision:
    """The channel for this attempt, with all that the choice was made of. Raises NoRoute."""
    assert payment.method is not None
    facts = Facts(
        payment_id=payment.id,
        merchant_id=payment.merchant_id,
        method=str(payment.method["type"]),
        currency=payment.currency,
        amount_minor=payment.amount_minor,
        holds=holds,
        seed=seed_of(payment.id, payment.version + len(tried)),
        closed=tuple(sorted(n for n in _named(deps) if not _is_open(deps, n))),
        tallies=deps.routing.tallies,
        tried=tried,
    )
    route = choose(facts, deps.routing.rules)
    return RoutingDecision(attempt_id, payment.id, deps.routing.digest, facts, route, deps.clock.now())


async def ask_or_fail_over(
    deps: Deps, payment: Payment, attempt: Attempt, details: Details, decision: RoutingDecision
) -> Answer:
    """The answer of the first channel that processed the payment, or what became of the last one that was tried."""
    first = attempt.id
    tried: tuple[str, ...] = ()
    while True:
        outcome = await deps.channels[attempt.channel].send(attempt, details)
        tried += (attempt.channel,)
        following = _following(deps, payment, outcome, decision, tried, f"{first}-{len(tried) + 1}")
        if following is None:
            return await record_and_answer(deps, payment.merchant_id, attempt, outcome)
        failed, attempt = attempt, replace(attempt, id=following.attempt_id, channel=following.route.channel)
        canonical.add(failed_over_from=failed.channel, channel=attempt.channel)
        if not await _marked(deps, failed, outcome, attempt, following):
            return await record_and_answer(deps, payment.merchant_id, failed, outcome)
        decision = following


def may_fail_over(outcome: Outcome, soft_declines: tuple[str, ...]) -> bool:
    """Whether another channel can be asked without a payer ever paying twice."""
    if isinstance(outcome, NotProcessed):
        return True
    return isinstance(outcome, Declined) and outcome.code in soft_declines


def _following(
    deps: Deps,
    payment: Payment,
    outcome: Outcome,
    last: RoutingDecision,
    tried: tuple[str, ...],
    attempt_id: str,
) -> RoutingDecision | None:
    rules = deps.routing.rules
    if len(tried) > rules.retry_budget or not may_fail_over(outcome, rules.soft_declines):
        return None
    try:
        return decide_route(deps, payment, attempt_id, holds=last.facts.holds, tried=tried)
    except NoRoute:
        return None


async def _marked(
    deps: Deps, failed: Attempt, outcome: Outcome, following: Attempt, decision: RoutingDecision
) -> bool:
    """Whether the next attempt is on record and may be sent: not when somebody else has decided the payment."""

    def decide(locked: Locked) -> Effects:
        payment = locked.payment
        assert payment is not None
        if payment.open_attempt_id != failed.id or payment.status is not Status.PROCESSING:
            return Effects()
        free = replace(payment, open_attempt_id=None)
        moved = machine.open_attempt(free, following.id, locked.now, channel=following.channel)
        sent = replace(following, sent_at=locked.now)
        told = payment_event(
            "payment.rerouted.v1", moved, attempt=failed, outcome=outcome, route=decision.route.as_object()
        )
        return Effects(
            payment=moved,
            answers=((failed, outcome, None),),
            attempt=sent,
            rows=((routing_decisions, decision),),
            events=(told,),
        )

    try:
        done = await deps.committer.submit(Commit(decide, payment_id=failed.payment_id))
    except NotCommitted:
        raise CommitUnknown() from None  # the first one is still open: the resolver ends it
    assert isinstance(done, Done), f"a failover is never refused: {done}"
    return done.attempt is not None


def _named(deps: Deps) -> set[str]:
    return set(deps.routing.rules.channels)


def _is_open(deps: Deps, name: str) -> bool:
    return name in deps.channels and deps.channels[name].is_open
