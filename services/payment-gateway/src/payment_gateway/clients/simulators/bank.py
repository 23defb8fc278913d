"""bank_sim: credit transfers. The payer is shown where to send the money; the bank reports when it has arrived, and
days later perhaps that it went back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from payment_gateway.clients.simulators import rules
from payment_gateway.clients.simulators.book import Book, Operation
from payment_gateway.clients.simulators.faults import Delays
from platform_kit.clock import isoformat
from platform_kit.ids import new_id

TRANSFER_LIFETIME: Final = timedelta(minutes=15)  # days in the world outside

SCHEMES: Final[Mapping[str, str | None]] = {
    "sepa": None,
    "sepa_rejected": "account_closed",
    "sepa_ignored": "expired",  # nobody sends the money
    "sepa_returned": None,  # settles, and goes back afterwards
}
"""Scheme -> the decline code that the transfer ends with (None: the money arrives)."""
RETURNED: Final = "sepa_returned"
RETURN_CODE: Final = "returned_by_bank"


def transfer(book: Book, question: rules.Question, base_url: str, callback_url: str) -> Operation:
    """Wait for a payer's transfer. Money moves when it arrives; a bank holds nothing."""
    body = question.body
    scheme = rules.text_of(body, "scheme", length_max=64)
    reference = new_id("bt")
    action = {
        "type": "bank_transfer",
        "account": "XX00 SIMU LATE D0",
        "reference": reference,
        "url": f"{base_url}/transfers/{reference}",
        "expires_at": isoformat(datetime.now(UTC) + TRANSFER_LIFETIME),
    }
    return rules.left_to_payer(
        book,
        question,
        provider=scheme,
        reference=reference,
        refusal=_refusal(scheme, rules.flag_of(body, "capture", True)),
        action=action,
        callback_url=callback_url,
    )


def decided_after_s(operation: Operation, delays: Delays) -> float:
    """When the transfer arrives, or is known not to, in seconds from the request."""
    if operation.provider == "sepa_ignored":
        return TRANSFER_LIFETIME.total_seconds()
    return rules.spread_s(operation.key, delays)


def code_of(operation: Operation) -> str | None:
    """What the end of a transfer is called that did not arrive."""
    return SCHEMES[str(operation.provider)]


def goes_back(operation: Operation) -> bool:
    return operation.provider == RETURNED and operation.refunded_minor < operation.captured_minor


def take_back(book: Book, operation: Operation) -> Operation:
    """The payer's bank wants its money back: all of it that was not refunded. The key is the bank's own."""
    amount = operation.captured_minor - operation.refunded_minor
    return book.append(
        "return", f"{operation.key}-return", fingerprint="", original=operation.key, outcome="returned",
        code=RETURN_CODE, channel_reference=new_id("rt"), amount_minor=amount, currency=operation.currency,
        callback_url=operation.callback_url, refunded_minor=amount, fault=operation.fault,
    )  # fmt: skip


def _refusal(scheme: str, captures: bool) -> str | None:
    if scheme not in SCHEMES:
        return "unknown_scheme"
    return None if captures else "holds_not_supported"
