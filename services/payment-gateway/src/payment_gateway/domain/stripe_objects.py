"""Native objects in Stripe's shapes. Pure: what the native API would show goes in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from payment_gateway.domain.personal_data import is_sealed, member_of

Object = Mapping[str, Any]


def stripe_id(prefix: str, native_id: str) -> str:
    """Ids as Stripe's clients know them: `pay_X` as `pi_X` or `ch_X`. The rest of an id is the same in both."""
    return f"{prefix}_{native_id.partition('_')[2]}"


_STATUS: Final = {
    "requires_payment_method": "requires_payment_method",
    "requires_confirmation": "requires_confirmation",
    "processing": "processing",
    "unknown": "processing",  # an outcome that is being found out is neither a success nor an error
    "requires_action": "requires_action",
    "authorised": "requires_capture",
    "partially_captured": "requires_capture",
    "captured": "succeeded",
    "declined": "requires_payment_method",
    "failed": "requires_payment_method",
    "cancelled": "canceled",
    "voided": "canceled",
    "expired": "canceled",
}
_CODES: Final = {
    "expired_card": "expired_card",
    "incorrect_cvc": "incorrect_cvc",
    "processing_error": "processing_error",
    "authentication_failed": "payment_intent_authentication_failure",
    "authentication_abandoned": "payment_intent_authentication_failure",
}
"""Our decline codes that are error codes of Stripe's own; all others are `card_declined`."""
_DECLINE_CODES: Final = {"card_declined": "generic_decline", "risk_blocked": "fraudulent"}
API_VERSION: Final = "2026-10-28.endive"  # the one that the official client of this shape pins

EVENT_TYPES: Final = {
    "payment.created.v1": "payment_intent.created",
    "payment.confirmed.v1": "payment_intent.processing",
    "payment.unknown.v1": "payment_intent.processing",
    "payment.requires_action.v1": "payment_intent.requires_action",
    "payment.authorised.v1": "payment_intent.amount_capturable_updated",
    "payment.captured.v1": "payment_intent.succeeded",  # charge.captured for a part of the hold
    "payment.declined.v1": "payment_intent.payment_failed",
    "payment.failed.v1": "payment_intent.payment_failed",
    "payment.cancelled.v1": "payment_intent.canceled",
    "payment.voided.v1": "payment_intent.canceled",
    "payment.expired.v1": "payment_intent.canceled",
    "refund.created.v1": "refund.created",
    "refund.succeeded.v1": "refund.updated",
    "refund.failed.v1": "refund.failed",
    "dispute.opened.v1": "charge.dispute.created",
    "dispute.updated.v1": "charge.dispute.updated",
    "dispute.won.v1": "charge.dispute.closed",
    "dispute.lost.v1": "charge.dispute.closed",
    "payout.created.v1": "payout.created",
    "payout.in_transit.v1": "payout.updated",
    "payout.paid.v1": "payout.paid",
    "payout.failed.v1": "payout.failed",
    "payout.returned.v1": "payout.failed",
    "payout.cancelled.v1": "payout.canceled",
}
"""Our event types in Stripe's words; those without one keep their own."""

_MESSAGE: Final = "Your card was declined."  # one text for every decline: no oracle for who tests cards


def payment_intent(payment: Object) -> dict[str, Any]:
    """A payment as a payment intent. Amounts are minor units in both."""
    method = payment.get("method") or {}
    charge = _charge_id(payment)
    return {
        "id": stripe_id("pi", payment["id"]),
        "object": "payment_intent",
        "amount": payment["amount_minor"],
        "amount_capturable": _capturable(payment),
        "amount_received": payment["captured_minor"],
        "canceled_at": _epoch(payment["updated_at"]) if _STATUS[payment["status"]] == "canceled" else None,
        "cancellation_reason": "automatic" if payment["status"] == "expired" else None,
        "capture_method": payment["capture"],
        "client_secret": None,  # intents are confirmed by the merchant's server here
        "confirmation_method": "automatic",
        "created": _epoch(payment["created_at"]),
        "currency": payment["currency"].lower(),
        "customer": _of_payer(payment, "id"),
        "description": payment["description"],
        "last_payment_error": _last_error(payment),
        "latest_charge": charge,
        "livemode": False,
        "metadata": payment["metadata"],
        "next_action": _next_action(payment.get("next_action")),
        "payment_method": method.get("payment_method") or method.get("token_hint"),
        "payment_method_types": [method.get("type", "card")],
        "receipt_email": _of_payer(payment, "email"),
        "statement_descriptor": payment.get("statement_descriptor"),
        "status": _STATUS[payment["status"]],
    }


def _of_payer(payment: Object, name: str) -> Any:
    payer = payment.get("customer") or {}
    return member_of(payer, name) if is_sealed(payer) else payer.get(name)


def charge(payment: Object) -> dict[str, Any]:
    """The read side of a payment whose channel was asked."""
    intent = payment_intent(payment)
    error = intent["last_payment_error"]
    is_paid = payment["authorised_minor"] > 0
    status = "succeeded" if is_paid else "failed" if error else "pending"
    return {
        "id": stripe_id("ch", payment["id"]),
        "object": "charge",
        "amount": payment["amount_minor"],
        "amount_captured": payment["captured_minor"],
        "amount_refunded": payment["refunded_minor"],
        "balance_transaction": None,
        "captured": payment["captured_minor"] > 0,
        "created": intent["created"],
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": payment.get("disputed_minor", 0) > 0,
        "failure_code": error["code"] if error else None,
        "failure_message": error["message"] if error else None,
        "livemode": False,
        "metadata": intent["metadata"],
        "outcome": _outcome(payment),
        "paid": is_paid,
        "payment_intent": intent["id"],
        "payment_method": intent["payment_method"],
        "payment_method_details": {
            intent["payment_method_types"][0]: (payment.get("method") or {}).get("shown")
        },
        "refunded": 0 < payment["captured_minor"] == payment["refunded_minor"],
        "statement_descriptor": intent["statement_descriptor"],
        "status": status,
    }


def refund(refund: Object) -> dict[str, Any]:
    """A refund; pending while its outcome is being found out."""
    return {
        "id": stripe_id("re", refund["id"]),
        "object": "refund",
        "amount": refund["amount_minor"],
        "charge": stripe_id("ch", refund["payment_id"]),
        "created": _epoch(refund["created_at"]),
        "currency": refund["currency"].lower(),
        "metadata": refund.get("metadata") or {},
        "payment_intent": stripe_id("pi", refund["payment_id"]),
        "reason": refund["reason"],
        "status": refund["status"],
    }


def customer(customer: Object) -> dict[str, Any]:
    """Somebody who pays more than once."""
    return {
        "id": customer["id"],
        "object": "customer",
        "created": _epoch(customer["created_at"]),
        "description": customer["description"],
        "email": customer["email"],
        "livemode": False,
        "metadata": customer["metadata"],
        "name": customer["name"],
    }


def payment_method(method: Object) -> dict[str, Any]:
    """A saved payment method; of a card the last four digits at most."""
    kind = method["type"]
    return {
        "id": method["id"],
        "object": "payment_method",
        "billing_details": {"address": None, "email": None, "name": None, "phone": None}
        | dict(method["billing_details"]),
        "created": _epoch(method["created_at"]),
        "customer": method["customer_id"],
        "livemode": False,
        "metadata": method["metadata"],
        "type": kind,
        kind: method.get(kind),
    }


def setup_intent(setup: Object) -> dict[str, Any]:
    """A setup intent."""
    error = payment_error(setup["decline_code"], None) if setup["decline_code"] else None
    status = "canceled" if setup["status"] == "cancelled" else setup["status"]
    return {
        "id": setup["id"],
        "object": "setup_intent",
        "cancellation_reason": None,
        "client_secret": None,
        "created": _epoch(setup["created_at"]),
        "customer": setup["customer_id"],
        "description": setup["description"],
        "last_setup_error": error,
        "livemode": False,
        "metadata": setup["metadata"],
        "next_action": {"type": "confirm_again"} if status == "requires_action" else None,
        "payment_method": setup["payment_method_id"],
        "payment_method_types": ["card"],
        "status": status,
        "usage": setup["usage"],
    }


def payout(payout: Object) -> dict[str, Any]:
    """A payout; one that came back is `failed` for Stripe's clients."""
    status = {"cancelled": "canceled", "returned": "failed"}.get(payout["status"], payout["status"])
    return {
        "id": payout["id"],
        "object": "payout",
        "amount": payout["amount_minor"],
        "arrival_date": _epoch(payout["updated_at"]),
        "automatic": payout["slot"] is not None,
        "created": _epoch(payout["created_at"]),
        "currency": payout["currency"].lower(),
        "destination": payout["destination"],
        "failure_code": payout["failure_code"],
        "livemode": False,
        "metadata": {},
        "method": "standard",
        "status": status,
        "type": "bank_account",
    }


def balance(balance: Object) -> dict[str, Any]:
    """Balances per currency. Disputed money is neither available nor pending."""

    def amounts(kind: str) -> list[dict[str, Any]]:
        return [
            {"amount": one[f"{kind}_minor"], "currency": one["currency"].lower()}
            for one in balance["balances"]
        ]

    return {
        "object": "balance",
        "available": amounts("available"),
        "pending": amounts("pending"),
        "livemode": False,
    }


def balance_transaction(line: Object) -> dict[str, Any]:
    """One movement of a balance."""
    return {
        "id": stripe_id("txn", line["id"]),
        "object": "balance_transaction",
        "amount": line["amount_minor"],
        "available_on": _epoch(line["created_at"]),
        "created": _epoch(line["created_at"]),
        "currency": line["currency"].lower(),
        "fee": line["fee_minor"],
        "fee_details": [],
        "net": line["net_minor"],
        "reporting_category": line["type"],
        "source": stripe_id("ch", line["payment_id"]) if line["payment_id"] else None,
        "status": "available" if line["available_minor"] else "pending",
        "type": line["type"],
    }


_DISPUTE_STATUS: Final = {"warning": "warning_needs_response"}


def dispute(dispute: Object) -> dict[str, Any]:
    """A dispute, and what the merchant has said about it."""
    return {
        "id": dispute["id"],
        "object": "dispute",
        "amount": dispute["amount_minor"],
        "charge": stripe_id("ch", dispute["payment_id"]),
        "created": _epoch(dispute["created_at"]),
        "currency": dispute["currency"].lower(),
        "evidence": dispute["evidence"],
        "evidence_details": {
            "due_by": _epoch(dispute["evidence_due_at"]),
            # an event does not hold it
            "has_evidence": bool(dispute["evidence"]) or dispute["status"] == "under_review",
            "submission_count": int(dispute["status"] == "under_review"),
        },
        "is_charge_refundable": dispute["status"] in ("warning", "warning_closed"),
        "livemode": False,
        "metadata": {},
        "payment_intent": stripe_id("pi", dispute["payment_id"]),
        "reason": dispute["reason"],
        "status": _DISPUTE_STATUS.get(dispute["status"], dispute["status"]),
    }


def event(event: Object) -> dict[str, Any]:
    """An event of ours, as `GET /v1/events` shows it, with the object that its type is about."""
    kind, shown = _event_object(event)
    return {
        "id": event["id"],
        "object": "event",
        "api_version": API_VERSION,
        "created": _epoch(event["occurred_at"]),
        "data": {"object": shown},
        "livemode": False,
        "pending_webhooks": 0,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }


def webhook_endpoint(endpoint: Object) -> dict[str, Any]:
    """Where a merchant wants to be told. The secret is there only when it was just made."""
    types = endpoint["event_types"]
    shown = {
        "id": endpoint["id"],
        "object": "webhook_endpoint",
        "api_version": API_VERSION,
        "created": _epoch(endpoint["created_at"]),
        "description": endpoint["description"],
        "enabled_events": ["*"] if types is None else [EVENT_TYPES.get(kind, kind) for kind in types],
        "livemode": False,
        "metadata": endpoint["metadata"],
        "status": "enabled" if endpoint["enabled"] else "disabled",
        "url": endpoint["url"],
    }
    return shown | ({"secret": endpoint["secret"]} if "secret" in endpoint else {})


def _event_object(event: Object) -> tuple[str, dict[str, Any]]:
    """Stripe's name of the event, and the object in it."""
    kind, data = event["type"], event["data"]
    name = EVENT_TYPES.get(kind, kind.removesuffix(".v1"))
    if kind == "payment.captured.v1" and data.get("payment") and data["payment"]["status"] != "captured":
        return "charge.captured", charge(data["payment"])
    noun = kind.partition(".")[0]
    if noun in _RENDERED and data.get(noun):
        return name, _RENDERED[noun](data[noun])
    return name, dict(data)


_RENDERED: Final[Mapping[str, Callable[[Object], dict[str, Any]]]] = {
    "payment": payment_intent,
    "refund": refund,
    "dispute": dispute,
    "payout": payout,
}
"""The noun of an event's type -> how the object of that name in its data is shown."""


def object_list(
    url: str, items: Iterable[Any], has_more: bool, render: Callable[[Object], dict[str, Any]]
) -> dict[str, Any]:
    """A page: auto-paging goes on with the last id while `has_more` is true."""
    return {
        "object": "list",
        "url": url,
        "data": [render(item) for item in items],
        "has_more": has_more,
    }


def payment_error(decline_code: str, charge_id: str | None) -> dict[str, Any]:
    """A decline as the client's CardError carries it."""
    return {
        "type": "card_error",
        "code": _CODES.get(decline_code, "card_declined"),
        "decline_code": _DECLINE_CODES.get(decline_code, decline_code),
        "message": _MESSAGE,
        "charge": charge_id,
    }


def _capturable(payment: Object) -> int:
    held = payment["status"] in ("authorised", "partially_captured")
    return int(payment["authorised_minor"] - payment["captured_minor"]) if held else 0


def _charge_id(payment: Object) -> str | None:
    return stripe_id("ch", payment["id"]) if payment["channel"] is not None else None


def _last_error(payment: Object) -> dict[str, Any] | None:
    if payment["status"] not in ("declined", "failed"):
        return None
    return payment_error(payment["decline_code"] or "processing_error", _charge_id(payment))


def _next_action(action: Object | None) -> dict[str, Any] | None:
    """A page to open, or a code to show."""
    if action is None:
        return None
    if "url" in action:
        return {
            "type": "redirect_to_url",
            "redirect_to_url": {"url": action["url"], "return_url": None},
        }
    return {"type": "display_qr_code", "display_qr_code": dict(action)}


def _outcome(payment: Object) -> dict[str, Any] | None:
    risk = payment.get("risk")
    if not risk:
        return None
    levels = {"allow": "normal", "challenge": "elevated", "review": "elevated", "block": "highest"}
    return {
        "network_status": "approved_by_network" if payment["authorised_minor"] else "not_sent_to_network",
        "risk_level": levels.get(risk["decision"], "not_assessed"),
        "risk_score": risk.get("score"),
        "type": "authorized" if payment["authorised_minor"] else "blocked",
    }


def _epoch(at: str) -> int:
    return int(datetime.fromisoformat(at).timestamp())
