"""Payments, their charges and their refunds, and what a decline is called."""

from __future__ import annotations

from typing import Any, Final

from payment_gateway.domain.personal_data import is_sealed, member_of
from payment_gateway.domain.stripe_objects.words import Object, epoch, stripe_id

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
        "canceled_at": epoch(payment["updated_at"]) if _STATUS[payment["status"]] == "canceled" else None,
        "cancellation_reason": "automatic" if payment["status"] == "expired" else None,
        "capture_method": payment["capture"],
        "client_secret": None,  # intents are confirmed by the merchant's server here
        "confirmation_method": "automatic",
        "created": epoch(payment["created_at"]),
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
        "created": epoch(refund["created_at"]),
        "currency": refund["currency"].lower(),
        "failure_reason": _failure_reason(refund),
        "metadata": refund.get("metadata") or {},
        "payment_intent": stripe_id("pi", refund["payment_id"]),
        "reason": refund["reason"],
        "status": refund["status"],
    }


def _failure_reason(refund: Object) -> str | None:
    """In Stripe's words, which are few; one that failed before we kept why is `unknown`."""
    if refund["status"] != "failed":
        return None
    return "declined" if refund.get("failure_code") == "refund_declined" else "unknown"


def payment_error(decline_code: str, charge_id: str | None) -> dict[str, Any]:
    """A decline as the client's CardError carries it."""
    return {
        "type": "card_error",
        "code": _CODES.get(decline_code, "card_declined"),
        "decline_code": _DECLINE_CODES.get(decline_code, decline_code),
        "message": _MESSAGE,
        "charge": charge_id,
    }


def _of_payer(payment: Object, name: str) -> Any:
    payer = payment.get("customer") or {}
    return member_of(payer, name) if is_sealed(payer) else payer.get(name)


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
