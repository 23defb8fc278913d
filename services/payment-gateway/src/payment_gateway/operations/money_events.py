"""Events about disputes, payouts and settlement, with the whole object and the journal in them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from payment_gateway.domain.dispute import DisputeChange, DisputeStatus, dispute_object, step_key
from payment_gateway.domain.fx import Rate, rate_object
from payment_gateway.domain.ledger import Journal
from payment_gateway.domain.objects import journal_object, payment_told
from payment_gateway.domain.payout import PayoutChange, payout_object
from payment_gateway.domain.reserve import Reserve, reserve_object
from payment_gateway.domain.suspense import Suspense, suspense_object
from platform_kit.ids import new_id
from platform_kit.outbox import Event


def dispute_event(change: DisputeChange, journal: Journal | None, source: dict[str, Any] | None) -> Event:
    """`source` names the channel's own report, where one brought the change: the line of its file to match. Without one
    the line is known by its key alone."""
    dispute = change.dispute
    if source is None and dispute.status is DisputeStatus.LOST:
        source = {"id": step_key(dispute), "channel_reference": None}
    assert change.event is not None
    data = {
        "dispute": dispute_object(dispute)
        | {"evidence": {}},  # who paid stands in there: for the bank, not for events
        "payment": payment_told(change.payment),
        "journal": journal_object(journal),
        "attempt": source,
    }
    return _event(change.event, dispute.payment_id, dispute.merchant_id, data, dispute.updated_at)


def payout_event(change: PayoutChange, journal: Journal | None) -> Event:
    payout = change.payout
    data = {"payout": payout_object(payout), "journal": journal_object(journal)}
    return _event(change.event, payout.id, payout.merchant_id, data, payout.updated_at)


def settlement_event(merchant_id: str, journal: Journal, at: datetime) -> Event:
    data = {"journal": journal_object(journal)}
    return _event("balance.settled.v1", journal.id, merchant_id, data, at)


def reserve_event(kind: str, reserve: Reserve, journal: Journal, at: datetime) -> Event:
    data = {"reserve": reserve_object(reserve), "journal": journal_object(journal)}
    return _event(kind, reserve.id, reserve.merchant_id, data, at)


def costs_event(channel: str, charges: int, journal: Journal, at: datetime) -> Event:
    """The platform's own: no merchant is told."""
    data = {"channel": channel, "charges": charges, "journal": journal_object(journal)}
    return _event("channel.costs_booked.v1", f"channel:{channel}", None, data, at)


def suspense_event(kind: str, item: Suspense, journal: Journal, at: datetime) -> Event:
    """Told to the merchant whose it turned out to be, to nobody else."""
    data = {"suspense": suspense_object(item), "journal": journal_object(journal)}
    return _event(kind, item.id, item.resolved_merchant, data, at)


def conversion_event(merchant_id: str, journal: Journal, rate: Rate, at: datetime) -> Event:
    data = {"journal": journal_object(journal), "rate": rate_object(rate)}
    return _event("balance.converted.v1", journal.id, merchant_id, data, at)


def _event(
    kind: str, aggregate_id: str, merchant_id: str | None, data: dict[str, Any], at: datetime
) -> Event:
    return Event(
        id=new_id("evt"),
        type=kind,
        aggregate_id=aggregate_id,
        merchant_id=merchant_id,
        data=data,
        occurred_at=at,
    )
