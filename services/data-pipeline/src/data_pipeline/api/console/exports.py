"""Exports: ask for a file, see how far it is, fetch it and what proves it."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import RedirectResponse, Response

from data_pipeline.api.access import deps_of
from data_pipeline.api.console.asked import Unanswerable, form_values, question_of, typed_of
from data_pipeline.api.console.render import page
from data_pipeline.api.console.route import ConsoleRoute
from data_pipeline.api.console.session import ByOperator, PostedForm
from data_pipeline.domain.exports import PAYMENTS, ExportState, FileFormat
from data_pipeline.domain.questions import Grain, zones
from data_pipeline.domain.reports import REPORTS
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.request_export import RequestExport, list_exports, request_export
from platform_kit.problems import InvalidRequest

PATH: Final = "/console/exports"
SHOWN: Final = 50
OPEN: Final = (ExportState.DUE, ExportState.RUNNING)

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


@router.get(PATH)
async def show_exports_page(
    request: Request,
    asked: Annotated[str, Query(max_length=40)] = "",
    subject: Annotated[str, Query(max_length=40)] = PAYMENTS,
    deps: Deps = Depends(deps_of),
) -> Response:
    """The latest files, and the form for another."""
    typed = typed_of(request.query_params)
    return await _exports(request, deps, {"subject": subject, "format": FileFormat.CSV, **typed}, asked=asked)


@router.post(PATH)
async def ask_for_export(
    request: Request, form: PostedForm, by: ByOperator, deps: Deps = Depends(deps_of)
) -> Response:
    """Ask the worker for a file, in the operator's name."""
    subject = form.get("subject", "")
    try:
        if (format_ := form.get("format", "")) not in set(FileFormat):
            raise Unanswerable(f"A file is one of: {', '.join(FileFormat)}.")
        question = question_of(subject, typed_of(form), deps.clock.now())
    except InvalidRequest as refused:
        return await _exports(request, deps, dict(form), refusal=str(refused.detail))
    made = await request_export(deps, RequestExport(subject, question, FileFormat(format_), by.name))
    return RedirectResponse(f"{PATH}?asked={made['id']}", 303)


async def _exports(
    request: Request, deps: Deps, draft: dict[str, str], *, asked: str = "", refusal: str | None = None
) -> Response:
    found = await list_exports(deps, SHOWN)
    return page(
        request,
        "exports.html",
        status=422 if refusal else 200,
        exports=found,
        is_making=any(one["state"] in OPEN for one in found),
        asked=next((one for one in found if one["id"] == asked), None),
        refusal=refusal,
        draft=form_values(draft),
        subjects={PAYMENTS: "Payments, one a row"} | {str(name): one.title for name, one in REPORTS.items()},
        formats=list(FileFormat),
        grains=list(Grain),
        zones=sorted(zones()),
        keep_days=deps.settings.export_keep_days,
    )
