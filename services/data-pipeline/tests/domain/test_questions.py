"""Questions to reports: what is refused, and where buckets begin in the zones of the world."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from data_pipeline.domain.questions import BadQuestion, Grain, ask, bucket_start, month_starts, offsets
from data_pipeline.domain.report_definition import ReportName, with_ratios
from data_pipeline.domain.reports import REPORTS

MARCH = datetime(2026, 3, 1, tzinfo=UTC)
ZONES = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Santiago",
     "Pacific/Apia", "Africa/Casablanca", "Asia/Beirut"]
)  # fmt: skip
MOMENTS = st.datetimes(datetime(2009, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(zone=ZONES, after=MOMENTS, days=st.integers(1, 1800), share=st.floats(0, 1, exclude_max=True))
@example(zone="Africa/Casablanca", after=MARCH, days=400, share=0.5)
def test_the_offsets_of_a_range_are_those_of_the_zone_at_every_moment(
    zone: str, after: datetime, days: int, share: float
) -> None:
    question = ask(ReportName.VOLUME, after, after + timedelta(days=days), zone=zone)
    at = (after + share * timedelta(days=days)).replace(microsecond=0)
    held = [ahead for since, ahead in offsets(question) if since <= at]
    known = at.astimezone(ZoneInfo(zone)).utcoffset()
    assert known is not None
    assert (held or [offsets(question)[0][1]])[-1] == known.total_seconds()


@given(zone=ZONES, after=MOMENTS, days=st.integers(1, 700))
def test_months_begin_at_local_midnight_and_cover_the_range(zone: str, after: datetime, days: int) -> None:
    question = ask(ReportName.VOLUME, after, after + timedelta(days=days), zone=zone, grain=Grain.MONTH)
    starts = month_starts(question)
    assert starts[0] <= after
    assert starts[-1] >= question.before
    assert starts == sorted(set(starts))
    local = [start.astimezone(ZoneInfo(zone)) for start in starts]
    assert {(at.day, at.hour) for at in local} <= {(1, 0), (1, 1)}  # a midnight that is skipped begins at one


def test_the_hour_that_autumn_has_twice_is_two_buckets() -> None:
    after = datetime(2026, 10, 24, 22, tzinfo=UTC)
    question = ask(
        ReportName.VOLUME, after, after + timedelta(days=1), zone="Europe/Berlin", grain=Grain.HOUR
    )
    second = int(datetime(2026, 10, 25, tzinfo=UTC).timestamp())
    labels = [bucket_start(second + 3600 * n, question).isoformat() for n in (0, 1)]
    assert labels == ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"before": MARCH}, "before"),
        ({"before": MARCH + timedelta(days=2000)}, "five years"),
        ({"grain": Grain.HOUR, "before": MARCH + timedelta(days=90)}, "62 days"),
        ({"zone": "Mars/Olympus"}, "IANA"),
        ({"by": ["colour"]}, "split by colour"),
        ({"filters": {"colour": "red"}}, "filtered by colour"),
        ({"name": ReportName.BREAK_AGEING, "grain": Grain.DAY}, "no grain"),
        ({"name": ReportName.RISK, "filters": {"channel": "card_sim"}}, "filtered by channel"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_words(changes: dict[str, object], words: str) -> None:
    given_ = {"name": ReportName.VOLUME, "after": MARCH, "before": MARCH + timedelta(days=1)} | changes
    with pytest.raises(BadQuestion, match=words):
        ask(**given_)  # type: ignore[arg-type]


def test_every_ratio_divides_measures_of_its_report() -> None:
    for report in REPORTS.values():
        measured = {measure.name for measure in report.measures}
        for ratio in report.ratios:
            assert {*ratio.above, *ratio.below} <= measured, report.name


def test_a_rate_of_nothing_is_none() -> None:
    row = {"payment_count": 0, "approved_count": 0, "declined_count": 0, "blocked_count": 0}
    assert with_ratios(REPORTS[ReportName.APPROVAL], row)["approval_rate"] is None
    row |= {"approved_count": 3, "declined_count": 1}
    assert with_ratios(REPORTS[ReportName.APPROVAL], row)["approval_rate"] == 0.75
