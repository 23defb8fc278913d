"""A merchant with one of everything, so that another one can try to reach it."""

from __future__ import annotations

from gateway_rig import RunningGateway
from money_rig import disputed, set_terms
from sqlalchemy import text

from payment_gateway.operations.deliver_webhooks import deliver_webhooks
from payment_gateway.operations.settle_captures import settle_captures
from payment_gateway.store.tables import outbox
from platform_kit.outbox import Relay
from platform_kit.redis import create_redis

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def furnish(gateway: RunningGateway) -> dict[str, str]:
    """Name of a path parameter -> the id that the gateway's own merchant has there; the facade's as `stripe:<name>`."""
    await set_terms(gateway, settlement_delay_days=0, reserve={"basis_points": 1000, "days": 30})
    await gateway.captured()
    await settle_captures(gateway.deps)
    payment_id = await gateway.captured()
    dispute = await disputed(gateway, str((await gateway.pay("tok_dispute")).body["id"]))
    customer = await made(gateway, "/v1/customers", {"name": "Ada"})
    method = await made(gateway, "/v1/payment-methods", {"type": "card", "card": {"token": "tok_visa"}})
    await gateway.post(f"/v1/payment-methods/{method}/attach", {"customer_id": customer})
    endpoint = await made(gateway, "/v1/webhook-endpoints", {"url": gateway.url})
    sent = await gateway.post(f"/v1/webhook-endpoints/{endpoint}/test")
    await deliver_webhooks(gateway.deps)
    await not_again(gateway)
    for name in ("funding", "savings"):
        await gateway.post("/v1/ledger/accounts", {"name": name, "currency": "EUR"})
    line = {
        "debit_account": "funding",
        "credit_account": "savings",
        "amount_minor": 10,
        "currency": "EUR",
    }
    moved = await gateway.post("/v1/ledger/transfers", line)
    held = await gateway.post("/v1/ledger/transfers", line | {"pending": True})
    payout = await made(
        gateway, "/v1/payouts", {"amount_minor": 500, "currency": "EUR", "destination": "ba_pays"}
    )
    payer = {"payment_id": str((await gateway.pay(customer={"id": "ada-17"})).body["id"])}
    erasure = await made(gateway, "/v1/erasures", payer)
    refund = await made(gateway, f"/v1/payments/{payment_id}/refunds", {"amount_minor": 100})
    setup = await gateway.call(
        "POST", "/stripe/v1/setup_intents", raw=f"customer={customer}".encode(), headers=FORM
    )
    await settle_captures(gateway.deps)  # what another merchant's jobs would otherwise move later
    async with create_redis("redis://127.0.0.1:1/0") as nobody:  # numbered, not published
        await Relay(gateway.deps.engine, outbox, nobody, "none").assign()
    transactions = await gateway.call("GET", "/v1/balance-transactions")
    events = await gateway.call("GET", "/v1/events")
    event = str(events.body["data"][0]["id"])
    transaction = str(transactions.body["data"][0]["id"])
    return {
        "payment_id": payment_id,
        "refund_id": refund,
        "dispute_id": str(dispute["id"]),
        "payout_id": payout,
        "event_id": event,
        "endpoint_id": endpoint,
        "delivery_id": str(sent.body["delivery_id"]),
        "name": "savings",
        "hold_id": str(held.body["hold"]["id"]),
        "journal_id": str(moved.body["id"]),
        "key_id": await made(gateway, "/v1/api-keys", {}),
        "customer_id": customer,
        "erasure_id": erasure,
        "payment_method_id": method,
        "stripe:intent": payment_id.replace("pay_", "pi_"),
        "stripe:charge": payment_id.replace("pay_", "ch_"),
        "stripe:refund": refund.replace("rf_", "re_"),
        "stripe:customer": customer,
        "stripe:method": method,
        "stripe:setup": str(setup.body["id"]),
        "stripe:event": event,
        "stripe:endpoint": endpoint,
        "stripe:transaction": "txn_" + transaction.partition("_")[2],
        "stripe:payout": payout,
        "stripe:dispute": str(dispute["id"]),
    }


async def not_again(gateway: RunningGateway) -> None:
    """What was sent and failed is not due again for as long as a test may take, however slow the machine."""
    async with gateway.deps.engine.begin() as connection:
        await connection.execute(
            text(
                "UPDATE payments.webhook_delivery SET due_at = now() + interval '1 day' WHERE status = 'due'"
            )
        )


async def made(gateway: RunningGateway, path: str, body: dict[str, object]) -> str:
    reply = await gateway.post(path, body)
    assert reply.status in (200, 201), (path, reply.raw)
    return str(reply.body["id"])


def absent(an_id: str) -> str:
    """An id of the same kind that nobody has."""
    return an_id[:-1] + ("0" if an_id[-1] != "0" else "1")
