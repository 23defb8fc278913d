"""The gateway's refusals, by name and status (payments.md 5.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from payment_gateway.domain.ledger import AboveCeiling as LedgerAboveCeiling
from payment_gateway.domain.ledger import InsufficientFunds as LedgerInsufficientFunds
from payment_gateway.domain.ledger_hold import HoldClosed as DomainHoldClosed
from payment_gateway.domain.ledger_journal import BACKDATE_MAX, EffectiveTimeRefused
from payment_gateway.domain.ledger_journal import AlreadyReversed as DomainAlreadyReversed
from payment_gateway.domain.moves import IllegalMove
from payment_gateway.domain.payment import (
    AmountExceedsRemaining as DomainAmountExceedsRemaining,
)
from payment_gateway.domain.payment import IllegalTransition, merchant_acts
from payment_gateway.domain.payment import OperationInProgress as DomainOperationInProgress
from payment_gateway.store.commit import UnknownAccount as StoreUnknownAccount
from platform_kit import canonical
from platform_kit.idempotency import StoredResponse
from platform_kit.problems import Problem


class InvalidState(Problem):
    status, code, title = 409, "invalid-state", "The object's state does not admit this"


class OperationInProgress(Problem):
    status, code, title = 409, "operation-in-progress", "The channel is being asked about this payment"

    def __init__(self) -> None:
        super().__init__("Nothing was done by this request; ask again shortly.", headers={"Retry-After": "1"})


class AmountExceedsRemaining(Problem):
    status, code, title = 422, "amount-exceeds-remaining", "More was asked than remains"


class InsufficientFunds(Problem):
    status, code, title = 422, "insufficient-funds", "An account would fall below its floor"


class AboveCeiling(Problem):
    status, code, title = 422, "above-ceiling", "An account would hold more than its ceiling"


class AccountDiffers(Problem):
    status, code, title = 409, "account-differs", "The account is open with other bounds"


class UnknownReference(Problem):
    status, code, title = 422, "unknown-reference", "The request names what is not there"


class SuspenseDiffers(Problem):
    status, code, title = (
        409,
        "suspense-differs",
        "The line is in suspense with another amount, currency or direction",
    )


class SuspenseNotPlatform(Problem):
    status, code, title = 409, "suspense-not-platform", "The item to write off went to somebody else"


class HoldClosed(Problem):
    status, code, title = 409, "hold-closed", "The hold does not admit this any more"


class AlreadyReversed(Problem):
    status, code, title = 409, "already-reversed", "The journal was reversed before"


class NotReversible(Problem):
    status, code, title = 409, "not-reversible", "The journal moved no money: void its hold instead"


class InvalidEffectiveTime(Problem):
    status, code, title = 422, "invalid-effective-at", "effective_at is out of its range"


class UnknownAccount(Problem):
    status, code, title = 422, "unknown-account", "An account is not open"


class MethodMissing(Problem):
    status, code, title = 422, "missing-field", "A required member is missing"

    def __init__(self) -> None:
        errors = [{"pointer": "/method", "code": self.code, "detail": "a payment is confirmed with a method"}]
        super().__init__("The payment has no method yet: send one.", errors=errors)


class ChannelRefused(Problem):
    status, code, title = 422, "channel-refused", "The channel did not carry this out"


class NoChannel(Problem):
    status, code, title = 503, "no-channel", "The channel cannot be asked now"

    def __init__(self) -> None:
        super().__init__(
            "Nothing was done; send it again shortly, with the same key.", headers={"Retry-After": "5"}
        )


MERCHANT_ACTS: Final = frozenset({"save", "submit", "accept", "cancel"})
"""Of disputes and payouts: their other events are told by banks and clocks, and nobody can ask for them."""


def problem_of(error: Exception) -> Problem:
    """The Problem that tells a domain refusal to a client."""
    match error:
        case IllegalTransition(status=status, event=event):
            return InvalidState(
                f"A payment that is {status} cannot be {_PARTICIPLES.get(event, event)}.",
                allowed=merchant_acts(status),
            )
        case IllegalMove(thing=thing, status=status, event=move, allowed=allowed):
            acts = [act for act in allowed if act in MERCHANT_ACTS]
            return InvalidState(f"A {thing} that is {status} does not admit {move}.", allowed=acts)
        case DomainAmountExceedsRemaining(remaining_minor=remaining, taken=taken):
            members: dict[str, Any] = {"remaining_minor": remaining, **taken}
            return AmountExceedsRemaining(f"{remaining} minor units remain{_beside(taken)}.", **members)
        case DomainOperationInProgress():
            return OperationInProgress()
        case LedgerInsufficientFunds(account=account):
            return InsufficientFunds(f"The account {account.kind} ({account.currency}) does not hold enough.")
        case LedgerAboveCeiling(account=account):
            return AboveCeiling(f"The account {account.kind} ({account.currency}) may not hold that much.")
        case DomainHoldClosed(state=state):
            return HoldClosed(f"The hold is {state}.", state=str(state))
        case DomainAlreadyReversed(by=by):
            return AlreadyReversed(f"The journal {by} reversed it.", reversed_by=by)
        case EffectiveTimeRefused():
            return InvalidEffectiveTime(f"It may lie up to {BACKDATE_MAX.days} days back, never ahead.")
        case StoreUnknownAccount(account=account):
            return UnknownAccount(f"The account {account.kind} ({account.currency}) is not open.")
        case _:
            raise error


def _beside(taken: Mapping[str, int]) -> str:
    """`: 400 are refunded, 600 disputed`, of what has taken something."""
    parts = [f"{amount} {name.removesuffix('_minor')}" for name, amount in taken.items() if amount]
    return (
        f": {parts[0].replace(' ', ' are ', 1)}{''.join(f', {part}' for part in parts[1:])}" if parts else ""
    )


def stored_refusal(error: Exception) -> StoredResponse | None:
    """What a key answers for ever after this refusal; None for one that is worth another try with the same key."""
    problem = problem_of(error)
    if isinstance(problem, OperationInProgress):
        return None
    return stored_problem(problem)


def stored_problem(problem: Problem) -> StoredResponse:
    """A refusal as a key keeps it: the same bytes for every repetition."""
    return StoredResponse(problem.status, orjson.dumps(problem.body(None, canonical.get("request_id"))))


_PARTICIPLES = {
    "authorise": "authorised",
    "cancel": "cancelled",
    "capture": "captured",
    "confirm": "confirmed",
    "prepare": "changed",
    "refund": "refunded",
    "void": "voided",
}
