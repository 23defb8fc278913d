"""What happened to one payment, step by step: from the event store, the facts and the journals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from data_pipeline.operations.deps import Deps
from data_pipeline.store import events as event_store
from data_pipeline.store import facts as fact_store
from data_pipeline.store import merchants as merchant_store
from platform_kit.ids import is_id
from platform_kit.problems import NotFound

TIMELINE_MAX: Final = 200  # events of one payment; a payment with many partial captures has some dozens


@dataclass(frozen=True, slots=True)
class PaymentStory:
    """A payment and all that is known of its way. Every list is in time order."""

    payment: dict[str, Any]
    events: list[dict[str, Any]]
    transfers: list[dict[str, Any]]
    refunds: list[dict[str, Any]]
    assessments: list[dict[str, Any]]
    merchant_name: str | None = None
    """What it is called now."""


async def show_payment(deps: Deps, payment_id: str) -> PaymentStory:
    """Raises NotFound; a payment of the last second may not have arrived yet."""
    if not is_id("pay", payment_id):
        raise NotFound("This is not the id of a payment.")
    async with deps.engine.connect() as conn:
        await conn.execution_options(isolation_level="REPEATABLE READ")
        payment = await fact_store.payment(conn, payment_id)
        if payment is None:
            raise NotFound("No event of this payment has arrived here.")
        assessments = await fact_store.assessments_of(conn, payment_id, payment["assessment_id"])
        aggregates = [payment_id, *(one["assessment_id"] for one in assessments)]
        names = await merchant_store.names(conn, [payment["merchant_id"]])
        return PaymentStory(
            payment=payment,
            events=await event_store.timeline(conn, aggregates, TIMELINE_MAX),
            transfers=await fact_store.transfers_of(conn, payment_id),
            refunds=await fact_store.refunds_of(conn, payment_id),
            assessments=assessments,
            merchant_name=names.get(payment["merchant_id"]),
        )
