"""GET /v1/status: how far each stream is read."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Response

from data_pipeline.api.access import answer, deps_of, require_internal
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.report_status import report_status
from platform_kit.contract import answer as answers

router = APIRouter(prefix="/v1", tags=["status"], dependencies=[Depends(require_internal)])


@router.get("/status", responses=answers("Status"))
async def show_status(deps: Deps = Depends(deps_of)) -> Response:
    """Position, head and lag of each stream, events stored, quarantine. Asks the producers for their heads."""
    return answer(await report_status(deps))
