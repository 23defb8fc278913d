"""A channel reports by itself: verified over the raw bytes, stored once, told through the one transition function.

A report about something that we do not know (yet) is parked, and tried again until it has had its effect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from payment_gateway.clients.callbacks import InvalidSignature, verify_callback
from payment_gateway.clients.channel_alarms import (
    CONTRADICTIONS,
    contradiction,
    observe_parked,
    report_refused,
)
from payment_gateway.clients.channel_answers import RETURNED, outcome_of
from payment_gateway.domain.answer import SuccessOutOfTurn
from payment_gateway.domain.attempt import Unknown, checked
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.receive_dispute_report import receive_dispute_report
from payment_gateway.operations.record_answer import record
from payment_gateway.operations.record_return import record_return
from payment_gateway.store import attempts, parked_events, payments
from payment_gateway.store.commit import ChannelEventReceived
from payment_gateway.store.parked_events import ParkedEvent
from platform_kit import canonical
from platform_kit.body import loads_strict
from platform_kit.problems import NotFound, Problem

REPLAY_MAX = 50  # per run


async def receive_channel_event(deps: Deps, channel: str, headers: Mapping[str, str], raw: bytes) -> bool:
    """Durable when this returns; False = parked. A duplicate changes nothing.

    Raises InvalidSignature, StaleTimestamp, MalformedJson, or NotFound for a channel that we do not have.
    """
    if channel not in deps.channels:
        raise NotFound("There is no such channel.")
    secret = deps.settings.channel_secret.get_secret_value()
    if not secret:
        raise InvalidSignature("No CHANNEL_SECRET is set here, so no report can be believed.")
    event_id, body = verify_callback(secret, headers, raw)
    canonical.add(channel=channel, channel_event_id=event_id)
    event = ParkedEvent(channel, event_id, raw)
    waits_for = await _apply(deps, event, body)
    if waits_for is None:
        return True
    canonical.add(parked=waits_for)
    async with deps.engine.begin() as connection:
        await parked_events.park(connection, event, waits_for)
    return False


async def replay_parked_events(deps: Deps) -> int:
    """Try the parked reports that are due; returns how many have had their effect."""
    async with deps.engine.begin() as connection:
        due = await parked_events.claim_due(connection, REPLAY_MAX)
    done = sum(await asyncio.gather(*(_replay(deps, event) for event in due)))
    async with deps.engine.connect() as connection:
        observe_parked(*await parked_events.waiting(connection))
    canonical.add(replayed=done)
    return done


async def _replay(deps: Deps, event: ParkedEvent) -> bool:
    """False when it goes on waiting. What can never be applied waits as well, for a person."""
    body: dict[str, Any] = loads_strict(event.body)
    try:
        waits_for = await _apply(deps, event, body)
    except Problem as problem:
        report_refused(event.channel, event.event_id, problem.code)
        waits_for = f"refused: {problem.code}"
        async with deps.engine.begin() as connection:
            await parked_events.wait_for(connection, event, waits_for)
    if waits_for is not None:
        return False
    async with deps.engine.begin() as connection:
        await parked_events.unpark(connection, event)
    return True


async def _apply(deps: Deps, event: ParkedEvent, body: Mapping[str, Any]) -> str | None:
    """Record what a verified report says; a word for what it waits for when that cannot be recorded yet.

    Raises InvalidRequest for a report that is not as agreed.
    """
    if str(body.get("type", "")).startswith("dispute."):
        try:
            await receive_dispute_report(deps, event.channel, event.event_id, body, event.body)
        except NotFound:
            return "unknown-object"
        return None
    is_return = body.get("outcome") == RETURNED
    named = str(body["original"] if is_return and "original" in body else body["channel_key"])
    async with deps.engine.connect() as connection:
        attempt = await attempts.get(connection, named)
        payment = await payments.get(connection, attempt.payment_id, merchant_id=None) if attempt else None
    if attempt is None or payment is None or attempt.channel != event.channel:
        return "unknown-object"
    received = ChannelEventReceived(event.channel, event.event_id, attempt.id, event.body)
    if is_return:
        return await record_return(deps, payment.merchant_id, attempt, body, received)
    outcome = checked(outcome_of(body), attempt)
    if isinstance(outcome, Unknown) and outcome.code in CONTRADICTIONS:
        contradiction(event.channel, outcome.code)
    try:
        await record(deps, payment.merchant_id, attempt, outcome, received=received)
    except SuccessOutOfTurn:
        return "void-under-way"
    return None
