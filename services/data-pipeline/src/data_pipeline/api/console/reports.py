"""Reports: a question in the address, its answer as a table, as bars where time is asked for, and the rows behind."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from data_pipeline.api.access import deps_of
from data_pipeline.api.console.asked import Unanswerable, address_of, form_values, question_of, typed_of
from data_pipeline.api.console.bucket_chart import bucket_chart
from data_pipeline.api.console.render import page
from data_pipeline.api.console.report_rows import behind
from data_pipeline.api.console.route import ConsoleRoute
from data_pipeline.api.console.table_csv import amount, as_download
from data_pipeline.domain.questions import Grain, zones
from data_pipeline.domain.report_definition import DIMENSIONS, Column, ReportName, Unit, half_even
from data_pipeline.domain.reports import REPORTS
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.run_report import run_report

PATH: Final = "/console/reports"
SHOWN_MAX: Final = 300  # rows on the screen; the file has up to 10,000

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


@router.get(PATH)
async def show_report_page(
    request: Request, report: str = "volume", deps: Deps = Depends(deps_of)
) -> Response:
    """One report; what cannot be answered is said beside the question, which stays."""
    typed, question, told, refusal = typed_of(request.query_params), None, None, None
    name = report if report in set(ReportName) else ReportName.VOLUME
    try:
        question = question_of(report, typed, deps.clock.now())
        told = await run_report(deps, question)
    except Unanswerable as unanswerable:
        refusal = str(unanswerable.detail)
    rows = told["rows"] if told else []
    return page(
        request,
        "reports.html",
        status=422 if refusal else 200,
        reports=REPORTS,
        definition=REPORTS[ReportName(name)],
        typed=form_values(typed),
        refusal=refusal,
        question=question,
        told=told,
        rows=[
            (row, behind(question, row, deps.clock.now()) if question else None) for row in rows[:SHOWN_MAX]
        ],
        row_count=len(rows),
        chart=bucket_chart(question, rows) if question and told and not told["has_more"] else None,
        grains=list(Grain),
        dimensions=DIMENSIONS,
        zones=sorted(zones()),
        units=Unit,
        half_even=half_even,
        csv=f"{PATH}.csv?{address_of(typed, report=name)}",
        export=f"/console/exports?{address_of(typed, subject=name)}",
    )


@router.get(f"{PATH}.csv")
async def download_report(
    request: Request, report: str = "volume", deps: Deps = Depends(deps_of)
) -> Response:
    """The whole answer or none; amounts as decimals of their currency, so no column is called minor."""
    question = question_of(report, typed_of(request.query_params), deps.clock.now())
    told = await run_report(deps, question)
    if told["has_more"]:
        raise Unanswerable(
            "More than 10,000 rows: ask coarser, or go back and take an export, which has them all."
        )
    columns = question.report.columns(question.keys)
    rows = [{_header(column): _cell(column, row) for column in columns} for row in told["rows"]]
    return as_download(report, [_header(column) for column in columns], rows)


def _header(column: Column) -> str:
    return column.name.removesuffix("_minor") if column.unit is Unit.MINOR else column.name


def _cell(column: Column, row: dict[str, Any]) -> Any:
    value = row[column.name]
    if column.unit is not Unit.MINOR or value is None:
        return value
    return amount(half_even(value), row["currency"])
