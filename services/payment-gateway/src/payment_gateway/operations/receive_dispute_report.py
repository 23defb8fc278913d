"""A channel reports a dispute: opened, escalated, decided. Duplicates and latecomers are stored and change nothing;
what comes too early waits for what it comes after.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from payment_gateway.domain import dispute as machine
from payment_gateway.domain.dispute import Dispute, DisputeChange, DisputeEvent, DisputeStatus
from payment_gateway.domain.payment import Payment
from payment_gateway.operations.change_dispute import commit_of_change
from payment_gateway.operations.deps import Deps
from payment_gateway.store import attempts, disputes, payments
from payment_gateway.store.commit import ChannelEventReceived, Done, Locked
from platform_kit import canonical
from platform_kit.problems import InvalidRequest, NotFound

EVIDENCE_TIME: Final = timedelta(days=7)
REFERENCE: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
REASON: Final = re.compile(r"[a-z0-9_]{1,64}")
OPENS: Final = {"warning": DisputeStatus.WARNING, "needs_response": DisputeStatus.NEEDS_RESPONSE}
MOVES: Final = {
    "needs_response": DisputeEvent.ESCALATE,
    "closed": DisputeEvent.CLOSE,
    "won": DisputeEvent.WIN,
    "lost": DisputeEvent.LOSE,
}


async def receive_dispute_report(
    deps: Deps, channel: str, event_id: str, body: Mapping[str, Any], raw: bytes
) -> None:
    """Durable when this returns. `body` is verified: {"dispute", "original", "outcome", "amount_minor", "code"}.

    Raises InvalidRequest for what is not as agreed, NotFound for what does not fit yet: report it again.
    """
    reference, outcome = str(body.get("dispute", "")), str(body.get("outcome", ""))
    if not REFERENCE.fullmatch(reference) or outcome not in {*OPENS, *MOVES}:
        raise InvalidRequest("The report names no dispute, or says what we do not know.")
    payment, known = await _find(deps, channel, str(body.get("original", "")), reference)
    amount = body.get("amount_minor")
    if type(amount) is not int or amount <= 0 or body.get("currency") != payment.currency:
        raise InvalidRequest("The report's amount or currency is not the payment's.")
    if known is None and (outcome not in OPENS or not payment.captured_minor):
        raise NotFound("Not open, or nothing to dispute: report it again later.")  # out of order: sent again
    if known and known.status is DisputeStatus.WARNING and outcome in ("won", "lost"):
        raise NotFound(
            "An inquiry is not decided: report it again once it is a dispute."
        )  # out of order, too
    canonical.add(payment_id=payment.id, dispute=reference, outcome=outcome)
    dispute_id = dispute_id_of(payment.id, channel, reference)
    plan = await deps.terms.fee_plan_of(payment.merchant_id)

    def change(locked: Dispute | None, held: Payment, seen: Locked) -> DisputeChange | None:
        if locked is None:
            return machine.opened(_new(held, seen), held, seen.now, plan)
        event = MOVES.get(outcome)
        if event is None or not machine.is_news(locked, event):
            return None  # told before, or overtaken
        return machine.advanced(locked, held, event, seen.now, plan=plan, send_at=None)

    def _new(held: Payment, seen: Locked) -> Dispute:
        reason = str(body.get("code", ""))
        return Dispute(
            id=dispute_id,
            payment_id=held.id,
            merchant_id=held.merchant_id,
            channel=channel,
            channel_reference=reference,
            amount_minor=min(amount, held.captured_minor),
            currency=held.currency,
            reason=reason if REASON.fullmatch(reason) else "general",
            status=OPENS[outcome],
            evidence_due_at=seen.now + EVIDENCE_TIME,
            created_at=seen.now,
            updated_at=seen.now,
        )

    received = ChannelEventReceived(channel, event_id, None, raw)
    source = {"id": str(body["channel_key"]), "channel_reference": body.get("channel_reference")}
    commit = commit_of_change(payment, dispute_id, change, received=received, source=source)
    done = await deps.committer.submit(commit)
    assert isinstance(done, Done), f"a report is never refused: {done}"


def dispute_id_of(payment_id: str, channel: str, reference: str) -> str:
    """Always the same for a channel's dispute, so that two reports of one, at once, lock one row's id."""
    digest = hashlib.blake2b(f"{channel} {reference}".encode(), digest_size=4).hexdigest()
    return f"dp_{payment_id.removeprefix('pay_')}_{digest}"


async def _find(deps: Deps, channel: str, original: str, reference: str) -> tuple[Payment, Dispute | None]:
    async with deps.engine.connect() as connection:
        attempt = await attempts.get(connection, original)
        payment = await payments.get(connection, attempt.payment_id, merchant_id=None) if attempt else None
        known = await disputes.find(connection, channel, reference)
    if attempt is None or payment is None or attempt.channel != channel:
        raise NotFound("No payment of ours has this channel key.")
    if known and known.payment_id != payment.id:
        raise NotFound("The dispute belongs to another payment.")
    return payment, known
