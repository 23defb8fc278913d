"""The points of a backtest's plots."""

from hypothesis import given
from hypothesis import strategies as st

from risk_engine.domain.score_curve import ScoreCurve

SCORED = st.tuples(
    st.integers(0, 100), st.integers(0, 10**9), st.sampled_from([True, False, None]), st.booleans()
)


def curve_of(scored: list[tuple[int, int, bool | None, bool]]) -> ScoreCurve:
    curve = ScoreCurve()
    for score, amount, is_fraud, was_stopped in scored:
        curve.add(score, amount, is_fraud=is_fraud, was_stopped=was_stopped)
    return curve


def test_a_curve_by_hand() -> None:
    report = curve_of(
        [
            (90, 10_000, True, False),
            (90, 4_000, False, False),
            (70, 2_000, None, False),  # nobody knows: stopped, and neither right nor wrong
            (40, 3_000, True, True),  # it was stopped already: nothing new is saved by stopping it
            (5, 1_000, False, False),
        ]
    ).as_report()
    assert {name: report[name] for name in ("payments", "frauds", "fraud_minor", "legitimate")} == {
        "payments": 5, "frauds": 2, "fraud_minor": 13_000, "legitimate": 2,
    }  # fmt: skip
    points = report["points"]
    assert [point["score_from"] for point in points] == [5, 40, 70, 90]
    assert [point["stopped"]["number"] for point in points] == [5, 4, 3, 2]
    assert [point["precision"]["share"] for point in points] == [0.5, 0.666667, 0.5, 0.5]
    assert [point["recall"]["share"] for point in points] == [1.0, 1.0, 0.5, 0.5]
    assert [point["fraud_stopped_minor"] for point in points] == [13_000, 13_000, 10_000, 10_000]
    assert [point["money_saved_minor"] for point in points] == [10_000, 10_000, 7_000, 7_000]
    assert [point["good_stopped"]["number"] for point in points] == [2, 1, 1, 1]
    assert [point["good_stopped_minor"] for point in points] == [5_000, 4_000, 4_000, 4_000]
    # Newcombe's method 3 of 1 in 2
    assert (points[3]["good_stopped"]["low_95"], points[3]["good_stopped"]["high_95"]) == (0.094531, 0.905469)


def test_without_a_scored_payment_there_is_no_point() -> None:
    assert ScoreCurve().as_report() == {
        "payments": 0, "frauds": 0, "fraud_minor": 0, "legitimate": 0, "points": [],
    }  # fmt: skip


@given(st.lists(SCORED, max_size=60))
def test_each_point_is_what_stopping_from_its_score_on_comes_to(
    scored: list[tuple[int, int, bool | None, bool]],
) -> None:
    report = curve_of(scored).as_report()
    assert [point["score_from"] for point in report["points"]] == sorted({one[0] for one in scored})
    for point in report["points"]:
        stopped = [one for one in scored if one[0] >= point["score_from"]]
        assert point["stopped"]["number"] == len(stopped)
        assert point["frauds_stopped"] == sum(one[2] is True for one in stopped)
        assert point["good_stopped"]["number"] == sum(one[2] is False for one in stopped)
        assert point["fraud_stopped_minor"] == sum(one[1] for one in stopped if one[2])
