"""The shapes of what events carry in `data`, by type, as JSON schemas: for who receives webhooks or reads the stream.

A test closes them to unknown members and holds the events of every gateway that a test has run to them.
"""

from __future__ import annotations

from typing import Any, Final

from payment_gateway.api.schemas.answers import (
    AMOUNT,
    ANYTHING,
    COUNT,
    CURRENCY,
    SCHEMAS,
    TEXT,
    TIME,
    Schema,
    identifier,
    items,
    nullable,
    shape,
    word,
)
from payment_gateway.domain.ledger import PostingKind
from platform_kit.contract import ref
from platform_kit.money import CURRENCIES

_LINE: Final = {
    "debit": TEXT | {"description": "owner:kind of the account"},
    "credit": TEXT,
    "amount_minor": AMOUNT,
    "currency": CURRENCY,
    "kind": word(*PostingKind),
}
_JOURNAL_MEMBERS: Final = {"id": identifier("je"), "transfers": items(shape(_LINE))}
_JOURNAL: Final = shape(_JOURNAL_MEMBERS)
_ATTEMPT: Final = shape(
    {
        "id": identifier("att"),
        "operation": TEXT,
        "channel": TEXT,
        "channel_reference": nullable(TEXT),
        "outcome": nullable(TEXT),
    }
)
_OF_PAYMENT: Final = {
    "payment": ref("Payment"),
    "refund": nullable(ref("Refund")),
    "journal": nullable(_JOURNAL),
    "attempt": nullable(_ATTEMPT),
}
_ROUTED: Final = _OF_PAYMENT | {"route": ANYTHING}
_OF_DISPUTE: Final = shape(
    {
        "dispute": ref("Dispute"),
        "payment": ref("Payment"),
        "journal": nullable(_JOURNAL),
        "attempt": nullable(ANYTHING | {"description": "the line of the channel's file that it belongs to"}),
    }
)
_OF_PAYOUT: Final = shape({"payout": ref("Payout"), "journal": nullable(_JOURNAL)})
_OF_HOLD: Final = shape({"hold": ref("Hold"), "journal": _JOURNAL})
_OF_TRANSFER: Final = shape({"transfer": ref("Transfer"), "journal": _JOURNAL})
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
_REVERSAL: Final = shape(
    _JOURNAL_MEMBERS
    | {
        "object": {"type": "string", "const": "journal"},
        "reverses": identifier("je"),
        "reason": TEXT,
        "created_at": TIME,
    }
)


def _types(subject: str, *words: str) -> list[str]:
    return [f"{subject}.{one}.v1" for one in words]


EVENTS: Final[dict[str, Schema]] = {
    **dict.fromkeys(
        _types("payment", "updated", "requires_action", "authorised", "captured", "declined", "cancelled", "failed",
               "unknown", "voided", "expired", "late_success", "late_reversed")
        + _types("refund", "created", "succeeded", "failed"),
        shape(_OF_PAYMENT),
    ),
    "payment.created.v1": shape(_ROUTED, optional=("route",)),
    **dict.fromkeys(_types("payment", "confirmed", "rerouted"), shape(_ROUTED)),
    **dict.fromkeys(_types("dispute", "opened", "updated", "won", "lost"), _OF_DISPUTE),
    "balance.settled.v1": shape({"journal": _JOURNAL}),
    "balance.converted.v1": shape({"journal": _JOURNAL, "rate": _RATE}),
    **dict.fromkeys(_types("payout", "created", "in_transit", "paid", "failed", "returned", "cancelled"), _OF_PAYOUT),
    **dict.fromkeys(_types("ledger", "transfer_posted", "hold_placed"), _OF_TRANSFER),
    **dict.fromkeys(_types("ledger", "hold_posted", "hold_voided", "hold_expired"), _OF_HOLD),
    "ledger.journal_reversed.v1": shape({"journal": _REVERSAL}),
    "webhook_endpoint.disabled.v1": shape({"webhook_endpoint": ref("WebhookEndpoint"), "reason": TEXT}),
    "webhook_endpoint.ping.v1": shape({"webhook_endpoint": ref("WebhookEndpoint")}),
}  # fmt: skip
"""Type -> the shape of its `data`."""


def document() -> dict[str, Any]:
    """All of it as one JSON schema, which an event meets when it meets the schema of its type."""
    named = {"Currency": {"type": "string", "enum": sorted(CURRENCIES)}} | SCHEMAS
    used: dict[str, Schema] = {}
    _collect(EVENTS, named, used)
    envelope = SCHEMAS["Event"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Events of the payment gateway",
        "description": "A type only ever gains members: ignore those that you do not know.",
        "oneOf": [
            envelope
            | {"properties": envelope["properties"] | {"type": {"const": name}, "data": data}, "title": name}
            for name, data in sorted(EVENTS.items())
        ],
        "components": {"schemas": used},
    }


def _collect(node: object, named: dict[str, Schema], used: dict[str, Schema]) -> None:
    """The named schemas that `node` refers to, and what those refer to."""
    if isinstance(node, list):
        for one in node:
            _collect(one, named, used)
    elif isinstance(node, dict):
        name = str(node.get("$ref", "")).rpartition("/")[2]
        if name and name not in used:
            used[name] = named[name]
            _collect(named[name], named, used)
        for one in node.values():
            _collect(one, named, used)
