"""The system: is anything stuck?"""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from data_pipeline.api.access import deps_of
from data_pipeline.api.console.render import page
from data_pipeline.api.console.route import ConsoleRoute
from data_pipeline.api.console.session import visit_of
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.show_system import show_system, stuck

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)


@router.get("/console/system")
async def show_system_page(request: Request, deps: Deps = Depends(deps_of)) -> Response:
    """Positions, jobs, versions; what wants somebody stands on top."""
    system = await show_system(deps)
    return page(request, "system.html", system=system, stuck=stuck(system, visit_of(request).now))
