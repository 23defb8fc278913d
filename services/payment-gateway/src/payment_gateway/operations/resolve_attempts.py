"""Find out what became of questions whose answer is missing: UNKNOWN is resolved without a human (P5).

Runs every second. Whoever claims an attempt moves its `due_at` on, so that several resolvers share the work and one
that dies gives its work back. The channel is only ever asked about the attempt's own key: completed, never repeated.
"""

from __future__ import annotations

import asyncio

from payment_gateway.domain.attempt import REVERSALS, Attempt, Unknown
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.record_answer import record
from payment_gateway.operations.record_late_success import record_reversal
from payment_gateway.store import attempts, payments
from platform_kit import canonical

RESOLVE_MAX = 50  # per run: bounds the burst on a channel that has just come back
NEVER_RECEIVED = "not-found-yet"
CLOSE_AFTER_TRIES = 1  # asked once more after the first "never heard of it", then the key is closed


async def resolve_attempts(deps: Deps) -> int:
    """Ask about every attempt that is due; returns how many were looked at."""
    async with deps.engine.begin() as connection:
        due = await attempts.claim_due(connection, RESOLVE_MAX)
    canonical.add(resolved=len(due))
    ended = await asyncio.gather(
        *(resolve(deps, attempt, tries) for attempt, tries in due), return_exceptions=True
    )
    for error in filter(None, ended):  # when all others are through
        raise error
    return len(due)


async def resolve(deps: Deps, attempt: Attempt, tries: int) -> None:
    """Ask the channel about one attempt and record the answer.

    A channel that never received the question is told to close its key before we call it not processed: the question
    may still be on its way.
    """
    channel = deps.channels[attempt.channel]
    if attempt.operation in REVERSALS:  # ours alone to send, and done once under its key
        await record_reversal(deps, attempt, await channel.send(attempt, {}), tries)
        return
    outcome = await channel.ask(attempt)
    if outcome == Unknown(NEVER_RECEIVED) and tries >= CLOSE_AFTER_TRIES:
        outcome = await channel.close(attempt)
    async with deps.engine.connect() as connection:
        payment = await payments.get(connection, attempt.payment_id, merchant_id=None)
    assert payment is not None
    await record(deps, payment.merchant_id, attempt, outcome, tries=tries)
