"""Which would-be blocks are let through, and which never."""

from typing import Any

import pytest
from risk_rig import facts_of

from risk_engine.domain.decision import Decision
from risk_engine.domain.failure_policy import Fault
from risk_engine.domain.let_through import is_drawn, may_be_let_through
from risk_engine.domain.rules import Outcome

BLOCKED = Outcome(Decision.BLOCK, (), ())


def test_the_share_is_what_was_asked_for_and_the_same_payment_is_always_drawn_alike() -> None:
    ids = [f"pay_{n}" for n in range(20_000)]
    drawn = [one for one in ids if is_drawn(b"secret", one, 100)]
    assert 140 <= len(drawn) <= 260, "1 % of 20,000"
    assert drawn == [one for one in ids if is_drawn(b"secret", one, 100)]
    assert set(drawn) <= {one for one in ids if is_drawn(b"secret", one, 200)}, "a larger share keeps them"
    assert drawn != [one for one in ids if is_drawn(b"other", one, 100)], "nobody tells without the secret"
    assert not any(is_drawn(b"secret", one, 0) for one in ids)


@pytest.mark.parametrize(
    ("outcome", "facts", "amount"),
    [
        (Outcome(Decision.CHALLENGE, (), ()), {}, 100),
        (Outcome(Decision.REVIEW, (), ()), {}, 100),
        (Outcome(Decision.ALLOW, (), ()), {}, 100),
        (Outcome(Decision.BLOCK, (), (Fault.VELOCITY,)), {}, 100),
        (BLOCKED, {"list_stolen": True}, 100),
        (BLOCKED, {}, 5_001),
        (BLOCKED, {}, None),
    ],
)
def test_some_are_never_let_through(outcome: Outcome, facts: dict[str, Any], amount: int | None) -> None:
    assert may_be_let_through(BLOCKED, facts_of(list_stolen=False), 5_000, 5_000)
    assert not may_be_let_through(outcome, facts_of(**facts), amount, 5_000)
