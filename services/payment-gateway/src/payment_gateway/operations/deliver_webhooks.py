"""Send what is due to merchants' servers, so that a slow one hurts nobody else.

    claim     a short transaction: a few deliveries of each endpoint that is not busy, leased for a minute
    send      no transaction: all of them at once, each bounded in time and place (clients/egress.py)
    record    a short transaction: what came of them, as soon as some are back

A crash after the claim gives the deliveries back when their lease ends; the receiver dedupes by `webhook-id`.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from payment_gateway.domain.webhook import Answer, Dead, Delivered, Gone, Retry, next_step, signed_headers
from payment_gateway.store import webhooks
from payment_gateway.store.webhooks import AttemptRecord, DueDelivery
from platform_kit import canonical

if TYPE_CHECKING:
    from payment_gateway.operations.deps import Deps

IN_FLIGHT_MAX: Final = 100  # of one process
PER_ENDPOINT_MAX: Final = (
    10  # claimed at once of one endpoint, and only while it has fewer than this in flight
)
RUN_S: Final = 30.0  # then this run takes no more; well below the task's limit of 60 s
LOOK_EVERY_S: Final = 0.5  # for new ones while slow receivers keep the run open
GATHER_S: Final = 0.02  # lets answers that come together be recorded together

Sending = asyncio.Task[tuple[DueDelivery, Answer]]


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
    sending: set[Sending] = set()
    in_flight: Counter[str] = Counter()
    made = 0
    try:
        while True:
            if time.monotonic() < stop_at_s:
                for delivery in await _claim(deps, IN_FLIGHT_MAX - len(sending), in_flight):
                    in_flight[delivery.endpoint_id] += 1
                    sending.add(asyncio.create_task(_send(deps, delivery)))
            if not sending:
                return made
            done, sending = await _some_of(sending)
            results = [task.result() for task in done]
            await _record(deps, results)
            in_flight.subtract(delivery.endpoint_id for delivery, _ in results)
            made += len(results)
    finally:
        for task in sending:  # only when this run is cancelled: their leases give them back
            task.cancel()


async def _claim(deps: Deps, room: int, in_flight: Counter[str]) -> list[DueDelivery]:
    if room <= 0:
        return []
    busy = [endpoint for endpoint, count in in_flight.items() if count >= PER_ENDPOINT_MAX]
    async with deps.engine.begin() as connection:
        return await webhooks.claim_due(connection, room, PER_ENDPOINT_MAX, busy)


async def _send(deps: Deps, delivery: DueDelivery) -> tuple[DueDelivery, Answer]:
    """One attempt, signed anew: the id stays, the timestamp is the attempt's own."""
    signed_at_s = int(deps.clock.now().timestamp())
    signed = signed_headers(delivery.secrets, delivery.event_id, signed_at_s, delivery.body)
    headers = {"Content-Type": "application/json", **signed}
    return delivery, await deps.webhooks.send(delivery.url, headers, delivery.body)


async def _some_of(sending: set[Sending]) -> tuple[set[Sending], set[Sending]]:
    """(finished, still going) once some have finished, or it is time to look for new ones."""
    await asyncio.wait(sending, timeout=LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.sleep(GATHER_S)
    done = {task for task in sending if task.done()}
    return done, sending - done


async def _record(deps: Deps, results: Sequence[tuple[DueDelivery, Answer]]) -> None:
    if not results:
        return
    records = [_record_of(deps, delivery, answer) for delivery, answer in results]
    gone = {delivery.endpoint_id for delivery, answer in results if answer.status == 410}
    async with deps.engine.begin() as connection:
        await webhooks.record_attempts(connection, records)
        if gone:
            await webhooks.disable_endpoints(connection, gone)


def _record_of(deps: Deps, delivery: DueDelivery, answer: Answer) -> AttemptRecord:
    step = next_step(answer, delivery.attempts + 1, deps.clock.now())
    match step:
        case Delivered():
            status, pause = "delivered", None
        case Retry(after=pause):
            status = "due"
        case Dead() | Gone():
            status, pause = "dead", None
    return AttemptRecord(delivery.id, status, answer.status, answer.error, pause)
