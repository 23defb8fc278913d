"""What a channel's answer means for the money, whoever brings it: decided here and nowhere else (payments.md 4.2).

`Unknown` is the word for whatever is not exactly as agreed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from payment_gateway.domain.attempt import (
    ActionRequired,
    Attempt,
    Declined,
    NotProcessed,
    Outcome,
    Succeeded,
    Unknown,
    checked,
)
from platform_kit.body import loads_strict
from platform_kit.http import HttpResponse
from platform_kit.problems import Problem

RETURNED: Final = "returned"
UNREADABLE: Final = Unknown("answer-not-understood")
REFERENCE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/=+-]{0,127}")  # what settlement files can carry
CODE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
ACTION_MEMBERS: Final = {
    "three_ds": ("url",),
    "qr": ("payload", "url", "expires_at"),
    "bank_transfer": ("account", "reference", "url", "expires_at"),
}
TEXT_LENGTH_MAX: Final = 2048

# The channel refused the request itself (form, credentials, size): nothing was done under our key.
REFUSED: Final = frozenset({400, 401, 403, 404, 405, 413, 415, 422})


def outcome_of(answer: Mapping[str, Any]) -> Outcome:
    """What a channel's answer (or its own report) says happened. Unknown for anything that is not as agreed."""
    match answer:
        case {"outcome": "succeeded", "channel_reference": str(reference), "amount_minor": amount}:
            if not _is_reference(reference) or type(amount) is not int:  # true is an int to Python
                return UNREADABLE
            return Succeeded(reference, amount, str(answer.get("currency")), answer.get("captured") is True)
        case {"outcome": "declined", "code": str(code)}:
            named = answer.get("channel_reference")
            return Declined(_clean(code, "declined"), named if _is_reference(named) else None)
        case {"outcome": "action_required", "channel_reference": str(reference), "next_action": dict(action)}:
            wanted = _action_of(action)
            return ActionRequired(reference, wanted) if wanted and _is_reference(reference) else UNREADABLE
        case {"outcome": "not_processed"}:
            return NotProcessed(_clean(answer.get("code"), "not-processed"))
        case _:
            return UNREADABLE


@dataclass(frozen=True, slots=True)
class Returned:
    """A channel took settled money back by itself."""

    reference: str
    amount_minor: int
    currency: str
    code: str


def return_of(report: Mapping[str, Any]) -> Returned | None:
    """What a report of a return says; None for anything that is not as agreed."""
    reference, amount, currency = (report.get(n) for n in ("channel_reference", "amount_minor", "currency"))
    if not _is_reference(reference) or type(amount) is not int or amount <= 0:
        return None
    return Returned(str(reference), amount, str(currency), _clean(report.get("code"), RETURNED))


def outcome_of_response(response: HttpResponse, attempt: Attempt) -> Outcome:
    """The answer to a question that may move money."""
    match response.status:
        case 200 | 402:
            return outcome_of_body(response.body, attempt)
        case 503:
            said = outcome_of(_object(response.body))
            return said if isinstance(said, NotProcessed) else Unknown("status-503")
        case 429:
            return NotProcessed("rate-limited")
        case status if status in REFUSED:
            return NotProcessed(f"refused-{status}")
        case (
            status
        ):  # also 409: our key with another body is a defect, and the first one may have moved money
            return Unknown(f"status-{status}")


def outcome_of_body(body: bytes, attempt: Attempt) -> Outcome:
    """An answer about our key, over our amount. One about another is not understood."""
    answer = _object(body)
    outcome = outcome_of(answer)
    if not isinstance(outcome, Unknown) and answer.get("channel_key") != attempt.channel_key:
        return Unknown("answer-for-another-key")
    if isinstance(outcome, ActionRequired):
        asked = (attempt.amount_minor, attempt.currency)
        if (answer.get("amount_minor"), answer.get("currency")) != asked:
            return Unknown("answer-differs-from-request")
    return checked(outcome, attempt)


def _object(body: bytes) -> Mapping[str, Any]:
    """The JSON object of an answer; an empty one for anything else."""
    try:
        parsed = loads_strict(body)
    except Problem:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _action_of(action: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The members that we know, each a text of sane length with a web address where one belongs; else None."""
    kind = action.get("type")
    members = ACTION_MEMBERS.get(kind) if isinstance(kind, str) else None
    if members is None:
        return None
    texts = {name: action.get(name) for name in members}
    if not all(isinstance(text, str) and 0 < len(text) <= TEXT_LENGTH_MAX for text in texts.values()):
        return None
    if not str(texts["url"]).startswith(("https://", "http://")):
        return None
    return {"type": kind, **texts}


def _clean(code: object, otherwise: str) -> str:
    return code if isinstance(code, str) and CODE.fullmatch(code) else otherwise


def _is_reference(value: object) -> bool:
    return isinstance(value, str) and REFERENCE.fullmatch(value) is not None
