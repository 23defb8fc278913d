"""What a backtest adds up, and how sure it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk_engine.domain.backtest import Judged, Tally
from risk_engine.domain.decision import Decision
from risk_engine.domain.shares import wilson

ALLOW, REVIEW, CHALLENGE, BLOCK = Decision


def test_the_interval_of_a_share_against_published_values() -> None:
    """Newcombe, Statistics in Medicine 17 (1998), table I, method 3."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=0.0001)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=0.0001)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=0.0001)
    assert wilson(1, 29) == pytest.approx((0.0061, 0.1718), abs=0.0001)
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_report_by_hand() -> None:
    tally = Tally()
    tally.add(
        [
            Judged(ALLOW, BLOCK, 10_000, True, ("r1",)),  # a fraud that is stopped now
            Judged(ALLOW, ALLOW, 2_000, True, ()),  # one that nothing touches
            Judged(BLOCK, ALLOW, 3_000, False, ()),  # a good customer who is let through now
            Judged(ALLOW, CHALLENGE, 4_000, False, ("r2",)),  # and one who is hurt
            Judged(ALLOW, REVIEW, 5_000, None, ("r1", "r2")),  # nobody knows
        ]
    )
    report = tally.as_report()
    assert (report["payments"], report["labelled"], report["frauds"], report["fraud_minor"]) == (
        5,
        4,
        2,
        12_000,
    )
    decided, tried = report["decided"], report["tried"]
    assert decided["decisions"] == {"allow": 4, "review": 0, "challenge": 0, "block": 1}
    assert tried["decisions"] == {"allow": 2, "review": 1, "challenge": 1, "block": 1}
    assert (decided["alert_rate"]["share"], tried["alert_rate"]["share"]) == (0.2, 0.6)
    assert (decided["precision"]["share"], tried["precision"]["share"]) == (0.0, 0.5)
    assert (decided["recall"]["share"], tried["recall"]["share"]) == (0.0, 0.5)
    assert (tried["frauds_stopped"], tried["fraud_stopped_minor"]) == (1, 10_000)
    assert (tried["good_stopped"]["number"], tried["good_stopped_minor"]) == (1, 4_000)
    assert (report["money_saved_minor"], report["good_customers_hurt"]) == (10_000, 0)
    assert report["rules"]["r1"] | {"precision": None} == {
        "hits": 2,
        "fraud": 1,
        "legitimate": 0,
        "precision": None,
    }
    assert {(one["was"], one["would"]) for one in report["changed"]} == {
        ("allow", "block"), ("block", "allow"), ("allow", "challenge"), ("allow", "review"),
    }  # fmt: skip
    assert (report["difference"]["stricter"], report["difference"]["milder"]) == (3, 1)


def test_nothing_at_all_is_a_report_too() -> None:
    report = Tally().as_report()
    assert report["tried"]["recall"] == {"share": None, "low_95": 0.0, "high_95": 1.0}


JUDGED = st.builds(
    Judged,
    st.sampled_from(Decision),
    st.sampled_from(Decision),
    st.integers(0, 10**9),
    st.sampled_from([True, False, None]),
    st.lists(st.sampled_from(["r1", "r2"]), max_size=2, unique=True).map(tuple),
    st.none() | st.integers(0, 100),
)


@given(st.lists(JUDGED, max_size=30), st.integers(0, 30))
def test_slices_and_order_do_not_matter(judged: list[Judged], cut: int) -> None:
    whole, sliced = Tally(), Tally()
    whole.add(judged)
    sliced.add(reversed(judged[cut:]))
    sliced.add(judged[:cut])
    assert whole.as_report() == sliced.as_report()
    assert sum(whole.as_report()["tried"]["decisions"].values()) == len(judged)
