"""Which would-be blocks are let through, and which never."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from risk_rig import a_subject, facts_of

from risk_engine.domain.decision import Decision
from risk_engine.domain.facts import Subject
from risk_engine.domain.failure_policy import Fault
from risk_engine.domain.let_through import is_drawn, may_be_let_through
from risk_engine.domain.rules import Outcome

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
BLOCKED = Outcome(Decision.BLOCK, (), ())


def payers(day: datetime = NOON) -> list[Subject]:
    return [a_subject(n, card=f"card-{n}", occurred_at=day) for n in range(20_000)]


def drawn(secret: bytes, subjects: list[Subject], share_bp: int) -> list[str]:
    return [one.card for one in subjects if is_drawn(secret, one, share_bp)]


def test_the_share_is_what_was_asked_for_and_nobody_can_tell_whose_it_is() -> None:
    chosen = drawn(b"secret", payers(), 100)
    assert 140 <= len(chosen) <= 260, "1 % of 20,000"
    assert set(chosen) <= set(drawn(b"secret", payers(), 200)), "a larger share keeps them"
    assert chosen != drawn(b"other", payers(), 100), "nobody tells without the secret"
    assert drawn(b"secret", payers(), 0) == []


def test_who_tries_again_is_drawn_alike_until_midnight() -> None:
    for payer in payers()[:500]:
        again = replace(
            payer, payment_id="pay_another", key="another", occurred_at=NOON + timedelta(hours=11)
        )
        assert is_drawn(b"secret", payer, 5_000) == is_drawn(b"secret", again, 5_000)
    today, tomorrow = payers(), payers(NOON + timedelta(days=1))
    assert drawn(b"secret", today, 100) != drawn(b"secret", tomorrow, 100), "nobody has a pass for ever"


def test_the_day_is_the_same_wherever_the_clock_stands() -> None:
    elsewhere = timezone(timedelta(hours=13))
    for payer in payers()[:500]:
        there = replace(payer, occurred_at=payer.occurred_at.astimezone(elsewhere))
        assert is_drawn(b"secret", payer, 5_000) == is_drawn(b"secret", there, 5_000)


def test_payments_of_nobody_in_particular_are_drawn_one_by_one() -> None:
    nobody = replace(a_subject(1), card="", customer_id="", device="", ip="")
    found = {is_drawn(b"secret", replace(nobody, payment_id=f"pay_{n}"), 5_000) for n in range(50)}
    assert found == {True, False}


@pytest.mark.parametrize(
    ("outcome", "facts", "amount"),
    [
        (Outcome(Decision.CHALLENGE, (), ()), {}, 100),
        (Outcome(Decision.REVIEW, (), ()), {}, 100),
        (Outcome(Decision.ALLOW, (), ()), {}, 100),
        (Outcome(Decision.BLOCK, (), (Fault.VELOCITY,)), {}, 100),
        (BLOCKED, {"list_stolen": True}, 100),
        (BLOCKED, {"card_count_24h": 2}, 100),
        (BLOCKED, {"customer_count_1d": 2}, 100),
        (BLOCKED, {"device_count_1h": 2}, 100),
        (BLOCKED, {}, 5_001),
        (BLOCKED, {}, None),
    ],
)
def test_some_are_never_let_through(outcome: Outcome, facts: dict[str, Any], amount: int | None) -> None:
    assert may_be_let_through(BLOCKED, facts_of(list_stolen=False), 5_000, 5_000)
    assert not may_be_let_through(outcome, facts_of(**facts), amount, 5_000)
