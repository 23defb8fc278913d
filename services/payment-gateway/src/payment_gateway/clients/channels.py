"""The port to a channel (acquirer or wallet) and its HTTP adapters.

Every question carries our own key, so that the channel does it once however often we ask; what the answer
means for the money is decided here and nowhere else (payments.md 4.2).
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol, Self
from urllib.parse import quote

from payment_gateway.domain.attempt import (
    ActionRequired,
    Attempt,
    Declined,
    NotProcessed,
    Operation,
    Outcome,
    Succeeded,
    Unknown,
    checked,
)
from payment_gateway.settings import Settings
from platform_kit import canonical
from platform_kit.body import loads_strict
from platform_kit.breaker import Breaker, State
from platform_kit.http import CallFailed, HttpClient, HttpResponse, NotSent
from platform_kit.problems import Problem

ANSWER_MAX_BYTES: Final = 16 * 1024  # an answer has 400 bytes; a longer one is not one that we understand
NOT_FOUND_YET: Final = Unknown("not-found-yet")
UNREADABLE: Final = Unknown("answer-not-understood")

REFERENCE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/=+-]{0,127}")  # what settlement files can carry
CODE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
ACTION_MEMBERS: Final = {"three_ds": ("url",), "qr": ("payload", "url", "expires_at")}
TEXT_LENGTH_MAX: Final = 2048

# The channel refused the request itself (form, credentials, size): nothing was done under our key.
REFUSED: Final = frozenset({400, 401, 403, 404, 405, 413, 415, 422})
RATE_LIMITED: Final = 429
PATHS: Final = {Operation.CAPTURE: "/captures", Operation.VOID: "/voids", Operation.REFUND: "/refunds"}


class Channel(Protocol):
    """One way to move a payer's money. Neither method raises for anything that a channel can do to us."""

    name: str

    @property
    def is_open(self) -> bool:
        """Whether the breaker lets calls through."""
        ...

    async def send(self, attempt: Attempt, details: Mapping[str, Any]) -> Outcome:
        """Ask for the operation. `details` of an authorisation: {"method": {...}, "capture": bool,
        "challenge": bool}; the other operations name their authorisation in `attempt.original`."""
        ...

    async def ask(self, attempt: Attempt) -> Outcome:
        """What became of a question whose answer was lost. Unknown while the channel cannot be asked."""
        ...

    async def close(self, attempt: Attempt) -> Outcome:
        """Close a question that the channel says it never received, so that a late arrival does nothing:
        NotProcessed, or what it did after all."""
        ...


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a channel claims to be able to do; the contract suite holds it to each claim."""

    holds: bool
    several_captures: bool
    reports_by_itself: bool


class HttpChannel:
    """A channel that is asked over HTTP. A subclass says how an authorisation is worded."""

    capabilities: ClassVar[Capabilities]

    def __init__(self, name: str, http: HttpClient, callback_url: str) -> None:
        self.name = name
        self._http = http
        self._callback_url = callback_url

    @classmethod
    @asynccontextmanager
    async def open(cls, name: str, url: str, settings: Settings) -> AsyncIterator[Self]:
        """The adapter with its own connections and breaker: a bulkhead against the other channels."""
        client = HttpClient(
            name,
            url,
            timeout_s=settings.channel_timeout_s,
            retries=1,  # of what was provably not sent, and of questions that only read
            breaker=Breaker(name, window=50, calls_min=20),  # a handful of slow issuers is not an outage
            max_body_bytes=ANSWER_MAX_BYTES,
            forward_context=False,  # a third party learns nothing of our traces
        )
        async with client:
            yield cls(name, client, f"{settings.public_url.rstrip('/')}/internal/channel-events/{name}")

    @property
    def is_open(self) -> bool:
        return self._http.breaker is None or self._http.breaker.state is not State.OPEN

    async def send(self, attempt: Attempt, details: Mapping[str, Any]) -> Outcome:
        path, body = self._question(attempt, details)
        try:
            with canonical.timed("channel_ms"):
                response = await self._http.post(
                    path, json=body, headers={"Idempotency-Key": attempt.channel_key}
                )
        except NotSent as error:
            canonical.add(channel_error=error.reason)
            return NotProcessed("not-sent")
        except CallFailed as error:
            return _lost(error)
        return _outcome_of_response(response, attempt)

    async def ask(self, attempt: Attempt) -> Outcome:
        return await self._look_up("GET", _operation_path(attempt), attempt)

    async def close(self, attempt: Attempt) -> Outcome:
        return await self._look_up("POST", f"{_operation_path(attempt)}/close", attempt)

    async def _look_up(self, method: str, path: str, attempt: Attempt) -> Outcome:
        """A question about a question. Whatever fails here says nothing about the first one."""
        try:
            with canonical.timed("channel_ms"):
                response = await self._http.request(method, path, idempotent=True)
        except CallFailed as error:
            return _lost(error)
        if response.status == 404:
            return NOT_FOUND_YET
        if response.status != 200:
            return Unknown(f"status-{response.status}")
        return _outcome_of_body(response.body, attempt)

    def _question(self, attempt: Attempt, details: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        amount = {"amount_minor": attempt.amount_minor, "currency": attempt.currency}
        if attempt.operation is Operation.AUTHORISE:
            path, body = self._authorisation(details)
            return path, {**body, **amount, "callback_url": self._callback_url}
        return PATHS[attempt.operation], {"original": attempt.original, **amount}

    def _authorisation(self, details: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Path and members of an authorisation, without amount and callback."""
        raise NotImplementedError


class CardChannel(HttpChannel):
    """An acquirer of cards: holds, captures in parts, challenges by the issuer."""

    capabilities = Capabilities(holds=True, several_captures=True, reports_by_itself=True)

    def _authorisation(self, details: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        return "/authorisations", {
            "token": details["method"]["token"],
            "capture": details["capture"],
            "challenge": details["challenge"],
        }


class WalletChannel(HttpChannel):
    """A wallet: the payer confirms a QR code, the money moves at once, the wallet reports."""

    capabilities = Capabilities(holds=False, several_captures=False, reports_by_itself=True)

    def _authorisation(self, details: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        return "/payments", {"provider": details["method"]["provider"], "capture": details["capture"]}


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


def _outcome_of_response(response: HttpResponse, attempt: Attempt) -> Outcome:
    """The answer to a question that may move money."""
    match response.status:
        case 200 | 402:
            return _outcome_of_body(response.body, attempt)
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


def _outcome_of_body(body: bytes, attempt: Attempt) -> Outcome:
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


def _lost(error: CallFailed) -> Unknown:
    canonical.add(channel_error=error.reason)
    return Unknown(error.reason.replace("_", "-"))


def _operation_path(attempt: Attempt) -> str:
    return f"/operations/{quote(attempt.channel_key, safe='')}"
