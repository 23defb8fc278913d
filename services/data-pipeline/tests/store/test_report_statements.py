"""Statements of reports that are kept: what comes of an earlier question is what the question itself would make."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from data_pipeline.domain.questions import Grain, Question, ask
from data_pipeline.domain.reports import REPORTS
from data_pipeline.store import reports

WINTER = datetime(2026, 11, 21, 3, 0, 0, 1, tzinfo=UTC)
LATER = datetime(2026, 11, 28, 1, 2, 3, 456_789, tzinfo=UTC)


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "_KEPT", {})


def a_question(name: str = "volume", **asked: object) -> Question:
    return ask(REPORTS[name].name, WINTER, WINTER + timedelta(hours=9), **asked)  # type: ignore[arg-type]


def at_another_time(question: Question) -> Question:
    return replace(question, after=LATER, before=LATER + timedelta(days=3, microseconds=5))


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_is_told_of_another_range_as_if_it_were_made_anew(name: str) -> None:
    for grain in (Grain.TOTAL, Grain.HOUR) if REPORTS[name].has_grain else (Grain.TOTAL,):
        first = a_question(name, grain=grain, by=REPORTS[name].options, zone="Europe/Berlin")
        reports.sql_of(first, 50)
        other = at_another_time(first)
        assert reports.sql_of(other, 50) == reports.compiled(other, 50)


def test_a_question_that_differs_by_its_range_alone_is_not_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reports.sql_of(a_question(), 50)
    monkeypatch.delattr(reports, "compiled")
    assert f"'{LATER.isoformat()}'" in reports.sql_of(at_another_time(a_question()), 50)


def test_any_other_difference_has_a_statement_of_its_own() -> None:
    others: list[dict[str, object]] = [
        {},
        {"grain": Grain.HOUR},
        {"grain": Grain.DAY},
        {"grain": Grain.DAY, "zone": "Asia/Kathmandu"},
        {"grain": Grain.WEEK},
        {"grain": Grain.MONTH},
        {"by": ["channel"]},
        {"filters": {"currency": "EUR"}},
        {"filters": {"currency": "USD"}},
    ]
    made = [reports.sql_of(at_another_time(a_question(**other)), 50) for other in others]
    assert len(set(made)) == len(others)
    for other in others:
        assert reports.sql_of(a_question(**other), 50) == reports.compiled(a_question(**other), 50)
    assert reports.sql_of(a_question(), 51).endswith("LIMIT 51")


def test_where_summer_time_ends_within_the_range_its_moment_is_the_question_s_own() -> None:
    autumn = datetime(2026, 10, 20, tzinfo=UTC)
    for moved in (timedelta(), timedelta(days=1)):
        question = replace(
            a_question(grain=Grain.HOUR, zone="Europe/Berlin"),
            after=autumn + moved,
            before=autumn + moved + timedelta(days=10),
        )
        assert reports.sql_of(question) == reports.compiled(question)


@pytest.mark.parametrize("text", ["<after>", f"x'{WINTER.isoformat()}'", "<before_us>"])
def test_who_filters_by_what_looks_like_a_time_filters_by_just_that(text: str) -> None:
    question = a_question(filters={"channel": text})
    for asked in (question, at_another_time(question)):
        assert reports.sql_of(asked) == reports.compiled(asked)


def test_what_is_kept_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "KEPT_MAX", 2)
    for limit in range(5):
        reports.sql_of(a_question(), limit)
    assert len(reports._KEPT) <= 2
