"""Labels: what became known of payments, as it was known at a time."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from platform_kit.app import JsonResponse
from platform_kit.body import StrictRoute
from platform_kit.contract import answer
from risk_engine.api.authentication import Analyst, require_reader
from risk_engine.api.schemas.fields import Id, Moment
from risk_engine.api.schemas.labels import LabelUpload
from risk_engine.domain.labels import LabelSource
from risk_engine.operations.record_labels import list_labels, upload_labels

router = APIRouter(prefix="/v1/labels", tags=["labels"], route_class=StrictRoute)


@router.post("", responses=answer("UploadedLabels"))
async def upload(body: LabelUpload, request: Request, actor: Analyst) -> Response:
    """Up to 1,000 labels from elsewhere, each with an answer and a status of its own, in the order of the questions.
    What is known already is answered 200, so repeating the request is harmless."""
    deps = request.app.state.deps
    return JsonResponse({"data": await upload_labels(deps, body.labels(actor.name, deps.clock.now()))})


@router.get("", responses=answer("LabelPage"), dependencies=[Depends(require_reader)])
async def get_labels(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    known_at: Annotated[Moment | None, Query()] = None,
    payment_id: Annotated[Id | None, Query()] = None,
    source: LabelSource | None = None,
    cursor: Annotated[str | None, Query(pattern=r"^lbl_[0-9a-hjkmnp-tv-z]{26}$")] = None,
) -> Response:
    """The newest label of each payment and source as it was known at `known_at` (now, if not given): what came to be
    known later is not there, so that nothing is trained or measured with knowledge of its future."""
    page = await list_labels(
        request.app.state.deps,
        known_at=known_at,
        payment_id=payment_id,
        source=source,
        cursor=cursor,
        limit=limit,
    )
    return JsonResponse(page)
