"""Rule sets: check, save, approve, publish, try. People do all of it, the platform's services only read."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from platform_kit.app import JsonResponse
from platform_kit.body import StrictRoute
from platform_kit.contract import answer, problems
from risk_engine.api.authentication import Analyst, Lead, require_reader
from risk_engine.api.schemas.rule_sets import Approval, RuleDocument, TrialRequest
from risk_engine.operations.manage_rule_sets import (
    approve_rule_set,
    check_rule_set,
    get_rule_set,
    list_rule_sets,
    save_rule_set,
)
from risk_engine.operations.publish_rule_set import (
    begin_trial,
    publish_rule_set,
)

router = APIRouter(prefix="/v1/rule-sets", tags=["rule sets"], route_class=StrictRoute)
checks = APIRouter(prefix="/v1/rule-checks", tags=["rule sets"], route_class=StrictRoute)
READ = [Depends(require_reader)]
Hash = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]
Limit = Annotated[int, Query(ge=1, le=100)]


@checks.post("", responses=answer("CheckedRuleSet"))
async def check(body: RuleDocument, request: Request, by: Analyst) -> Response:
    """Look at a document and store nothing: each bad rule is named with the place and the reason (422)."""
    found = await check_rule_set(request.app.state.deps, body.model_dump(exclude_unset=True))
    return JsonResponse({"hash": found.hash, "name": found.name, "rule_count": len(found.rules)})


@router.post("", status_code=201, responses=answer("RuleSetSummary", 201))
async def create_rule_set(body: RuleDocument, request: Request, by: Analyst) -> Response:
    """Check and save a document; answers its content hash. The same content is the same set."""
    document = body.model_dump(exclude_unset=True)
    return JsonResponse(await save_rule_set(request.app.state.deps, document, by), 201)


@router.post(
    "/{rule_set}/approve",
    responses=answer("RuleSetSummary") | problems({409: "second-person-needed, not-backtested"}),
)
async def approve(rule_set: Hash, body: Approval, request: Request, by: Lead) -> Response:
    """Approve a set that somebody else saved; only then may it decide."""
    return JsonResponse(await approve_rule_set(request.app.state.deps, rule_set, body.note, by))


@router.post(
    "/{rule_set}/publish",
    responses=answer("Publication") | problems({409: "not-approved: a second person approves it first"}),
)
async def publish(rule_set: Hash, request: Request, by: Lead) -> Response:
    """Make an approved set live and end a trial; every process decides with it within two seconds."""
    return JsonResponse((await publish_rule_set(request.app.state.deps, rule_set, by)).as_answer())


@router.post(
    "/{rule_set}/trial",
    responses=answer("Publication") | problems({409: "not-approved, already-live, other-reference-currency"}),
)
async def try_beside(rule_set: Hash, body: TrialRequest, request: Request, by: Lead) -> Response:
    """Have an approved set judge each payment beside the live one, and decide a share of them."""
    publication = await begin_trial(request.app.state.deps, rule_set, body.share_bp, by)
    return JsonResponse(publication.as_answer())


@router.get("", dependencies=READ, responses=answer("RuleSetList"))
async def list_sets(request: Request, limit: Limit = 20) -> Response:
    """Saved sets, newest first; `status` says how far each has come."""
    return JsonResponse({"data": await list_rule_sets(request.app.state.deps, limit)})


@router.get("/{rule_set}", dependencies=READ, responses=answer("RuleSet"))
async def get_set(rule_set: Hash, request: Request) -> Response:
    """A set with its document."""
    return JsonResponse(await get_rule_set(request.app.state.deps, rule_set))
