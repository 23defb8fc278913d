"""Payments by filters, a page at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from data_pipeline.domain.payment_filter import PaymentFilter
from data_pipeline.operations.deps import Deps
from data_pipeline.store import merchants as merchant_store
from data_pipeline.store import payment_list

PAGE: Final = 50
HIGHEST: Final = "pay_" + "z" * 26  # above every id: with a moment, all that were created until then


@dataclass(frozen=True, slots=True)
class PaymentPage:
    """`older` is the key to go on from, None at the end; `names` are merchants', those that are known. `looked_back_to`
    is set when the page is short of payments and older ones have not been looked at: of those since then, these are
    all that fit."""

    payments: list[dict[str, Any]]
    names: dict[str, str]
    older: tuple[datetime, str] | None
    looked_back_to: datetime | None = None


async def list_payments(
    deps: Deps, wanted: PaymentFilter, before: tuple[datetime, str] | None = None, limit: int = PAGE
) -> PaymentPage:
    """Newest first."""
    async with deps.engine.connect() as conn:
        found, looked_back_to = await payment_list.page(conn, wanted, before, limit + 1)
        names = await merchant_store.names(conn, (payment["merchant_id"] for payment in found[:limit]))
    if looked_back_to is not None:
        older = looked_back_to - timedelta.resolution, HIGHEST
        return PaymentPage(found, names, older, looked_back_to)
    last = found[limit - 1] if len(found) > limit else None
    return PaymentPage(found[:limit], names, (last["created_at"], last["payment_id"]) if last else None)
