"""Thresholds from costs: worked by hand, and against trying all of them."""

from itertools import combinations_with_replacement

from hypothesis import given
from hypothesis import strategies as st

from risk_engine.domain.decision import Decision
from risk_engine.domain.thresholds import LADDER, Costs, CostTable, Known, cheapest

ALLOW, REVIEW, CHALLENGE, BLOCK = LADDER


def test_what_each_mistake_costs() -> None:
    costs = Costs()
    of = {
        (decision, is_fraud): costs.of(decision, 10_000, is_fraud=is_fraud) / 10_000
        for decision in LADDER
        for is_fraud in (True, False)
    }
    assert of[ALLOW, True] == 10_000 + 1_500
    assert of[REVIEW, True] == 300 + 1_150
    assert of[CHALLENGE, True] == 575
    assert of[BLOCK, True] == 0
    assert (of[ALLOW, False], of[REVIEW, False], of[CHALLENGE, False], of[BLOCK, False]) == (
        0,
        300,
        100,
        1_000,
    )


def test_a_sharp_score_is_cut_where_fraud_begins() -> None:
    table = CostTable(Costs())
    table.add(Known(score, 10_000, False, ALLOW) for score in range(60) for _ in range(10))
    table.add(Known(score, 10_000, True, ALLOW) for score in range(60, 101))
    report = table.as_report()
    assert report["thresholds"] == {"block": 60}
    assert report["cost_proposed_minor"] == 0
    assert report["cost_decided_minor"] == report["cost_always_minor"]["allow"] == 41 * 11_500
    assert (report["payments"], report["frauds"]) == (641, 41)


def test_the_less_sure_the_score_the_milder_the_decision() -> None:
    """A fifth, a half and nine tenths of the payments of three scores are fraud."""
    table = CostTable(Costs(challenge_passes_bp=4_000))
    for score, frauds in ((20, 1), (50, 50), (90, 99)):
        table.add(Known(score, 10_000, True, ALLOW) for _ in range(frauds))
        table.add(Known(score, 10_000, False, ALLOW) for _ in range(100 - frauds))
    found = table.as_report()["thresholds"]
    assert list(found) == sorted(found, key=lambda name: Decision(name).severity)
    assert list(found.values()) == sorted(found.values())


def test_where_nothing_pays_nobody_is_troubled() -> None:
    table = CostTable(Costs())
    table.add(Known(score, 10_000, False, ALLOW) for score in range(101))
    assert table.as_report()["thresholds"] == {}


def test_a_decision_that_may_not_be_taken_is_not_proposed() -> None:
    table = CostTable(Costs())
    table.add(Known(90, 10_000, True, ALLOW) for _ in range(3))
    assert set(table.as_report((ALLOW, REVIEW, CHALLENGE))["thresholds"]) == {"challenge"}


ROWS = st.lists(st.lists(st.integers(0, 20), min_size=4, max_size=4), min_size=1, max_size=6)


@given(ROWS)
def test_no_thresholds_are_cheaper(rows: list[list[int]]) -> None:
    total, thresholds = cheapest(rows)
    every = range(len(rows) + 1)
    assert total == min(_cost(rows, cuts) for cuts in combinations_with_replacement(every, 3))
    cuts, after = [], len(rows)
    for decision in (BLOCK, CHALLENGE, REVIEW):
        after = thresholds.get(decision, after)
        cuts.append(after)
    assert _cost(rows, tuple(reversed(cuts))) == total


def _cost(rows: list[list[int]], cuts: tuple[int, ...]) -> int:
    """Cost when review, challenge and block begin at `cuts`."""
    return sum(row[sum(score >= cut for cut in cuts)] for score, row in enumerate(rows))
