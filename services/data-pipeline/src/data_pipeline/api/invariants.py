"""GET /v1/invariants: what must hold of the warehouse, and whether it does."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from data_pipeline.api.access import answer, deps_of, require_internal
from data_pipeline.domain.invariants import Invariant
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.report_invariants import report_history, report_invariants
from platform_kit.contract import answer as answers

router = APIRouter(prefix="/v1/invariants", tags=["invariants"], dependencies=[Depends(require_internal)])


@router.get("", responses=answers("Invariants"))
async def list_invariants(deps: Deps = Depends(deps_of)) -> Response:
    """The last look at each: `kept` is true when all were judged and hold."""
    return answer(await report_invariants(deps))


@router.get("/{name}", responses=answers("InvariantHistory"))
async def show_history(
    name: Invariant, limit: Annotated[int, Query(ge=1, le=1000)] = 60, deps: Deps = Depends(deps_of)
) -> Response:
    """Looks at one of them, newest first."""
    return answer(await report_history(deps, name, limit))
