"""Which of Stripe's events an event of ours is told as: one, or two where it is about an intent and its charge at once.

The first of the ids is the event's own, `evt_X`; another telling of the same event has an aspect behind it,
`evt_X_charge`. So each can be fetched, continued from and sent again by itself, and `evt_X` names what happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from payment_gateway.domain.stripe_objects.money import dispute, payout
from payment_gateway.domain.stripe_objects.payments import charge, payment_intent, refund
from payment_gateway.domain.stripe_objects.words import Object

_EVENT_ID_LENGTH: Final = len("evt_") + 26
CHARGE: Final = "charge"
FUNDS: Final = "funds"


@dataclass(frozen=True, slots=True)
class Telling:
    """One of Stripe's events. `shape`: what the data of our event must contain for it, as `@>` of Postgres means it."""

    name: str
    about: str | None = None
    """The member of the data that is shown, or `charge` for its payment as a charge; None = the data as it is."""
    aspect: str = ""
    shape: Object = field(default_factory=dict)

    def shown(self, data: Object) -> dict[str, Any]:
        """The object in the event."""
        held = data.get("payment" if self.about == CHARGE else self.about or "")
        return _RENDERED[self.about](held) if self.about and held else dict(data)


_RENDERED: Final[Mapping[str, Callable[[Object], dict[str, Any]]]] = {
    "payment": payment_intent,
    CHARGE: charge,
    "refund": refund,
    "dispute": dispute,
    "payout": payout,
}


def _intent(name: str, status: str | None = None) -> Telling:
    return Telling(
        f"payment_intent.{name}", "payment", shape={"payment": {"status": status}} if status else {}
    )


def _charge(name: str, **attempt: str) -> Telling:
    """Only where a channel was asked: without an attempt there is no charge."""
    return Telling(f"charge.{name}", CHARGE, CHARGE, {"attempt": attempt})


def _dispute(name: str, **members: str) -> Telling:
    return Telling(f"charge.dispute.{name}", "dispute", shape={"dispute": members} if members else {})


def _funds(name: str) -> Telling:
    """Only where money moved: an inquiry takes none."""
    return Telling(f"charge.dispute.funds_{name}", "dispute", FUNDS, {"journal": {}})


# In the order in which they are told. At most one of those without an aspect holds, and one of each aspect.
TELLINGS: Final[Mapping[str, tuple[Telling, ...]]] = {
    "payment.created.v1": (_intent("created"),),
    "payment.confirmed.v1": (_intent("processing"),),
    "payment.unknown.v1": (_intent("processing"),),
    "payment.requires_action.v1": (_intent("requires_action"),),
    "payment.authorised.v1": (_charge("succeeded"), _intent("amount_capturable_updated")),
    "payment.captured.v1": (
        _charge("succeeded", operation="authorise"),  # at once
        _charge("captured", operation="capture"),  # a hold, or a part of one
        _charge("captured", operation="final_capture"),
        _intent("succeeded", "captured"),
        _intent("amount_capturable_updated", "partially_captured"),
    ),
    "payment.declined.v1": (_charge("failed"), _intent("payment_failed")),
    "payment.failed.v1": (_charge("failed"), _intent("payment_failed")),
    "payment.cancelled.v1": (_intent("canceled"),),
    "payment.voided.v1": (_intent("canceled", "voided"), _intent("succeeded", "captured")),
    "payment.expired.v1": (
        Telling("charge.expired", CHARGE, CHARGE, {"payment": {"status": "expired"}, "attempt": {}}),
        _intent("canceled", "expired"),
        _intent("succeeded", "captured"),  # of a part that had been captured before the rest expired
    ),
    "refund.created.v1": (Telling("refund.created", "refund"),),
    "refund.succeeded.v1": (
        Telling("charge.refunded", CHARGE, CHARGE, {"payment": {}}),
        Telling("refund.updated", "refund"),
    ),
    "refund.failed.v1": (Telling("refund.failed", "refund"),),
    "dispute.opened.v1": (_dispute("created"), _funds("withdrawn")),
    "dispute.updated.v1": (
        *(_dispute("updated", status=status) for status in ("warning", "needs_response", "under_review")),
        _dispute("closed", status="warning_closed"),
        _funds("withdrawn"),
    ),
    "dispute.won.v1": (_dispute("closed"), _funds("reinstated")),
    "dispute.lost.v1": (_dispute("closed"),),
    "payout.created.v1": (Telling("payout.created", "payout"),),
    "payout.in_transit.v1": (Telling("payout.updated", "payout"),),
    "payout.paid.v1": (Telling("payout.paid", "payout"),),
    "payout.failed.v1": (Telling("payout.failed", "payout"),),
    "payout.returned.v1": (Telling("payout.failed", "payout"),),
    "payout.cancelled.v1": (Telling("payout.canceled", "payout"),),
}
"""Our type -> what it is told as. A type that is not here is told under its own name, with its data as they are."""

NAMES: Final = frozenset(telling.name for tellings in TELLINGS.values() for telling in tellings)
"""All names of Stripe's that can be asked for."""


def tellings(kind: str, data: Object, names: Iterable[str] | None = None) -> tuple[Telling, ...]:
    """What an event is told as, in order; with `names`, of that what is called so. One that the table does not foresee
    is told under its own name: nothing that happened is kept from who asked for everything."""
    found = tuple(one for one in TELLINGS.get(kind, ()) if _contains(data, one.shape))
    found = found or (Telling(kind.removesuffix(".v1")),)
    wanted = None if names is None else frozenset(names)
    return tuple(one for one in found if wanted is None or one.name in wanted)


def shapes_of(names: Iterable[str]) -> list[tuple[str, Object]]:
    """(type, shape) of the events of ours that are told under one of these names."""
    wanted = frozenset(names)
    return [(kind, one.shape) for kind, told in TELLINGS.items() for one in told if one.name in wanted]


def names_of(kinds: Iterable[str]) -> list[str]:
    """Everything that events of these types can be told as."""
    found: set[str] = set()
    for kind in kinds:
        prefix = kind.removesuffix("*")
        known = [one for one in TELLINGS if one == kind or (prefix != kind and one.startswith(prefix))]
        found |= {telling.name for one in known for telling in TELLINGS[one]} or {kind.removesuffix(".v1")}
    return sorted(found)


def told_id(event_id: str, aspect: str) -> str:
    """The id of a telling."""
    return f"{event_id}_{aspect}" if aspect else event_id


def parts_of(told: str) -> tuple[str, str]:
    """(event id, aspect) of a telling's id."""
    return told[:_EVENT_ID_LENGTH], told[_EVENT_ID_LENGTH + 1 :]


def _contains(data: Any, shape: Object) -> bool:
    return isinstance(data, Mapping) and all(
        _contains(data.get(name), part) if isinstance(part, Mapping) else data.get(name) == part
        for name, part in shape.items()
    )
