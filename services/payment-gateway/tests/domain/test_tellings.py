"""Which of Stripe's events an event of ours is told as, held to the list of our types."""

from __future__ import annotations

from typing import Any

import pytest

from payment_gateway.api.schemas.events import EVENTS
from payment_gateway.domain.stripe_objects.tellings import (
    NAMES,
    TELLINGS,
    names_of,
    parts_of,
    shapes_of,
    tellings,
    told_id,
)

EVENT = "evt_01kazr7mb1c2d3e4f5g6h7j8k9"


def data(status: str, operation: str | None = None, **members: Any) -> dict[str, Any]:
    return {
        "payment": {"status": status},
        "attempt": {"operation": operation} if operation else None,
        **members,
    }


def test_every_type_that_is_told_is_one_of_ours() -> None:
    assert set(TELLINGS) <= set(EVENTS)


@pytest.mark.parametrize(
    ("kind", "told_of", "names"),
    [
        (
            "payment.captured.v1",
            data("captured", "authorise"),
            ["charge.succeeded", "payment_intent.succeeded"],
        ),
        ("payment.captured.v1", data("captured", "capture"), ["charge.captured", "payment_intent.succeeded"]),
        (
            "payment.captured.v1",
            data("partially_captured", "capture"),
            ["charge.captured", "payment_intent.amount_capturable_updated"],
        ),
        (
            "payment.declined.v1",
            data("declined", "authorise"),
            ["charge.failed", "payment_intent.payment_failed"],
        ),
        ("payment.declined.v1", data("declined"), ["payment_intent.payment_failed"]),
        ("payment.expired.v1", data("expired", "expire"), ["charge.expired", "payment_intent.canceled"]),
        ("payment.expired.v1", data("captured", "expire"), ["payment_intent.succeeded"]),
        ("payment.voided.v1", data("captured", "void"), ["payment_intent.succeeded"]),
        (
            "dispute.opened.v1",
            {"dispute": {"status": "needs_response"}, "journal": {"id": "je_1"}},
            ["charge.dispute.created", "charge.dispute.funds_withdrawn"],
        ),
        (
            "dispute.opened.v1",
            {"dispute": {"status": "warning"}, "journal": None},
            ["charge.dispute.created"],
        ),
        (
            "dispute.updated.v1",
            {"dispute": {"status": "warning_closed"}, "journal": None},
            ["charge.dispute.closed"],
        ),
        ("balance.settled.v1", {"journal": {"id": "je_1"}}, ["balance.settled"]),
    ],
)
def test_an_event_is_told_as_what_happened(kind: str, told_of: dict[str, Any], names: list[str]) -> None:
    found = tellings(kind, told_of)
    assert [one.name for one in found] == names
    assert len({one.aspect for one in found}) == len(found), "each has an id of its own"
    assert sum(one.aspect == "" for one in found) == 1, "the event's own id is one of them"


def test_only_what_was_asked_for_is_told() -> None:
    told = tellings(
        "payment.captured.v1", data("captured", "authorise"), ["charge.succeeded", "refund.created"]
    )
    assert [one.name for one in told] == ["charge.succeeded"]


def test_an_id_is_taken_apart_as_it_was_put_together() -> None:
    for aspect in ("", "charge", "funds"):
        assert parts_of(told_id(EVENT, aspect)) == (EVENT, aspect)


def test_every_name_leads_back_to_types_and_types_lead_to_every_name() -> None:
    for name in NAMES:
        kinds = [kind for kind, _ in shapes_of([name])]
        assert kinds
        assert name in names_of(kinds)
    assert "charge.succeeded" in names_of(["payment.*"])
    assert names_of(["balance.settled.v1"]) == ["balance.settled"]
