"""GET and POST /v1/exports: a report or a list of payments as a file, made by the worker."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from data_pipeline.api.access import MAY_NOT_ACT, ByAnyOperator, answer, deps_of, require_internal
from data_pipeline.api.reports import EARLIEST, LATEST, REPORT_SPAN, InvalidQuestion
from data_pipeline.domain.exports import MEDIA_TYPES, PAYMENTS, FileFormat
from data_pipeline.domain.questions import BadQuestion, Grain, Question, ask
from data_pipeline.domain.report_definition import ReportName
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.open_export import open_export
from data_pipeline.operations.request_export import (
    LIST_MAX,
    RequestExport,
    list_exports,
    request_export,
    show_export,
)
from platform_kit.body import StrictRoute
from platform_kit.contract import Responses, problems
from platform_kit.contract import answer as answers
from platform_kit.moments import Moment

router = APIRouter(prefix="/v1/exports", tags=["exports"], route_class=StrictRoute)

ExportId = Annotated[str, Path(pattern=r"^exp_[0-9a-z]{26}$")]
Word = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]
SECOND_MAX: Final = 32_503_680_000  # the year 3000
_TOKEN: Final = [Depends(require_internal)]
_UNKNOWN: Final = problems({404: "not-found: there is no such export"})
_FILE: Final[Responses] = {
    200: {
        "description": "the file",
        "content": {
            kind.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
            for kind in MEDIA_TYPES.values()
        },
    }
}


class ExportRequest(BaseModel):
    """What goes into the file: a report with its question, or `payments` of a range."""

    model_config = ConfigDict(extra="forbid")

    subject: Literal["payments"] | ReportName
    format: FileFormat = FileFormat.CSV
    after: Moment | None = Field(default=None, alias="from")
    before: Moment | None = Field(default=None, alias="to")
    time_zone: str = Field(default="UTC", max_length=64)
    grain: Grain = Grain.TOTAL
    by: list[Word] = Field(default_factory=list, max_length=10)
    merchant_id: Word | None = None
    channel: Word | None = None
    method: Word | None = None
    currency: Word | None = None

    def question(self, deps: Deps) -> Question:
        """As the report would be asked; payments are asked for as volume is. Raises InvalidQuestion."""
        before = self.before or deps.clock.now()
        if not EARLIEST <= (self.after or before) <= before <= LATEST:
            raise InvalidQuestion("Both ends must lie between the years 2000 and 2999, `from` before `to`.")
        if self.subject == PAYMENTS and (self.by or self.grain is not Grain.TOTAL):
            raise InvalidQuestion("Payments are one a row: they have no grain, and are not split.")
        name = ReportName.VOLUME if self.subject == PAYMENTS else ReportName(self.subject)
        given = {"merchant_id": self.merchant_id, "channel": self.channel, "method": self.method}
        try:
            return ask(
                name,
                (self.after or before - REPORT_SPAN).astimezone(UTC),
                before.astimezone(UTC),
                zone=self.time_zone,
                grain=self.grain,
                by=self.by,
                filters=given | {"currency": self.currency},
            )
        except BadQuestion as refusal:
            raise InvalidQuestion(str(refusal)) from refusal


@router.post(
    "",
    status_code=202,
    dependencies=_TOKEN,
    responses=answers("Export", 202)
    | MAY_NOT_ACT
    | problems({422: "invalid-question: this cannot be exported"}),
)
async def create_export(
    request: ExportRequest, by: ByAnyOperator, deps: Annotated[Deps, Depends(deps_of)]
) -> Response:
    """Ask for a file. It is made within seconds or minutes: poll the export until its state is `done`."""
    command = RequestExport(request.subject, request.question(deps), request.format, by.name)
    return answer(await request_export(deps, command), 202)


@router.get("", dependencies=_TOKEN, responses=answers("ExportList"))
async def list_all(
    deps: Annotated[Deps, Depends(deps_of)], limit: Annotated[int, Query(ge=1, le=LIST_MAX)] = 20
) -> Response:
    """The latest exports, newest first."""
    return answer({"data": await list_exports(deps, limit)})


@router.get("/{export_id}", dependencies=_TOKEN, responses=_UNKNOWN | answers("Export"))
async def show(export_id: ExportId, deps: Annotated[Deps, Depends(deps_of)]) -> Response:
    """One export: progress, then manifest and a link that opens the file for a while."""
    return answer(await show_export(deps, export_id))


@router.get(
    "/{export_id}/file",
    response_class=StreamingResponse,
    responses=_FILE | problems({403: "link-not-valid", 410: "file-gone: it is not kept any longer"}),
)
async def download(
    export_id: ExportId,
    expires: Annotated[int, Query(ge=0, le=SECOND_MAX, description="seconds since 1970")],
    signature: Annotated[str, Query(pattern=r"^[0-9a-f]{64}$")],
    deps: Annotated[Deps, Depends(deps_of)],
) -> Response:
    """The file, to whoever has its signed link: no token is asked for."""
    file = await open_export(deps, export_id, expires, signature)
    headers = {
        "Content-Disposition": f'attachment; filename="{file.name}"',
        "Cache-Control": "private, no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(file.chunks, media_type=file.media_type, headers=headers)
