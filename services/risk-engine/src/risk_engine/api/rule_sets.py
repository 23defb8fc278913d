"""Rule sets: save one (it is compiled and tested), publish one, read them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from platform_kit.app import JsonResponse
from platform_kit.body import StrictRoute
from platform_kit.contract import answer
from risk_engine.api.authentication import require_internal
from risk_engine.api.schemas import RuleDocument
from risk_engine.operations.publish_rule_set import (
    get_rule_set,
    list_rule_sets,
    publish_rule_set,
    save_rule_set,
)

router = APIRouter(
    prefix="/v1/rule-sets",
    tags=["rule sets"],
    route_class=StrictRoute,
    dependencies=[Depends(require_internal)],
)
Hash = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]


@router.post("", status_code=201, responses=answer("SavedRuleSet", 201))
async def create_rule_set(body: RuleDocument, request: Request) -> Response:
    """Validate and save a rule document; answers its content hash. A bad rule is named with the reason (422)."""
    saved = await save_rule_set(request.app.state.deps, body.model_dump(exclude_unset=True))
    rendered = {"hash": saved.hash, "object": "rule_set", "name": saved.name, "rule_count": len(saved.rules)}
    return JsonResponse(rendered, 201)


@router.post("/{rule_set}/publish", responses=answer("Publication"))
async def publish(rule_set: Hash, request: Request) -> Response:
    """Make a saved set live; every process decides with it within two seconds."""
    publication = await publish_rule_set(request.app.state.deps, rule_set)
    return JsonResponse({"hash": rule_set, "object": "rule_set_publication", "publication": publication.id})


@router.get("", responses=answer("RuleSetList"))
async def list_sets(request: Request, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> Response:
    """Saved sets, newest first; `is_live` marks the one that decides."""
    return JsonResponse({"data": await list_rule_sets(request.app.state.deps, limit)})


@router.get("/{rule_set}", responses=answer("RuleSet"))
async def get_set(rule_set: Hash, request: Request) -> Response:
    """The document of a set."""
    return JsonResponse(await get_rule_set(request.app.state.deps, rule_set))
