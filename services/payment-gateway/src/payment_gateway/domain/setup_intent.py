"""Setup intents: make sure that a payment method works before it is needed, without moving money."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from payment_gateway.domain.customer import Verification
from platform_kit.clock import isoformat


class SetupStatus(StrEnum):
    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_CONFIRMATION = "requires_confirmation"
    REQUIRES_ACTION = "requires_action"
    SUCCEEDED = "succeeded"
    CANCELLED = "cancelled"


_S = SetupStatus
TRANSITIONS: Final[Mapping[tuple[SetupStatus, str], frozenset[SetupStatus]]] = MappingProxyType(
    {
        (_S.REQUIRES_PAYMENT_METHOD, "prepare"): frozenset(
            {_S.REQUIRES_PAYMENT_METHOD, _S.REQUIRES_CONFIRMATION}
        ),
        (_S.REQUIRES_CONFIRMATION, "prepare"): frozenset({_S.REQUIRES_CONFIRMATION}),
        (_S.REQUIRES_CONFIRMATION, "confirm"): frozenset(
            {_S.SUCCEEDED, _S.REQUIRES_ACTION, _S.REQUIRES_PAYMENT_METHOD}
        ),
        # The sandbox's payer authenticates as soon as the merchant confirms a second time.
        (_S.REQUIRES_ACTION, "confirm"): frozenset({_S.SUCCEEDED}),
        **{
            (status, "cancel"): frozenset({_S.CANCELLED})
            for status in (_S.REQUIRES_PAYMENT_METHOD, _S.REQUIRES_CONFIRMATION, _S.REQUIRES_ACTION)
        },
    }
)


class IllegalSetup(Exception):
    """The setup intent is in a status that does not admit this act."""

    def __init__(self, status: SetupStatus, act: str) -> None:
        self.status, self.act = status, act
        super().__init__(f"a setup intent that is {status} cannot {act}")


@dataclass(frozen=True, slots=True)
class SetupIntent:
    id: str
    merchant_id: str
    status: SetupStatus
    created_at: datetime
    updated_at: datetime
    customer_id: str | None = None
    payment_method_id: str | None = None
    decline_code: str | None = None
    description: str | None = None
    usage: str = "off_session"
    metadata: Mapping[str, str] = field(default_factory=dict)


def advance(setup: SetupIntent, act: str, to: SetupStatus, at: datetime, **changes: Any) -> SetupIntent:
    """Raises IllegalSetup for a step that is not in the table."""
    if to not in TRANSITIONS.get((setup.status, act), frozenset()):
        raise IllegalSetup(setup.status, act)
    return replace(setup, status=to, updated_at=at, **changes)


def prepared(setup: SetupIntent, at: datetime, **changes: Any) -> SetupIntent:
    """Other details, before it is confirmed."""
    method = changes.get("payment_method_id") or setup.payment_method_id
    to = _S.REQUIRES_CONFIRMATION if method else _S.REQUIRES_PAYMENT_METHOD
    return advance(setup, "prepare", to, at, **changes)


def verified(setup: SetupIntent, found: Verification, at: datetime) -> SetupIntent:
    """What the check of its payment method found."""
    if setup.status is _S.REQUIRES_ACTION:
        return advance(setup, "confirm", _S.SUCCEEDED, at, decline_code=None)
    match found.outcome:
        case "succeeded":
            return advance(setup, "confirm", _S.SUCCEEDED, at, decline_code=None)
        case "action_required":
            return advance(setup, "confirm", _S.REQUIRES_ACTION, at)
        case _:
            return advance(
                setup,
                "confirm",
                _S.REQUIRES_PAYMENT_METHOD,
                at,
                payment_method_id=None,
                decline_code=found.code,
            )


def setup_intent_object(setup: SetupIntent) -> dict[str, Any]:
    """What a merchant sees of a setup intent."""
    return {
        "id": setup.id,
        "object": "setup_intent",
        "status": setup.status,
        "customer_id": setup.customer_id,
        "payment_method_id": setup.payment_method_id,
        "decline_code": setup.decline_code,
        "description": setup.description,
        "usage": setup.usage,
        "metadata": setup.metadata,
        "created_at": isoformat(setup.created_at),
    }
