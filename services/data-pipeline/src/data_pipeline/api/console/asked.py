"""A question to a report as it was typed into a form: words in, a checked question out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.datastructures import QueryParams

from data_pipeline.domain.exports import PAYMENTS
from data_pipeline.domain.questions import BadQuestion, Grain, Question, ask, zones
from data_pipeline.domain.report_definition import ReportName
from data_pipeline.domain.reports import FILTERS, REPORTS
from platform_kit.problems import InvalidRequest

SPAN: Final = timedelta(days=7)
"""Of a page that nobody has asked anything yet: shorter than the API's month, so that it is there at once."""
TEXT_MAX: Final = 64
DAY_LENGTH: Final = len("2026-11-23")
ONCE: Final = ("from", "to", "zone", "grain", *FILTERS)


class Unanswerable(InvalidRequest):
    code, title = "invalid-question", "The report cannot answer this"


def typed_of(asked: QueryParams | Mapping[str, str]) -> dict[str, str]:
    """What was typed, by the names of the address; what is empty is left out. `by` is one word, comma-separated."""
    found = {name: asked.get(name, "").strip()[:TEXT_MAX] for name in ONCE}
    many = asked.getlist("by") if isinstance(asked, QueryParams) else [asked.get("by", "")]
    found["by"] = ",".join(word.strip() for text in many[:20] for word in text.split(",") if word.strip())[
        :200
    ]
    return {name: text for name, text in found.items() if text and "\x00" not in text}


def address_of(typed: Mapping[str, str], **more: str) -> str:
    """The same as a query."""
    return urlencode({**more, **typed})


def question_of(subject: str, typed: Mapping[str, str], now: datetime) -> Question:
    """Of a report, or of `payments`. Times without an offset are of the zone that was chosen. What only another report
    can be split or filtered by is left out: the report changes, the rest stays. Raises Unanswerable."""
    name = ReportName.VOLUME if subject == PAYMENTS else _name(subject)
    report, zone = REPORTS[name], typed.get("zone", "UTC")
    if zone not in zones():
        raise Unanswerable("The time zone is none of the IANA's names, such as Europe/Berlin.")
    is_split = subject != PAYMENTS
    before = _moment(typed.get("to"), zone) or now
    try:
        return ask(
            name,
            _moment(typed.get("from"), zone) or before - SPAN,
            before,
            zone=zone,
            grain=_grain(typed.get("grain")) if is_split and report.has_grain else Grain.TOTAL,
            by=_known(typed.get("by", "").split(","), report.options) if is_split else (),
            filters={one: typed.get(one) for one in report.filters},
        )
    except BadQuestion as refusal:
        raise Unanswerable(str(refusal)) from refusal


def form_values(typed: Mapping[str, str]) -> dict[str, Any]:
    """What the form's fields hold; a day is shown as its first minute, for the field is of minutes."""
    blank: dict[str, Any] = dict.fromkeys((*ONCE, "by"), "")
    ends = {
        name: f"{text}T00:00" for name in ("from", "to") if len(text := typed.get(name, "")) == DAY_LENGTH
    }
    splits = typed.get("by", "").split(",")
    return {**blank, "zone": "UTC", "grain": "total", **typed, **ends, "splits": splits}


def _name(text: str) -> ReportName:
    try:
        return ReportName(text)
    except ValueError:
        raise Unanswerable(f"A report is one of: {', '.join(ReportName)}.") from None


def _grain(text: str | None) -> Grain:
    try:
        return Grain(text or Grain.TOTAL)
    except ValueError:
        raise Unanswerable(f"A grain is one of: {', '.join(Grain)}.") from None


def _known(words: Sequence[str], options: Sequence[str]) -> list[str]:
    return [word for word in words if word in options]


def _moment(text: str | None, zone: str) -> datetime | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unanswerable("A time is written like 2026-11-23 or 2026-11-23T14:30.") from None
