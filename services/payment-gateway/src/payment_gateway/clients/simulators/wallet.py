"""wallet_sim: a wallet that shows a QR code, and reports by itself what its payer did with it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from payment_gateway.clients.simulators import rules
from payment_gateway.clients.simulators.book import Book, Operation
from payment_gateway.clients.simulators.faults import Delays
from platform_kit.clock import isoformat
from platform_kit.ids import new_id

QR_LIFETIME: Final = timedelta(minutes=15)

PROVIDERS: Final[Mapping[str, str | None]] = {
    "qr": None,
    "qr_twice": None,  # the report comes twice
    "qr_declined": "wallet_declined",
    "qr_abandoned": "payer_abandoned",
    "qr_ignored": "expired",  # nobody scans: the report comes when the code has run out
}
"""Provider -> the decline code that its payers end with (None: they pay)."""


def pay(book: Book, question: rules.Question, base_url: str, callback_url: str) -> Operation:
    """Ask a payer to pay. Money moves when the payer confirms; a wallet takes it at once, it holds nothing."""
    body = question.body
    provider = rules.text_of(body, "provider", length_max=64)
    amount, currency = rules.amount_of(body), rules.currency_of(body)
    reference = new_id("wl")
    action = {
        "type": "qr",
        "payload": f"WALLETSIM:{reference}:{currency}:{amount}",
        "url": f"{base_url}/codes/{reference}",
        "expires_at": isoformat(datetime.now(UTC) + QR_LIFETIME),
    }
    return rules.left_to_payer(
        book,
        question,
        provider=provider,
        reference=reference,
        refusal=_refusal(provider, rules.flag_of(body, "capture", True)),
        action=action,
        callback_url=callback_url,
    )


def decided_after_s(operation: Operation, delays: Delays) -> float:
    """When the payer acts, in seconds from the request: the same for the same key, spread evenly."""
    if operation.provider == "qr_ignored":
        return QR_LIFETIME.total_seconds()
    return rules.spread_s(operation.key, delays)


def code_of(operation: Operation) -> str | None:
    """What the payer's decision is called when it is a no."""
    return PROVIDERS[str(operation.provider)]


def _refusal(provider: str, captures: bool) -> str | None:
    if provider not in PROVIDERS:
        return "unknown_provider"
    return None if captures else "holds_not_supported"
