"""Money after the payment: balances and their movements, payouts, disputes."""

from __future__ import annotations

from typing import Any, Final

from payment_gateway.domain.stripe_objects.words import Object, epoch, stripe_id


def payout(payout: Object) -> dict[str, Any]:
    """A payout; one that came back is `failed` for Stripe's clients."""
    status = {"cancelled": "canceled", "returned": "failed"}.get(payout["status"], payout["status"])
    return {
        "id": payout["id"],
        "object": "payout",
        "amount": payout["amount_minor"],
        "arrival_date": epoch(payout["updated_at"]),
        "automatic": payout["slot"] is not None,
        "created": epoch(payout["created_at"]),
        "currency": payout["currency"].lower(),
        "description": payout.get("description"),
        "destination": payout["destination"],
        "failure_code": payout["failure_code"],
        "livemode": False,
        "metadata": payout.get("metadata") or {},  # one of before has none
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
        "available_on": epoch(line["created_at"]),
        "created": epoch(line["created_at"]),
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
        "created": epoch(dispute["created_at"]),
        "currency": dispute["currency"].lower(),
        "evidence": dispute["evidence"],
        "evidence_details": {
            "due_by": epoch(dispute["evidence_due_at"]),
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
