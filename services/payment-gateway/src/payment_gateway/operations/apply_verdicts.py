"""Carry out what people decided about payments under review: take the money that is held, or give the hold up.

    case.decided.v1  ->  review_verdict, in the transaction that moves the cursor          no network call
    review_verdict   ->  capture or cancel, as if the merchant had asked                   the one way that money moves
                     ->  outcome

The merchant may have acted first, and then the payment says so: nothing is repeated, and nothing is refunded by itself.
A crash in between leaves a verdict that is due again, and the payment's own state says what is left to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.payment import Payment, Status
from payment_gateway.operations.answer_request import Answer
from payment_gateway.operations.cancel_payment import cancel_payment
from payment_gateway.operations.capture_payment import capture_payment
from payment_gateway.operations.deps import Deps, open_deps
from payment_gateway.operations.mark_and_ask import Act
from payment_gateway.operations.problems import ChannelRefused
from payment_gateway.settings import Settings
from payment_gateway.store import payments, review_verdicts
from payment_gateway.store.review_verdicts import ReviewVerdict
from payment_gateway.store.tables import consumer_cursor
from platform_kit import canonical
from platform_kit.events import Event
from platform_kit.http import HttpClient
from platform_kit.idempotency import IdempotencyKey
from platform_kit.logging import get_logger
from platform_kit.problems import Problem
from platform_kit.redis import create_redis
from platform_kit.streams import StreamConsumer, events_api

DECIDED: Final = "case.decided.v1"
STREAM: Final = "events:risk"
CONSUMER: Final = "payment-gateway"
FETCH_TIMEOUT_S: Final = 10.0
PER_RUN: Final = 50
UNSEEN_FOR: Final = timedelta(hours=1)  # a payment that does not exist by then was never created
REFUSALS_MAX: Final = 8  # of the channel: over some minutes, then it is somebody's to look at

_WAITING: Final = frozenset({Status.PROCESSING, Status.UNKNOWN})
_TO_BE_LOOKED_AT: Final = frozenset(
    {"already_captured", "assessed_anew", "channel_refused", "unknown_payment"}
)
_HELD: Final = frozenset({Status.AUTHORISED, Status.PARTIALLY_CAPTURED})

log = get_logger(__name__)


async def keep_verdicts(conn: AsyncConnection, events: Sequence[Event]) -> None:
    """Keep the verdicts among the risk engine's events. Raises KeyError, TypeError or ValueError for one that is not
    what the contract says: it is set aside."""
    await review_verdicts.add(conn, [one for event in events for one in _verdicts_of(event)])


def _verdicts_of(event: Event) -> list[ReviewVerdict]:
    if event.type != DECIDED:
        return []
    case = event.data["case"]
    if case["verdict"] not in ("approve", "reject"):
        raise ValueError("a verdict that is neither approve nor reject")
    decided_at = datetime.fromisoformat(case["decided_at"])
    return [
        ReviewVerdict(case["id"], one["payment_id"], one["assessment_id"], case["verdict"], decided_at)
        for one in case["payments"]
    ]


@asynccontextmanager
async def open_following(settings: Settings) -> AsyncIterator[Deps]:
    """The deps of a worker, with the reader of the risk engine's events beside them. Of several workers one reads."""
    async with open_deps(settings) as deps:
        redis, stop = create_redis(settings.streams), asyncio.Event()
        async with HttpClient("risk", settings.risk_url, timeout_s=FETCH_TIMEOUT_S) as risk:
            consumer = StreamConsumer(
                deps.engine,
                redis,
                STREAM,
                CONSUMER,
                consumer_cursor,
                keep_verdicts,
                events_api(risk, settings.internal_token.get_secret_value()),
                quarantine=review_verdicts.quarantine,
            )
            reading = asyncio.create_task(consumer.run(stop), name="verdicts")
            try:
                yield deps
            finally:
                stop.set()
                reading.cancel()  # what it holds back is read again
                with suppress(asyncio.CancelledError):
                    await reading
                await redis.aclose()


async def apply_verdicts(deps: Deps) -> int:
    """Carry out the verdicts that are due; returns how many are finished."""
    async with deps.engine.begin() as connection:
        due = await review_verdicts.claim(connection, PER_RUN)
    finished = [await _apply(deps, verdict) for verdict in due]
    canonical.add(verdicts_due=len(due), verdicts_finished=sum(finished))
    return sum(finished)


async def _apply(deps: Deps, verdict: ReviewVerdict) -> bool:
    """One verdict; False when it is to be tried again."""
    async with deps.engine.connect() as connection:
        # By its assessment first: a request that was sent again after a lost answer made a payment with another id than
        # the one that was assessed.
        payment = await payments.assessed(connection, verdict.assessment_id) or await payments.get(
            connection, verdict.payment_id, None
        )
    outcome = _without_acting(verdict, payment, deps.clock.now())
    if outcome is None and payment is not None and payment.status not in _WAITING:
        outcome = await _act(deps, verdict, payment)
    if outcome is None:
        return False
    async with deps.engine.begin() as connection:
        await review_verdicts.finish(connection, verdict, outcome)
    told = log.warning if outcome in _TO_BE_LOOKED_AT else log.info
    told(
        "verdict carried out",
        case_id=verdict.case_id,
        payment_id=verdict.payment_id,
        verdict=verdict.verdict,
        outcome=outcome,
    )
    return True


def _without_acting(verdict: ReviewVerdict, payment: Payment | None, now: datetime) -> str | None:
    """The outcome where there is nothing to do."""
    if payment is None:
        return "unknown_payment" if now - verdict.decided_at > UNSEEN_FOR else None
    # None: the answer came too late, and the gateway held the payment by its own policy. It is still this case's.
    if (payment.risk or {}).get("assessment_id") not in (None, verdict.assessment_id):
        return "assessed_anew"  # tried again since, with another method: that is another case's
    match verdict.verdict, payment.status:
        case "approve", Status.CAPTURED:
            return "captured"
        case "approve", Status.AUTHORISED | Status.PARTIALLY_CAPTURED if payment.capture == "manual":
            return "left_to_merchant"
        case "reject", Status.CAPTURED:
            return "already_captured"  # a refund is the merchant's to make; the case says so
        case "reject", Status.VOIDED | Status.CANCELLED:
            return "given_up"
        case _, Status.VOIDED | Status.CANCELLED | Status.EXPIRED | Status.DECLINED | Status.FAILED:
            return "nothing_held"
    return None


async def _act(deps: Deps, verdict: ReviewVerdict, payment: Payment) -> str | None:
    """Capture or cancel. None = look again: somebody works on it, its outcome is not known yet, or it was refused."""
    if verdict.verdict == "approve" and payment.status not in _HELD:
        return None  # the payer is still to act
    # A key of its own for each try: a refusal of the channel today must not be the answer of tomorrow.
    key = IdempotencyKey(
        f"{verdict.case_id}.{payment.id}.{verdict.tries}",
        verdict.verdict.encode(),
        scope=f"{payment.merchant_id} review",
    )
    act = Act(payment.merchant_id, payment.id, key)
    try:
        answer = await (
            capture_payment(deps, act) if verdict.verdict == "approve" else cancel_payment(deps, act)
        )
    except Problem as refused:  # somebody else acts on it, or nothing can be committed or asked just now
        log.info("verdict waits", case_id=verdict.case_id, payment_id=payment.id, problem=refused.code)
        return None
    if answer.status == 200:
        return _done(verdict, answer)
    if not _is_refusal(answer):
        return None
    async with deps.engine.begin() as connection:
        refusals = await review_verdicts.refused(connection, verdict)
    return "channel_refused" if refusals >= REFUSALS_MAX else None


def _is_refusal(answer: Answer) -> bool:
    """Whether the channel said no. Everything else that is not done waits: for its outcome, the payer, another act."""
    return answer.status == ChannelRefused.status and answer.object["type"].endswith(
        f"/{ChannelRefused.code}"
    )


def _done(verdict: ReviewVerdict, answer: Answer) -> str:
    if verdict.verdict == "approve":
        return "captured"
    # A hold that was captured in part: the rest was given up, the part is the merchant's to refund.
    return "already_captured" if answer.object["status"] == Status.CAPTURED else "given_up"
