"""A payment as the platform's operators see it, whosever it is."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from payment_gateway.domain.objects import payment_told
from payment_gateway.domain.payment import Payment
from payment_gateway.operations.deps import Deps
from payment_gateway.store import payment_history
from platform_kit.clock import isoformat
from platform_kit.ids import is_id
from platform_kit.problems import NotFound


async def find_overseen_payment(deps: Deps, payment_id: str) -> Payment:
    """Raises NotFound."""
    payment = None
    if is_id("pay", payment_id):
        async with deps.engine.connect() as connection:
            payment = await payment_history.find(connection, payment_id)
    if payment is None:
        raise NotFound("No payment has this id.")
    return payment


async def look_into_payment(deps: Deps, payment_id: str) -> dict[str, Any]:
    """The payment, and what became of it: routes with reasons, attempts, webhook deliveries, operators' acts. Raises
    NotFound."""
    payment = await find_overseen_payment(deps, payment_id)
    async with deps.engine.connect() as connection:
        history = await payment_history.of_payment(connection, payment)
    return {
        "object": "payment_history",
        "payment": payment_told(payment),
        **{name: [_told(row) for row in rows] for name, rows in history.items()},
    }


def _told(row: dict[str, Any]) -> dict[str, Any]:
    return {name: isoformat(value) if isinstance(value, datetime) else value for name, value in row.items()}
