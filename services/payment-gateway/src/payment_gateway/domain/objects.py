"""The public shape of a payment and a refund: one for the API, the events, the webhooks and the stored responses."""

from __future__ import annotations

from typing import Any

from payment_gateway.domain.attempt import (
    ActionRequired,
    Attempt,
    Declined,
    NotProcessed,
    Outcome,
    Succeeded,
    Unknown,
)
from payment_gateway.domain.ledger import Journal
from payment_gateway.domain.ledger_hold import Hold
from payment_gateway.domain.payment import Payment
from payment_gateway.domain.personal_data import token_of
from payment_gateway.domain.refund import Refund
from platform_kit.clock import isoformat


def payment_object(payment: Payment) -> dict[str, Any]:
    """What a merchant sees of a payment, once `customer` is opened. Amounts in minor units of `currency`."""
    return {
        "id": payment.id,
        "object": "payment",
        "merchant_id": payment.merchant_id,
        "status": payment.status,
        "amount_minor": payment.amount_minor,
        "surcharge_minor": payment.surcharge_minor,
        "currency": payment.currency,
        "authorised_minor": payment.authorised_minor,
        "captured_minor": payment.captured_minor,
        "refunded_minor": payment.refunded_minor,
        "disputed_minor": payment.disputed_minor,
        "fee_minor": payment.fee_minor,
        "fee_returned_minor": payment.fee_returned_minor,
        "capture": payment.capture,
        "method": _method_object(payment),
        "channel": payment.channel,
        "reference": payment.reference,
        "description": payment.description,
        "statement_descriptor": payment.statement_descriptor,
        "decline_code": payment.decline_code,
        "next_action": payment.next_action,
        "risk": payment.risk,
        "customer": payment.customer,
        "metadata": payment.metadata,
        "version": payment.version,
        "created_at": isoformat(payment.created_at),
        "updated_at": isoformat(payment.updated_at),
    }


def payment_told(payment: Payment) -> dict[str, Any]:
    """A payment as events tell it: who pays by token, and no ciphertext, for events are kept where we erase nothing."""
    return payment_object(payment) | {"customer": token_of(payment.customer)}


def refund_object(refund: Refund) -> dict[str, Any]:
    """What a merchant sees of a refund."""
    return {
        "id": refund.id,
        "object": "refund",
        "payment_id": refund.payment_id,
        "amount_minor": refund.amount_minor,
        "fee_returned_minor": refund.fee_returned_minor,
        "surcharge_minor": refund.surcharge_minor,
        "currency": refund.currency,
        "status": refund.status,
        "failure_code": refund.failure_code,
        "reason": refund.reason,
        "metadata": refund.metadata,
        "created_at": isoformat(refund.created_at),
    }


def journal_object(journal: Journal | None) -> dict[str, Any] | None:
    """A journal as debit -> credit lines; account names are `owner:kind`."""
    if journal is None:
        return None
    return {
        "id": journal.id,
        "transfers": [
            {
                "debit": str(posting.debit),
                "credit": str(posting.credit),
                "amount_minor": posting.amount_minor,
                "currency": posting.debit.currency,
                "kind": posting.kind,
            }
            for posting in journal.postings
        ],
    }


def hold_object(hold: Hold) -> dict[str, Any]:
    """A hold of the ledger, amounts in minor units."""
    return {
        "id": hold.id,
        "object": "hold",
        "debit_account": hold.debit.kind,
        "credit_account": hold.credit.kind,
        "currency": hold.debit.currency,
        "amount_minor": hold.amount_minor,
        "posted_minor": hold.posted_minor,
        "released_minor": hold.released_minor,
        "remaining_minor": hold.remaining_minor,
        "expires_at": isoformat(hold.expires_at) if hold.expires_at else None,
        "state": hold.state,
    }


def attempt_object(attempt: Attempt, outcome: Outcome | None) -> dict[str, Any]:
    """One question to a channel and what came of it."""
    return {
        "id": attempt.id,
        "operation": attempt.operation,
        "channel": attempt.channel,
        "channel_reference": reference_of(outcome),
        "outcome": outcome_name(outcome),
    }


def outcome_name(outcome: Outcome | None) -> str | None:
    """The word under which an outcome is stored and told."""
    match outcome:
        case None:
            return None
        case Succeeded():
            return "succeeded"
        case Declined():
            return "declined"
        case ActionRequired():
            return "action_required"
        case NotProcessed():
            return "not_processed"
        case Unknown():
            return "unknown"


def reference_of(outcome: Outcome | None) -> str | None:
    """The channel's own name for what it did, where it gave one."""
    return outcome.reference if isinstance(outcome, Succeeded | Declined | ActionRequired) else None


def _method_object(payment: Payment) -> dict[str, Any] | None:
    """Of a card only the public stem of its token is shown: the whole token identifies the card."""
    if payment.method is None:
        return None
    if payment.method["type"] != "card":
        return dict(payment.method)
    if "payment_method" in payment.method:
        shown = payment.method.get("shown", {})
        return {"type": "card", "payment_method": payment.method["payment_method"], "card": shown}
    stem = "_".join(str(payment.method["token"]).split("_")[:2])
    return {"type": "card", "token_hint": stem}
