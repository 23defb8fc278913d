"""What is a difference between the decision that the gateway acted upon and the stored one, and what is none."""

from dataclasses import replace

import pytest

from risk_engine.domain.acted_decisions import (
    EXAMPLES_MAX,
    ActedDecision,
    Difference,
    Found,
    difference_of,
    find_differences,
)
from risk_engine.domain.alerts import Severity

SAME = ActedDecision("pay_1", "captured", "mer_1", "asm_1", "allow", False, "allow")


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({}, None),
        ({"acted_on": "review", "stored": "review"}, None),
        ({"stored": "block"}, Difference.OTHER_DECISION),
        ({"acted_on": "block"}, Difference.OTHER_DECISION),
        ({"acted_on": None}, Difference.OTHER_DECISION),
        ({"stored": None}, Difference.UNKNOWN_ASSESSMENT),
        ({"assessment_id": None, "stored": None}, Difference.UNASSESSED),
        ({"assessment_id": None, "stored": None, "acted_on": None}, Difference.UNASSESSED),
        ({"assessment_id": None, "stored": None, "is_fallback": True}, None),
        ({"assessment_id": None, "stored": None, "acted_on": None, "is_fallback": None}, None),
        # Whoever names an assessment has to mean it, whatever else they say.
        ({"stored": "block", "is_fallback": True}, Difference.OTHER_DECISION),
    ],
)
def test_a_payment_follows_its_decision_or_differs_in_one_way(
    changes: dict[str, str | bool | None], difference: Difference | None
) -> None:
    assert difference_of(replace(SAME, **changes)) is difference  # type: ignore[arg-type]  # members by name


def test_one_difference_is_an_alert_that_names_its_payment() -> None:
    (signal,) = find_differences({Difference.OTHER_DECISION: Found(1, ("pay_7",))})
    assert (signal.kind, signal.scope, signal.decisions) == ("decision_differs", "other_decision", 1)
    assert signal.severity is Severity.CRITICAL
    assert "pay_7" in signal.summary
    assert signal.measures == {"payments": ["pay_7"]}


def test_an_alert_names_few_of_many_payments() -> None:
    (signal,) = find_differences({Difference.UNASSESSED: Found(9, tuple(f"pay_{n}" for n in range(9)))})
    assert len(signal.measures["payments"]) == EXAMPLES_MAX


def test_no_difference_is_no_alert() -> None:
    assert find_differences({}) == []
    assert find_differences({Difference.UNASSESSED: Found(0, ())}) == []
