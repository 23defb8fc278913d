"""From a row of a report to the rows behind it, where a page of the console can show exactly those."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from data_pipeline.domain.questions import LENGTHS, Grain, Question, month_starts
from data_pipeline.domain.report_definition import BUCKET, ReportName

OF_PAYMENTS: Final = {
    "currency": "currency",
    "channel": "channel",
    "method": "method",
    "merchant_id": "merchant",
    "decision": "decision",
    BUCKET: "",
}
"""Keys of a report -> filters of the list of payments."""
PARTIAL: Final = frozenset({ReportName.LATENCY, ReportName.CHARGEBACKS})
"""Reports that count some payments of their range, by what the list of payments has no filter for."""
JUST_NOW: Final = timedelta(minutes=1)


def behind(question: Question, row: Mapping[str, Any], now: datetime) -> str | None:
    """The address of the rows that this one counts; None where no page has just those."""
    if question.name in PARTIAL:
        return None
    if question.name is ReportName.BREAK_AGEING:
        if abs(now - question.before) > JUST_NOW:  # the list is of what is open now, by its age now
            return None
        kept = {"channel": row["channel"], "class": row["break_class"], "age": row["age_band"]}
        return _address("/console/reconciliation/breaks", kept | {"currency": row["currency"]})
    if question.report.facts != "fact_payment" or "none" in {row[key] for key in question.keys}:
        return None
    if not set(question.keys) <= OF_PAYMENTS.keys():
        return None
    asked = {OF_PAYMENTS[key]: row[key] for key in question.keys if key != BUCKET}
    asked |= {OF_PAYMENTS[name]: value for name, value in question.filters.items()}
    since, until = _range(question, row)
    return _address("/console/payments", asked | {"from": _utc(since), "to": _utc(until)})


def _range(question: Question, row: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """The part of the question's range that the row's bucket has."""
    if question.grain is Grain.TOTAL:
        return question.after, question.before
    start = datetime.fromisoformat(row[BUCKET])
    if question.grain is Grain.MONTH:
        end = next((one for one in month_starts(question) if one > start), question.before)
    elif question.grain is Grain.HOUR:
        end = start.astimezone(UTC) + LENGTHS[Grain.HOUR]
    else:  # by the wall clock: a day may have 23 hours
        end = start + LENGTHS[question.grain]
    return max(start.astimezone(UTC), question.after), min(end.astimezone(UTC), question.before)


def _utc(at: datetime) -> str:
    return (
        at.astimezone(UTC)
        .replace(tzinfo=None)
        .isoformat(timespec="microseconds" if at.microsecond else "seconds")
    )


def _address(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode({name: value for name, value in query.items() if value})}"
