"""The lattice, the bands and `decide`: more evidence never makes a decision milder."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from risk_rig import a_document, a_rule, a_rule_set

from risk_engine.domain.decision import Decision, most_severe
from risk_engine.domain.failure_policy import FAULT_REASONS, Band, Fault, floor_of
from risk_engine.domain.rules import Evaluation, Reason, Rule, content_hash, decide, score_band

decisions = st.sampled_from(Decision)
BANDS = [
    {"at_least": 60, "then": "review", "code": "high", "text": "High."},
    {"at_least": 90, "then": "challenge", "code": "very_high", "text": "Very high."},
]
RULES = a_rule_set(score_bands=BANDS)


def a_hit(then: Decision, number: int = 1) -> Rule:
    return Rule(f"rule_{number}", "true", then, Reason(f"code_{number}", "A sentence."))


def test_block_beats_challenge_beats_review_beats_allow() -> None:
    assert sorted(Decision, key=lambda one: one.severity) == ["allow", "review", "challenge", "block"]
    assert most_severe([]) is Decision.ALLOW


@given(decisions, decisions, decisions)
def test_the_decisions_form_a_lattice(a: Decision, b: Decision, c: Decision) -> None:
    def join(x: Decision, y: Decision) -> Decision:
        return most_severe([x, y])

    assert join(a, a) is a
    assert join(a, b) is join(b, a)
    assert join(join(a, b), c) is join(a, join(b, c))
    assert join(a, Decision.ALLOW) is a


hits = st.lists(decisions, max_size=5).map(
    lambda found: tuple(a_hit(then, n) for n, then in enumerate(found))
)
scores = st.none() | st.integers(0, 100)
faults = st.lists(st.sampled_from(Fault), unique=True, max_size=4)


@given(hits, scores, st.sampled_from(Band), faults)
def test_a_decision_is_the_most_severe_proposal_and_its_first_reason_says_why(
    found: tuple[Rule, ...], score: int | None, band: Band, missing: list[Fault]
) -> None:
    outcome = decide(RULES, Evaluation(found), score, band, missing)
    proposals = [rule.then for rule in found] + [floor_of([fault], band) for fault in missing]
    if score is not None and (reached := score_band(RULES, score)):
        proposals.append(reached.then)
    assert outcome.decision is most_severe(proposals)
    assert outcome.degraded == tuple(missing)
    assert len(outcome.reasons) == sum(1 for one in proposals if one is not Decision.ALLOW) + sum(
        1 for rule in found if rule.then is Decision.ALLOW
    )


@given(hits, scores, st.sampled_from(Band), faults, decisions, st.sampled_from(Fault), st.integers(0, 100))
def test_more_evidence_never_makes_it_milder(
    found: tuple[Rule, ...],
    score: int | None,
    band: Band,
    missing: list[Fault],
    more: Decision,
    fault: Fault,
    higher: int,
) -> None:
    before = decide(RULES, Evaluation(found), score, band, missing).decision.severity
    with_hit = decide(RULES, Evaluation((*found, a_hit(more, 9))), score, band, missing)
    with_fault = decide(RULES, Evaluation(found), score, band, [*missing, fault])
    with_score = decide(RULES, Evaluation(found), max(score or 0, higher), band, missing)
    assert min(one.decision.severity for one in (with_hit, with_fault, with_score)) >= before


def test_a_rule_that_failed_is_a_fault_and_not_a_missing_match() -> None:
    outcome = decide(RULES, Evaluation(errors=(("rule_1", "boom"),)), 0, Band.HIGH)
    assert outcome.degraded == (Fault.RULE_ERROR,)
    assert outcome.decision is Decision.REVIEW
    assert outcome.reasons == (Reason("degraded_rule_error", FAULT_REASONS[Fault.RULE_ERROR]),)


@pytest.mark.parametrize(
    ("score", "code"), [(0, None), (59, None), (60, "high"), (89, "high"), (90, "very_high")]
)
def test_the_highest_band_that_a_score_reaches_applies(score: int, code: str | None) -> None:
    found = score_band(RULES, score)
    assert (found.reason.code if found else None) == code


@pytest.mark.parametrize(
    ("amount_minor", "currency", "reference_minor"),
    [
        (1250, "EUR", 1250),
        (1000, "USD", 900),
        (1000, "JPY", 600),  # no decimals: 1,000 yen at 0.006 are 6.00 euro
        (1000, "KWD", 290),  # three decimals: 1.000 dinar at 2.9 is 2.90 euro
        (1, "JPY", 1),  # 0.6 cent, rounded half up
        (1000, "GBP", None),  # no rate
    ],
)
def test_amounts_are_compared_in_the_reference_currency(
    amount_minor: int, currency: str, reference_minor: int | None
) -> None:
    assert a_rule_set().reference_minor(amount_minor, currency) == reference_minor


@pytest.mark.parametrize(
    ("amount_minor", "currency", "band"),
    [
        (4_999, "EUR", Band.LOW),
        (5_000, "EUR", Band.MEDIUM),
        (50_000, "EUR", Band.HIGH),
        (200_000, "EUR", Band.VERY_HIGH),
        (5_000, "USD", Band.LOW),  # 45 euro
        (8_000, "JPY", Band.MEDIUM),  # own bands win over the converted 48 euro
        (1, "GBP", Band.VERY_HIGH),  # nobody sized it
    ],
)
def test_amount_bands(amount_minor: int, currency: str, band: Band) -> None:
    bands = a_document()["amount_bands"] | {"JPY": {"medium": 8_000, "high": 80_000, "very_high": 300_000}}
    assert a_rule_set(amount_bands=bands).band_of(amount_minor, currency) is band


def test_the_hash_is_of_the_content_and_not_of_its_order() -> None:
    document = a_document()
    assert content_hash(document) == content_hash(dict(reversed(document.items())))
    changed = document | {"rules": [a_rule(when="amount_minor > 100001")]}
    assert content_hash(document) != content_hash(changed)


def test_a_rule_set_cannot_be_edited() -> None:
    rules = a_rule_set()
    with pytest.raises(AttributeError):
        rules.name = "other"  # type: ignore[misc]
    assert replace(rules, name="other").hash == rules.hash
