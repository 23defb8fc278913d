"""Send what is due to merchants' servers, so that a slow one hurts nobody else.

    claim     a short transaction: of each endpoint as many as it has places for (domain/webhook_flow.py), leased
    send      no transaction: all of them at once, each bounded in time and place (clients/egress.py)
    record    a short transaction: what came of them, as soon as some are back

A crash after the claim gives the deliveries back when their lease ends; the receiver dedupes by `webhook-id`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import orjson

from payment_gateway.domain.personal_data import Named, Subject, of_merchant, opened, subjects_in, with_payer
from payment_gateway.domain.versions import VERSION_HEADER
from payment_gateway.domain.webhook import Answer, Dead, Delivered, Gone, Retry, next_step
from payment_gateway.domain.webhook_flow import PLACES_MAX, Flow
from payment_gateway.domain.webhook_keys import headers_of
from payment_gateway.domain.webhook_style import NATIVE, StoredEvent, render_event, style_headers
from payment_gateway.operations.disable_webhook_endpoints import disable_webhook_endpoints
from payment_gateway.operations.webhook_attempts import attempts_event
from payment_gateway.operations.webhook_metrics import observe_attempt
from payment_gateway.operations.webhook_secrets import opened_keys
from payment_gateway.store import webhook_endpoints, webhooks
from payment_gateway.store.tables import outbox
from payment_gateway.store.webhooks import AttemptRecord, DueDelivery
from platform_kit import canonical
from platform_kit.logging import get_logger
from platform_kit.outbox import append

if TYPE_CHECKING:
    from payment_gateway.operations.deps import Deps

IN_FLIGHT_MAX: Final = 200  # of one process, which is also as many connections
RUN_S: Final = (
    10.0  # then this run takes no more: with the last answer it ends within the worker's drain (35 s)
)
LOOK_EVERY_S: Final = 0.5  # for new ones while slow receivers keep the run open
GATHER_S: Final = 0.01  # lets answers that come together be recorded together

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Attempted:
    """One attempt that was made, and how long the receiver took."""

    delivery: DueDelivery
    answer: Answer
    seconds: float


async def deliver_webhooks(deps: Deps) -> int:
    """Send until nothing is due; returns how many attempts were made. One run per process: a second one leaves."""
    if deps.webhooks.delivering.locked():
        return 0
    async with deps.webhooks.delivering:
        made = await _deliver_all(deps)
    canonical.add(webhook_attempts=made)
    return made


async def _deliver_all(deps: Deps) -> int:
    stop_at_s = time.monotonic() + RUN_S
    sending: set[asyncio.Task[Attempted]] = set()
    flow = Flow()
    made = 0
    try:
        while True:
            if time.monotonic() < stop_at_s:
                sending |= await _start(deps, IN_FLIGHT_MAX - len(sending), flow)
            if not sending:
                return made
            done, sending = await _some_of(sending)
            await _record(deps, done, flow)
            made += len(done)
    finally:
        for task in sending:  # only when this run is cancelled: their leases give them back
            task.cancel()


async def _start(deps: Deps, room: int, flow: Flow) -> set[asyncio.Task[Attempted]]:
    """Claim what is due and has a place, and set it on its way."""
    if room <= 0:
        return set()
    async with deps.engine.begin() as connection:
        found = await webhooks.claim_due(connection, room, PLACES_MAX, flow.free())
        claimed = [delivery for delivery in found if delivery.enabled]
        if disabled := {delivery.endpoint_id for delivery in found if not delivery.enabled}:
            # The fan-out had read the endpoint just before it was disabled.
            await webhook_endpoints.drop_due(connection, disabled)
    payers, claimed = await _payers(deps, claimed)
    for delivery in claimed:
        flow.take(delivery.endpoint_id)
    return {asyncio.create_task(_send(deps, delivery, payers)) for delivery in claimed}


async def _payers(
    deps: Deps, claimed: list[DueDelivery]
) -> tuple[Mapping[Named, Subject], list[DueDelivery]]:
    """The keys of who is told of, by one statement, and what can be sent. That the vault does not answer is no failure
    of an endpoint: what names somebody waits until its lease ends, the rest is sent."""
    try:
        named = {subject for one in claimed for subject in _named_in(one.event)}
        return await deps.subjects.of_all(named), claimed
    except Exception:
        log.exception("webhooks wait for the vault")
        return {}, [one for one in claimed if one.event.customer is None]


def _named_in(event: StoredEvent) -> set[Named]:
    """Who pays, as its merchant's: a token of another merchant's names nobody."""
    return {(str(event.merchant_id), subject) for subject in subjects_in(event.customer)}


async def _send(deps: Deps, delivery: DueDelivery, payers: Mapping[Named, Subject]) -> Attempted:
    """One attempt, signed anew: the id stays, the timestamp is the attempt's own."""
    started = time.monotonic()
    try:
        event = _with_payer(delivery.event, payers)
        headers, body = _message(deps, replace(delivery, event=event))
    except Exception:  # a renderer's bug about one event must not stop everybody else's
        log.exception("webhook not rendered", delivery_id=delivery.id, event_id=delivery.event.id)
        return Attempted(delivery, Answer(error="not-rendered"), 0.0)
    answer = await deps.webhooks.send(delivery.url, headers, body)
    return Attempted(delivery, answer, time.monotonic() - started)


def _with_payer(event: StoredEvent, payers: Mapping[Named, Subject]) -> StoredEvent:
    """The event with who pays, as its merchant told us; nothing of that is written anywhere on the way."""
    if event.customer is None:
        return event
    data = with_payer(orjson.loads(event.data), event.customer)
    theirs = of_merchant({one: payers[one] for one in _named_in(event) if one in payers}, event.merchant_id)
    return replace(event, data=orjson.dumps(opened(data, theirs)).decode())


def _message(deps: Deps, delivery: DueDelivery) -> tuple[dict[str, str], bytes]:
    """Headers and body of one attempt."""
    now = deps.clock.now()
    at_s = int(now.timestamp())
    live = [delivery.keys, *(one.keys for one in delivery.retiring if one.expires_at > now)]
    keys = opened_keys(deps.vault, delivery.endpoint_id, live)
    body = render_event(delivery.style, delivery.event)
    signed = headers_of(keys, delivery.event.message_id, at_s, body)
    extra = style_headers(delivery.style, [one.secret for one in keys], at_s, body)
    if delivery.style == NATIVE:
        extra[VERSION_HEADER] = delivery.event.shown_at
    return {"Content-Type": "application/json", **signed, **extra}, body


async def _some_of(
    sending: set[asyncio.Task[Attempted]],
) -> tuple[list[Attempted], set[asyncio.Task[Attempted]]]:
    """(finished, still going) once some have finished, or it is time to look for new ones."""
    await asyncio.wait(sending, timeout=LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.sleep(GATHER_S)
    done = {task for task in sending if task.done()}
    return [task.result() for task in done], sending - done


async def _record(deps: Deps, done: Sequence[Attempted], flow: Flow) -> None:
    if not done:
        return
    records = [_record_of(deps, attempted) for attempted in done]
    gone = {attempted.delivery.endpoint_id for attempted in done if attempted.answer.status == 410}
    well = {
        attempted.delivery.endpoint_id
        for attempted, record in zip(done, records, strict=True)
        if record.status == "delivered"
    }
    ill = {attempted.delivery.endpoint_id for attempted in done} - well
    told = attempts_event(zip([one.delivery for one in done], records, strict=True), deps.clock.now())
    async with deps.engine.begin() as connection:
        await webhooks.record_attempts(connection, records)
        await append(connection, outbox, [told])
        if well:
            await webhook_endpoints.note_success(connection, well)
        if ill:
            failing = await webhook_endpoints.note_failure(connection, ill)
            await disable_webhook_endpoints(connection, deps.vault, set(failing) - gone, "failing")
        await disable_webhook_endpoints(connection, deps.vault, gone, "gone")
    for attempted, record in zip(done, records, strict=True):
        succeeded = record.status == "delivered"
        flow.give_back(attempted.delivery.endpoint_id, succeeded=succeeded, seconds=attempted.seconds)
        observe_attempt(
            attempted.answer,
            attempted.seconds,
            is_dead=record.status == "dead",
            first=attempted.delivery.first,
        )
        if record.status == "dead":
            log.warning(
                "webhook given up",
                delivery_id=record.id,
                endpoint_id=attempted.delivery.endpoint_id,
                event_id=attempted.delivery.event.id,
                last_status_code=record.status_code,
                last_error=record.error,
            )


def _record_of(deps: Deps, attempted: Attempted) -> AttemptRecord:
    delivery, answer = attempted.delivery, attempted.answer
    step = next_step(answer, delivery.attempts + 1, deps.clock.now())
    match step:
        case Delivered():
            status, pause = "delivered", None
        case Retry(after=pause):
            status = "due"
        case Dead() | Gone():
            status, pause = "dead", None
    return AttemptRecord(
        id=delivery.id,
        cycle=delivery.cycle,
        number=delivery.attempts + 1,
        status=status,
        status_code=answer.status,
        error=answer.error,
        pause=pause,
        seconds=attempted.seconds,
    )
