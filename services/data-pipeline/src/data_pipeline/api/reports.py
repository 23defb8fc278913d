"""GET /v1/reports/…: the catalogue and its reports; the overview, roll-ups, the ledger as the warehouse knows it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from data_pipeline.api.access import answer, deps_of, require_internal
from data_pipeline.domain import questions
from data_pipeline.domain.questions import BadQuestion, Question
from data_pipeline.domain.report_definition import ReportName
from data_pipeline.domain.reports import REPORTS
from data_pipeline.domain.rollups import Grain
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.report_overview import report_overview
from data_pipeline.operations.report_rollups import report_corrections, report_ledger, report_rollups
from data_pipeline.operations.run_report import definition, run_report
from platform_kit.contract import answer as answers
from platform_kit.contract import problems
from platform_kit.moments import Moment
from platform_kit.problems import InvalidRequest

SPAN_MAX = {Grain.MINUTE: timedelta(days=2), Grain.HOUR: timedelta(days=62), Grain.DAY: timedelta(days=400)}
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2999, 12, 31, tzinfo=UTC)
SPAN = {Grain.MINUTE: timedelta(hours=1), Grain.HOUR: timedelta(days=2), Grain.DAY: timedelta(days=30)}
REPORT_SPAN = timedelta(days=30)

router = APIRouter(prefix="/v1/reports", tags=["reports"], dependencies=[Depends(require_internal)])


class InvalidRange(InvalidRequest):
    code, title = "invalid-range", "The time range is not acceptable"


class InvalidQuestion(InvalidRequest):
    code, title = "invalid-question", "The report cannot answer this"


Word = Annotated[str | None, Query(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]


@router.get("", responses=answers("ReportCatalogue"))
async def list_reports() -> Response:
    """Every report: what it counts, by which clock, each number with its unit, its meaning and its formula."""
    return answer({"data": [definition(report) for report in REPORTS.values()]})


@router.get("/overview", responses=answers("Overview"))
async def show_overview(deps: Deps = Depends(deps_of)) -> Response:
    """What the first page of the console shows."""
    return answer(await report_overview(deps))


@router.get("/rollups", responses=answers("Rollups"))
async def show_rollups(
    grain: Grain,
    after: Annotated[Moment | None, Query(alias="from")] = None,
    before: Annotated[Moment | None, Query(alias="to")] = None,
    deps: Deps = Depends(deps_of),
) -> Response:
    """Buckets of [from, to) by currency, method, channel and decision; default the last hour or 30 days.

    A day is closed 35 days after its end: what becomes known of its payments later stands in `corrections`, under the
    day on which it did, signed; those of the days that begin in the range.
    """
    before = before or deps.clock.now() + timedelta(minutes=1)
    if not EARLIEST <= (after or before) <= before <= LATEST:
        raise InvalidRange("Both ends must lie between the years 2000 and 2999, `from` before `to`.")
    after = after or before - SPAN[grain]
    if not timedelta() < before - after <= SPAN_MAX[grain]:
        raise InvalidRange(f"`to` must be after `from`, by at most {SPAN_MAX[grain].days} days.")
    rows = await report_rollups(deps, grain, after.astimezone(UTC), before.astimezone(UTC))
    corrections = await report_corrections(deps, after.astimezone(UTC), before.astimezone(UTC))
    return answer({"grain": grain, "from": after, "to": before, "data": rows, "corrections": corrections})


@router.get("/ledger", responses=answers("LedgerTotals"))
async def show_ledger(deps: Deps = Depends(deps_of)) -> Response:
    """Transfers and money moved by currency, to compare with the gateway's own ledger."""
    return answer({"currencies": await report_ledger(deps), "as_of": datetime.now(UTC)})


def question_of(
    deps: Annotated[Deps, Depends(deps_of)],
    name: ReportName,
    after: Annotated[Moment | None, Query(alias="from")] = None,
    before: Annotated[Moment | None, Query(alias="to")] = None,
    time_zone: Annotated[
        str, Query(max_length=64, description="an IANA name, such as Europe/Berlin")
    ] = "UTC",
    grain: questions.Grain = questions.Grain.TOTAL,
    by: Annotated[str, Query(max_length=200, description="options of the report, comma-separated")] = "",
    merchant_id: Word = None,
    channel: Word = None,
    method: Word = None,
    currency: Word = None,
) -> Question:
    """The question in the query: facts in [from, to), by default of the last 30 days."""
    before = before or deps.clock.now()
    if not EARLIEST <= (after or before) <= before <= LATEST:
        raise InvalidQuestion("Both ends must lie between the years 2000 and 2999, `from` before `to`.")
    filters = {"merchant_id": merchant_id, "channel": channel, "method": method, "currency": currency}
    splits = [word for word in by.split(",") if word]
    try:
        return questions.ask(
            name,
            after or before - REPORT_SPAN,
            before,
            zone=time_zone,
            grain=grain,
            by=splits,
            filters=filters,
        )
    except BadQuestion as refusal:
        raise InvalidQuestion(str(refusal)) from refusal


@router.get(
    "/{name}",
    responses=answers("Report")
    | problems(
        {
            422: "invalid-question: the report cannot answer this",
            503: "no-snapshot: ENGINE is not postgres, and there is no snapshot yet",
        }
    ),
)
async def show_report(
    question: Annotated[Question, Depends(question_of)], deps: Annotated[Deps, Depends(deps_of)]
) -> Response:
    """One report: definition, rows in the order of their keys, and the position they are true of. Over live facts, or,
    by the setting ENGINE, over their snapshot: then `snapshot` says which, and which days broke a rule and are older.

    At most 10,000 rows; `has_more` says that there are others: ask coarser, or export.
    """
    return answer(await run_report(deps, question))
