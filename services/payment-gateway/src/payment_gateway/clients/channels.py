"""The port to a channel (acquirer or wallet) and its HTTP adapters.

Every question carries our own key, so that the channel does it once however often we ask.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol, Self
from urllib.parse import quote

from payment_gateway.clients.channel_answers import outcome_of_body, outcome_of_response
from payment_gateway.domain.attempt import Attempt, NotProcessed, Operation, Outcome, Unknown
from payment_gateway.settings import Settings
from platform_kit import canonical
from platform_kit.breaker import Breaker
from platform_kit.http import CallFailed, HttpClient, NotSent

ANSWER_MAX_BYTES: Final = 16 * 1024  # an answer has 400 bytes; a longer one is not one that we understand
NOT_FOUND_YET: Final = Unknown("not-found-yet")
PATHS: Final = {
    Operation.CAPTURE: "/captures",
    Operation.FINAL_CAPTURE: "/captures",
    Operation.VOID: "/voids",
    Operation.EXPIRE: "/voids",
    Operation.REFUND: "/refunds",
}


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
        return self._http.breaker is None or self._http.breaker.would_permit

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
        return outcome_of_response(response, attempt)

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
        return outcome_of_body(response.body, attempt)

    def _question(self, attempt: Attempt, details: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        amount = {"amount_minor": attempt.amount_minor, "currency": attempt.currency}
        if attempt.operation is Operation.AUTHORISE:
            path, body = self._authorisation(details)
            return path, {**body, **amount, "callback_url": self._callback_url}
        final = {"final": True} if attempt.operation is Operation.FINAL_CAPTURE else {}
        return PATHS[attempt.operation], {"original": attempt.original, **amount, **final}

    def _authorisation(self, details: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Path and members of an authorisation, without amount and callback."""
        raise NotImplementedError


class CardChannel(HttpChannel):
    """An acquirer of cards: holds, captures in parts, challenges by the issuer."""

    capabilities = Capabilities(holds=True, several_captures=True, reports_by_itself=True)

    def _authorisation(self, details: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        return "/authorisations", {
            **_card_or_token(details["method"]),
            "capture": details["capture"],
            "challenge": details["challenge"],
        }


class WalletChannel(HttpChannel):
    """A wallet: the payer confirms a QR code, the money moves at once, the wallet reports."""

    capabilities = Capabilities(holds=False, several_captures=False, reports_by_itself=True)

    def _authorisation(self, details: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        return "/payments", {"provider": details["method"]["provider"], "capture": details["capture"]}


def _card_or_token(method: Mapping[str, Any]) -> dict[str, Any]:
    """A card itself, where the vault has just revealed it; a test token otherwise."""
    return {"card": method["card"]} if "card" in method else {"token": method["token"]}


def _lost(error: CallFailed) -> Unknown:
    canonical.add(channel_error=error.reason)
    return Unknown(error.reason.replace("_", "-"))


def _operation_path(attempt: Attempt) -> str:
    return f"/operations/{quote(attempt.channel_key, safe='')}"
