"""Facts: every event gives either its rows or the reason why not."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline_rig import (
    NOON,
    a_journal,
    a_payment,
    a_sale,
    an_assessment,
    an_attempt,
    an_event,
    processing,
)

from data_pipeline.domain.event_facts import facts_of
from data_pipeline.domain.events import PAYMENT_EVENTS, Envelope, Fault, Refused
from data_pipeline.domain.facts import Facts, PaymentFact, channel_of, supersede

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
# Whole members of an event, to break one at a time.
PATHS = [
    ("id",),
    ("type",),
    ("position",),
    ("occurred_at",),
    ("aggregate_id",),
    ("merchant_id",),
    ("data",),
    ("data", "payment"),
    ("data", "payment", "amount_minor"),
    ("data", "payment", "currency"),
    ("data", "payment", "status"),
    ("data", "payment", "method"),
    ("data", "payment", "risk"),
    ("data", "payment", "created_at"),
    ("data", "refund"),
    ("data", "journal"),
    ("data", "journal", "transfers"),
    ("data", "attempt"),
]


def envelope_of(event: Any) -> dict[str, Any]:
    copied: dict[str, Any] = orjson.loads(orjson.dumps(event.envelope()))
    return copied


def read(raw: dict[str, Any]) -> Facts:
    facts = facts_of(raw)
    assert isinstance(facts, Facts), facts
    return facts


def changed(raw: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    *parents, last = path
    at = raw
    for name in parents:
        at = at[name]
    at[last] = value
    return raw


@given(JSON)
def test_nothing_makes_the_reader_raise(raw: Any) -> None:
    assert isinstance(facts_of(raw), Refused)


@given(st.sampled_from(PATHS), JSON)
def test_no_broken_member_makes_the_reader_raise(path: tuple[str, ...], value: Any) -> None:
    assert isinstance(facts_of(changed(envelope_of(a_sale(1)), path, value)), Facts | Refused)


@pytest.mark.parametrize("type_", sorted(PAYMENT_EVENTS))
def test_every_event_of_the_gateway_is_understood(type_: str) -> None:
    assert read(envelope_of(an_event(1, type_))).payment is not None


def test_a_sale_gives_a_payment_and_a_transfer_at_the_channel() -> None:
    facts = read(envelope_of(a_sale(1)))
    assert facts.payment is not None
    assert (facts.payment.method, facts.payment.decision, facts.payment.score) == ("card", "allow", 12)
    [transfer] = facts.transfers
    assert (transfer.settled_channel, transfer.settled_type) == ("card_sim", "charge")
    assert transfer.channel_key == "att_capture_00000000000000000001"


def test_a_refund_is_a_refund_at_the_channel() -> None:
    raw = envelope_of(an_event(1, journal=a_journal(1, 5, refund=True), attempt=an_attempt(1, "refund")))
    assert [transfer.settled_type for transfer in read(raw).transfers] == ["refund"]


@pytest.mark.parametrize("kind", ["pending", "release", "void"])
def test_a_hold_is_not_settled(kind: str) -> None:
    journal = a_journal(1, 5)
    journal["transfers"][0]["kind"] = kind
    assert [t.settled_channel for t in read(envelope_of(an_event(1, journal=journal))).transfers] == [None]


@pytest.mark.parametrize(
    ("debit", "credit"),
    [
        ("merchant:m:available", "platform:fees"),
        ("channel:a:receivable", "channel:b:receivable"),
        ("platform:scheme_fees", "channel:a:receivable"),
        ("channel:a:receivable", "platform:suspense"),
    ],
)
def test_a_transfer_within_the_house_is_not_settled(debit: str, credit: str) -> None:
    journal = a_journal(1, 5)
    journal["transfers"][0] |= {"debit": debit, "credit": credit}
    assert [t.settled_type for t in read(envelope_of(an_event(1, journal=journal))).transfers] == [None]


@pytest.mark.parametrize(
    ("account", "channel"),
    [
        ("channel:card_sim:receivable", "card_sim"),
        ("channel:card_sim:fees", None),
        ("channel::receivable", None),
        ("merchant:card_sim:receivable", None),
        ("channel", None),
    ],
)
def test_only_a_receivable_names_its_channel(account: str, channel: str | None) -> None:
    assert channel_of(account) == channel


def test_a_payment_without_assessment_has_no_decision() -> None:
    payment = read(envelope_of(an_event(1, payment=a_payment(1, risk=None)))).payment
    assert payment is not None
    assert (payment.decision, payment.score, payment.is_fallback) == (None, None, None)


def test_a_fallback_decision_has_no_score() -> None:
    risk: dict[str, Any] = {
        "assessment_id": None,
        "decision": "allow",
        "score": None,
        "reasons": [],
        "fallback": True,
    }
    payment = read(envelope_of(an_event(1, payment=a_payment(1, risk=risk)))).payment
    assert payment is not None
    assert (payment.decision, payment.score, payment.is_fallback) == ("allow", None, True)


def test_a_ledger_transfer_needs_no_payment() -> None:
    data = {"payment": None, "refund": None, "journal": a_journal(1, 5), "attempt": None}
    raw = envelope_of(an_event(1, "ledger.transfer_posted.v1", data=data))
    facts = read(raw)
    assert facts.payment is None
    assert len(facts.transfers) == 1


def test_an_assessment_gives_its_reasons_and_an_alert_gives_nothing() -> None:
    raw = envelope_of(an_assessment(1, decision="block", score=90, degraded=["velocity"]))
    assessment = read(raw).assessment
    assert assessment is not None
    assert (assessment.decision, assessment.score, assessment.degraded) == ("block", 90, ("velocity",))
    assert assessment.reasons[0]["code"] == "velocity"
    raw["type"] = "risk.alert_raised.v1"
    assert read(raw).assessment is None


def test_a_refund_object_is_read() -> None:
    refund = {
        "id": "rf_1",
        "payment_id": "pay_1",
        "amount_minor": 5,
        "currency": "EUR",
        "status": "pending",
        "created_at": "2026-11-23T12:00:00Z",
    }
    told = read(envelope_of(an_event(1, "refund.created.v1", refund=refund))).refund
    assert told is not None
    assert (told.status, told.reason, told.created_at) == ("pending", None, NOON)


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (("position",), 0, Fault.NOT_AN_ENVELOPE),
        (("position",), True, Fault.NOT_AN_ENVELOPE),
        (("occurred_at",), "2026-11-23T12:00:00", Fault.NOT_AN_ENVELOPE),
        (("occurred_at",), "0001-01-01T00:00:00Z", Fault.NOT_AN_ENVELOPE),
        (("occurred_at",), "soon", Fault.NOT_AN_ENVELOPE),
        (("id",), "", Fault.NOT_AN_ENVELOPE),
        (("id",), "evt_\x00", Fault.NOT_AN_ENVELOPE),
        (("id",), "evt_\ud800", Fault.NOT_AN_ENVELOPE),
        (("aggregate_id",), "x" * 513, Fault.NOT_AN_ENVELOPE),
        (("type",), "payment.teleported.v1", Fault.UNKNOWN_TYPE),
        (("type",), "payment.captured.v2", Fault.UNKNOWN_TYPE),
        (("data", "payment"), None, Fault.CONTRACT_VIOLATION),
        (("data", "payment"), [], Fault.CONTRACT_VIOLATION),
        (("data", "payment", "amount_minor"), 12.5, Fault.CONTRACT_VIOLATION),
        (("data", "payment", "amount_minor"), True, Fault.CONTRACT_VIOLATION),
        (("data", "payment", "amount_minor"), -1, Fault.CONTRACT_VIOLATION),
        (("data", "payment", "amount_minor"), 10**16, Fault.CONTRACT_VIOLATION),
        (("data", "payment", "currency"), "EUX", Fault.CONTRACT_VIOLATION),
        (("data", "payment", "status"), "teleported", Fault.CONTRACT_VIOLATION),
        (("data", "payment", "risk"), {"decision": "maybe"}, Fault.CONTRACT_VIOLATION),
        (("data", "journal", "transfers"), {}, Fault.CONTRACT_VIOLATION),
        (("data", "journal", "transfers"), ["debit"], Fault.CONTRACT_VIOLATION),
        (("data", "journal", "transfers"), [{}] * 65, Fault.CONTRACT_VIOLATION),
        (
            ("data", "journal", "transfers"),
            [{"debit": "a", "credit": "a", "amount_minor": 1, "currency": "EUR", "kind": "posted"}],
            Fault.CONTRACT_VIOLATION,
        ),
    ],
)
def test_what_breaks_the_contract_is_refused(path: tuple[str, ...], value: Any, fault: Fault) -> None:
    refused = facts_of(changed(envelope_of(a_sale(1)), path, value))
    assert isinstance(refused, Refused)
    assert refused.fault is fault


@pytest.mark.parametrize(
    "members", [{"reasons": None}, {"reasons": ["text"]}, {"degraded": [1]}, {"score": 101}]
)
def test_a_broken_assessment_is_refused(members: dict[str, Any]) -> None:
    assert isinstance(facts_of(envelope_of(an_assessment(1, **members))), Refused)


def test_a_refusal_does_not_repeat_the_value() -> None:
    refused = facts_of(changed(envelope_of(a_sale(1)), ("data", "payment", "currency"), "4111111111111111"))
    assert isinstance(refused, Refused)
    assert "4111" not in refused.detail


def fact(raw: dict[str, Any]) -> PaymentFact:
    payment = read(raw).payment
    assert payment is not None
    return payment


def test_the_later_state_wins_in_either_order_and_first_times_stay() -> None:
    created = fact(envelope_of(an_event(1, "payment.created.v1", payment=processing(1))))
    captured = fact(envelope_of(a_sale(2, 1)))
    refunded = fact(
        envelope_of(an_event(3, payment=a_payment(1, refunded_minor=5), at=NOON.replace(hour=13)))
    )
    for first, second in ((captured, refunded), (refunded, captured)):
        state = supersede(supersede(None, first), second)
        assert (state.refunded_minor, state.approved_at, state.position) == (5, NOON, 3)
    assert supersede(captured, created) == captured


def test_an_envelope_knows_its_stream_position() -> None:
    envelope = read(envelope_of(a_sale(7))).envelope
    assert isinstance(envelope, Envelope)
    assert envelope.position == 7
