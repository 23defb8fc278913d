"""Every event type that the gateway tells, and the shape of its `data`: the one list of them.

From here come `contracts/events/*.schema.json` (`make contracts`); the table of docs/webhooks.md is held to it, and so
is every event that a test makes happen. A type only ever gains members, and what is added later is optional: events
that are stored already do not have it, and are read again. `platform_kit.event_contract.breaks` is the whole rule.
"""

from __future__ import annotations

from typing import Final

from payment_gateway.api.schemas.answers import SCHEMAS
from payment_gateway.api.schemas.answers.ledger import POSTING
from payment_gateway.api.schemas.answers.words import CURRENCY, TIME, identifier, word
from payment_gateway.api.schemas.ledger import LINES_MAX
from payment_gateway.domain.attempt import Operation
from platform_kit.contract import ANYTHING, COUNT, SHARED, TEXT, Schema, items, nullable, ref, shape
from platform_kit.event_contract import document_of

_JOURNAL: Final = shape(
    {
        "id": identifier("je"),
        "transfers": items(POSTING) | {"maxItems": LINES_MAX},
    }
)
_ATTEMPT: Final = shape(
    {
        "id": TEXT | {"description": "our key at the channel"},
        "operation": word(*Operation),
        "channel": TEXT,
        "channel_reference": nullable(TEXT),
        "outcome": nullable(word("succeeded", "declined", "action_required", "not_processed", "unknown")),
    }
)
_SOURCE: Final = shape({"id": TEXT, "channel_reference": nullable(TEXT)})
_ROUTE: Final = shape(
    {
        "channel": TEXT,
        "reason": TEXT,
        "rule": TEXT,
        "candidates": items(shape({"channel": TEXT, "score": nullable({"type": "number"}), "reason": TEXT})),
    }
)
_RATE: Final = shape(
    {
        "sell": CURRENCY,
        "buy": CURRENCY,
        "numerator": COUNT,
        "denominator": COUNT,
        "source": TEXT,
        "at": TIME,
    }
)
_DEFINITIONS: Final = {
    **SHARED,
    **SCHEMAS,
    "Journal": _JOURNAL,
    "Attempt": _ATTEMPT,
    "Source": _SOURCE,
    "Route": _ROUTE,
    "Rate": _RATE,
}
_MOVES: Final = {"journal": nullable(ref("Journal"))}
_PAYMENT: Final = {
    "payment": ref("Payment"),
    "refund": nullable(ref("Refund")),
    **_MOVES,
    "attempt": nullable(ref("Attempt")),
}
_OF_PAYMENT: Final = shape(_PAYMENT)
_ROUTED: Final = shape(_PAYMENT | {"route": ref("Route")})
_MAYBE_ROUTED: Final = shape(
    _PAYMENT | {"route": ref("Route")}, optional=["route"]
)  # not before it is confirmed
_OF_REFUND: Final = shape(_PAYMENT | {"refund": ref("Refund")})
_OF_DISPUTE: Final = shape(
    {"dispute": ref("Dispute"), "payment": ref("Payment"), **_MOVES, "attempt": nullable(ref("Source"))}
)
_OF_PAYOUT: Final = shape({"payout": ref("Payout"), **_MOVES})
_OF_RESERVE: Final = shape({"reserve": ref("Reserve"), "journal": ref("Journal")})
_OF_SUSPENSE: Final = shape({"suspense": ref("Suspense"), "journal": ref("Journal")})
_TERMS: Final = shape(
    {
        "settlement_delay_days": COUNT,
        "settlement_currency": nullable(CURRENCY),
        "fee_plan": nullable(ANYTHING),
        "reserve": nullable(shape({"basis_points": COUNT, "days": COUNT})),
    }
)
_OF_MERCHANT: Final = shape({"merchant": ref("Merchant"), "terms": _TERMS})
_OF_TRANSFER: Final = shape({"transfer": ref("Transfer"), "journal": ref("Journal")})
_OF_HOLD: Final = shape({"hold": ref("Hold"), "journal": ref("Journal")})

_WEBHOOK_ATTEMPT: Final = shape(
    {
        "delivery_id": identifier("dlv"),
        "endpoint_id": identifier("we"),
        "merchant_id": identifier("mer"),
        "event_id": identifier("evt"),
        "event_type": TEXT,
        "cycle": COUNT | {"description": "1, and one more for each time it was sent again"},
        "number": COUNT | {"description": "within its cycle, from 1"},
        "status": word("delivered", "due", "dead") | {"description": "of the delivery, after this attempt"},
        "status_code": nullable(COUNT),
        "error": nullable(TEXT),
        "duration_ms": COUNT,
        "waited_ms": nullable(COUNT | {"description": "from the event to its first attempt"}),
    }
)

EVENTS: Final[dict[str, Schema]] = {
    "payment.created.v1": _MAYBE_ROUTED,
    "payment.updated.v1": _OF_PAYMENT,
    "payment.confirmed.v1": _ROUTED,
    "payment.requires_action.v1": _OF_PAYMENT,
    "payment.authorised.v1": _OF_PAYMENT,
    "payment.captured.v1": _OF_PAYMENT,
    "payment.declined.v1": _OF_PAYMENT,
    "payment.cancelled.v1": _OF_PAYMENT,
    "payment.failed.v1": _OF_PAYMENT,
    "payment.unknown.v1": _OF_PAYMENT,
    "payment.voided.v1": _OF_PAYMENT,
    "payment.expired.v1": _OF_PAYMENT,
    "payment.rerouted.v1": _ROUTED,
    "payment.late_success.v1": _OF_PAYMENT,
    "payment.late_reversed.v1": _OF_PAYMENT,
    "refund.created.v1": _OF_REFUND,
    "refund.succeeded.v1": _OF_REFUND,
    "refund.failed.v1": _OF_REFUND,
    "dispute.opened.v1": _OF_DISPUTE,
    "dispute.updated.v1": _OF_DISPUTE,
    "dispute.won.v1": _OF_DISPUTE,
    "dispute.lost.v1": _OF_DISPUTE,
    "balance.settled.v1": shape({"journal": ref("Journal")}),
    "balance.converted.v1": shape({"journal": ref("Journal"), "rate": ref("Rate")}),
    "reserve.held.v1": _OF_RESERVE,
    "reserve.released.v1": _OF_RESERVE,
    "merchant.created.v1": _OF_MERCHANT,
    "merchant.updated.v1": _OF_MERCHANT,
    "channel.costs_booked.v1": shape({"channel": TEXT, "charges": COUNT, "journal": ref("Journal")}),
    "suspense.booked.v1": _OF_SUSPENSE,
    "suspense.resolved.v1": _OF_SUSPENSE,
    "payout.created.v1": _OF_PAYOUT,
    "payout.in_transit.v1": _OF_PAYOUT,
    "payout.paid.v1": _OF_PAYOUT,
    "payout.failed.v1": _OF_PAYOUT,
    "payout.returned.v1": _OF_PAYOUT,
    "payout.cancelled.v1": _OF_PAYOUT,
    "ledger.transfer_posted.v1": _OF_TRANSFER,
    "ledger.hold_placed.v1": _OF_TRANSFER,
    "ledger.hold_posted.v1": _OF_HOLD,
    "ledger.hold_voided.v1": _OF_HOLD,
    "ledger.hold_expired.v1": _OF_HOLD,
    "ledger.journal_reversed.v1": shape({"journal": ref("Reversal")}),
    "webhook_delivery.attempted.v1": shape(
        {"attempts": items(_WEBHOOK_ATTEMPT) | {"minItems": 1, "maxItems": LINES_MAX}}
    ),
    "webhook_endpoint.disabled.v1": shape(
        {"webhook_endpoint": ref("WebhookEndpoint"), "reason": word("gone", "failing")}
    ),
    "webhook_endpoint.ping.v1": shape({"webhook_endpoint": ref("WebhookEndpoint")}),
}


def event_schemas() -> dict[str, Schema]:
    """The complete document of each type."""
    return {kind: document_of(kind, data, _DEFINITIONS) for kind, data in EVENTS.items()}
