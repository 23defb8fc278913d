"""Capture, void or refund a payment in an operator's name. The gateway does it, and writes down who it was."""

from __future__ import annotations

from typing import Any

from data_pipeline.clients.service_api import ServiceAway, ServiceRefused
from data_pipeline.domain.operators import Operator
from data_pipeline.domain.payment_act import PaymentAct
from data_pipeline.operations.deps import Deps

_PATHS = {PaymentAct.CAPTURE: "capture", PaymentAct.VOID: "void", PaymentAct.REFUND: "refunds"}


async def act_on_payment(
    deps: Deps,
    operator: Operator,
    payment_id: str,
    act: PaymentAct,
    *,
    reason: str,
    amount_minor: int | None,
    key: str,
) -> Any:
    """The payment or refund as the gateway answers it. Raises ServiceRefused, ServiceAway."""
    body: dict[str, Any] = {"reason": reason}
    if amount_minor is not None and act is not PaymentAct.VOID:
        body["amount_minor"] = amount_minor
    path = f"/internal/payments/{payment_id}/{_PATHS[act]}"
    return await deps.gateway.act(path, operator, body, key=key)


async def ask_gateway(deps: Deps, operator: Operator, payment_id: str) -> dict[str, Any] | None:
    """What only the gateway knows of a payment; None when it does not say: the page goes on without."""
    try:
        told: dict[str, Any] = await deps.gateway.get(f"/internal/payments/{payment_id}", operator)
        return told
    except (ServiceAway, ServiceRefused):
        return None
