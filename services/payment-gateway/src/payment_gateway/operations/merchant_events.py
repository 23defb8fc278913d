"""Events about merchants, with the whole merchant and its terms in them: history is kept by whoever reads them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.merchant import StoredMerchant, merchant_object
from payment_gateway.store import terms
from payment_gateway.store.tables import outbox
from platform_kit.ids import new_id
from platform_kit.outbox import Event, append

CREATED: Final = "merchant.created.v1"
UPDATED: Final = "merchant.updated.v1"


async def tell_merchant(
    connection: AsyncConnection, kind: str, merchant: StoredMerchant, at: datetime
) -> None:
    """In the caller's transaction, which has the merchant's row locked or just made: so versions come in their order.

    The platform's own, sent to no merchant. Where payouts go is left out: that is nobody's but the bank's.
    """
    told = asdict(await terms.get(connection, merchant.id))
    del told["payout_destination"]
    event = Event(
        id=new_id("evt"),
        type=kind,
        aggregate_id=merchant.id,
        merchant_id=None,
        data={"merchant": merchant_object(merchant), "terms": told},
        occurred_at=at,
    )
    await append(connection, outbox, [event])
