"""The port to a channel (acquirer, wallet or bank) and its HTTP adapters.

Every question carries our own key, so that the channel does it once however often we ask.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol, Self
from urllib.parse import quote

from payment_gateway.clients.channel_alarms import CONTRADICTIONS, contradiction
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
    Operation.LATE_VOID: "/voids",
    Operation.LATE_REFUND: "/refunds",
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
        "challenge": bool}, perhaps a "statement_descriptor", and in a sandbox a "fault"; the other operations
        name their authorisation in `attempt.original`."""
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

    is_idempotent: bool
    """Does a key of ours once, however often we ask: a question may be repeated."""
    can_be_asked: bool
    """Tells by our key what it did: an answer that was lost can be found."""
    hold_lifetime_s: int | None
    """How long it holds an amount; None = it takes the money at once or not at all."""
    voids: bool
    partial_captures: bool
    several_captures: bool
    is_asynchronous: bool
    """The payer always acts first, and the result comes later."""
    reports_by_itself: bool
    returns: bool
    """May take money back after it has settled, without being asked."""


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
                response = await self._http.post(path, json=body, headers=_headers(attempt, details))
        except NotSent as error:
            canonical.add(channel_error=error.reason)
            return NotProcessed("not-sent")
        except CallFailed as error:
            return _lost(error)
        return self._observed(outcome_of_response(response, attempt))

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
        return self._observed(outcome_of_body(response.body, attempt))

    def _observed(self, outcome: Outcome) -> Outcome:
        if isinstance(outcome, Unknown) and outcome.code in CONTRADICTIONS:
            contradiction(self.name, outcome.code)
        return outcome

    def _question(self, attempt: Attempt, details: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        amount = {"amount_minor": attempt.amount_minor, "currency": attempt.currency}
        if attempt.operation is Operation.AUTHORISE:
            path, body = self._authorisation(details)
            shown = details.get("statement_descriptor")
            words = {"statement_descriptor": shown} if shown else {}
            return path, {**body, **words, **amount, "callback_url": self._callback_url}
        final = {"final": True} if attempt.operation is Operation.FINAL_CAPTURE else {}
        return PATHS[attempt.operation], {"original": attempt.original, **amount, **final}

    def _authorisation(self, details: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Path and members of an authorisation, without amount and callback."""
        raise NotImplementedError


class CardChannel(HttpChannel):
    """An acquirer of cards: holds, captures in parts, challenges by the issuer."""

    capabilities = Capabilities(
        is_idempotent=True, can_be_asked=True, hold_lifetime_s=7 * 24 * 3600, voids=True, partial_captures=True,
        several_captures=True, is_asynchronous=False, reports_by_itself=True, returns=False,
    )  # fmt: skip

    def _authorisation(self, details: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """`method` names the card by a token, or from the vault as {number, exp_month, exp_year}."""
        method = details["method"]
        name = "card" if "card" in method else "token"
        return "/authorisations", {
            name: method[name],
            "capture": details["capture"],
            "challenge": details["challenge"],
        }


class WalletChannel(HttpChannel):
    """A wallet: the payer confirms a QR code, the money moves at once, the wallet reports."""

    capabilities = Capabilities(
        is_idempotent=True, can_be_asked=True, hold_lifetime_s=None, voids=True, partial_captures=False,
        several_captures=False, is_asynchronous=True, reports_by_itself=True, returns=False,
    )  # fmt: skip

    def _authorisation(self, details: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        return "/payments", {"provider": details["method"]["provider"], "capture": details["capture"]}


class BankChannel(HttpChannel):
    """Credit transfers: the payer sends the money, the bank reports its arrival, and perhaps its way back."""

    capabilities = Capabilities(
        is_idempotent=True, can_be_asked=True, hold_lifetime_s=None, voids=True, partial_captures=False,
        several_captures=False, is_asynchronous=True, reports_by_itself=True, returns=True,
    )  # fmt: skip

    def _authorisation(self, details: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        return "/transfers", {"scheme": details["method"]["scheme"], "capture": details["capture"]}


@asynccontextmanager
async def open_channels(settings: Settings) -> AsyncIterator[Mapping[str, Channel]]:
    """Every channel of this deployment by its name. A new channel joins by a line here."""
    kinds: tuple[tuple[str, type[HttpChannel], str], ...] = (
        ("card_sim", CardChannel, settings.card_channel_url),
        ("card_sim_2", CardChannel, settings.card2_channel_url),
        ("wallet_sim", WalletChannel, settings.wallet_channel_url),
        ("bank_sim", BankChannel, settings.bank_channel_url),
    )
    async with AsyncExitStack() as stack:
        yield {
            name: await stack.enter_async_context(kind.open(name, url, settings))
            for name, kind, url in kinds
            if url
        }


def _headers(attempt: Attempt, details: Mapping[str, Any]) -> dict[str, str]:
    """Our key; and in a sandbox what the simulator shall get wrong."""
    headers = {"Idempotency-Key": attempt.channel_key}
    if fault := details.get("fault"):
        headers["Sandbox-Fault"] = str(fault)
    return headers


def _lost(error: CallFailed) -> Unknown:
    canonical.add(channel_error=error.reason)
    return Unknown(error.reason.replace("_", "-"))


def _operation_path(attempt: Attempt) -> str:
    return f"/operations/{quote(attempt.channel_key, safe='')}"
