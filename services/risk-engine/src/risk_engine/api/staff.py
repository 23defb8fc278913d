"""People of risk control and their tokens: the administrator's business, by the internal token."""

from fastapi import APIRouter, Depends, Request, Response

from platform_kit.app import JsonResponse
from platform_kit.body import StrictRoute
from platform_kit.contract import answer, problems
from risk_engine.api.authentication import require_internal
from risk_engine.api.schemas.staff import NewStaff
from risk_engine.operations.manage_staff import admit_staff, end_staff, list_staff

router = APIRouter(
    prefix="/v1/staff", tags=["staff"], route_class=StrictRoute, dependencies=[Depends(require_internal)]
)


@router.post(
    "",
    status_code=201,
    responses=answer("AdmittedStaff", 201)
    | problems({409: "name-taken: somebody who works here has this name"}),
)
async def admit(body: NewStaff, request: Request) -> Response:
    """Admit a person; `token` is shown this once."""
    return JsonResponse(await admit_staff(request.app.state.deps, body.name, body.role), 201)


@router.get("", responses=answer("StaffList"))
async def get_staff(request: Request) -> Response:
    """Everybody, newest first, also those who have ended."""
    return JsonResponse({"data": await list_staff(request.app.state.deps)})


@router.post("/{staff_id}/end", responses=answer("Staff"))
async def end(staff_id: str, request: Request) -> Response:
    """End a person's token; it works for at most a second more."""
    return JsonResponse(await end_staff(request.app.state.deps, staff_id))
