"""Rule sets: what decides, what would change, an editor that names each fault's place, and the way to deciding."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import RedirectResponse, Response

from data_pipeline.api.access import deps_of
from data_pipeline.api.console.render import page
from data_pipeline.api.console.route import ConsoleRoute
from data_pipeline.api.console.score_plots import money_plot, rule_bars, share_plot
from data_pipeline.api.console.session import ByOperator, PostedForm, may, operator_of
from data_pipeline.clients.service_api import ServiceAway, ServiceRefused
from data_pipeline.domain.operators import Permission
from data_pipeline.domain.rule_documents import as_text
from data_pipeline.operations.change_rules import (
    Checked,
    approve_rule_set,
    backtest_rule_set,
    check_document,
    end_trial,
    list_rule_sets,
    live_document,
    publish_rule_set,
    roll_back,
    show_rule_set,
    try_rule_set,
)
from data_pipeline.operations.deps import Deps

RULES: Final = "/console/risk/rules"
BACKTEST_DAYS: Final = (1, 7, 30, 90)

router = APIRouter(prefix=RULES, include_in_schema=False, route_class=ConsoleRoute)
CHANGES: Final = [Depends(may(Permission.CHANGE_RULES))]
Hash = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]


@router.get("")
async def show_rules_page(request: Request, deps: Deps = Depends(deps_of)) -> Response:
    """What is live, and what waits to be?"""
    return await _all(request, deps)


@router.get("/edit")
async def show_editor_page(request: Request, by: ByOperator, deps: Deps = Depends(deps_of)) -> Response:
    """A new version of the set that decides, or of another one."""
    base = request.query_params.get("from", "")
    document = (
        (await show_rule_set(deps, by, base)).rule_set["document"]
        if len(base) == 64 and base.isalnum()
        else await live_document(deps, by)
    )
    return _editor(request, as_text(document), None)


@router.post("/edit", dependencies=CHANGES)
async def edit(request: Request, by: ByOperator, form: PostedForm, deps: Deps = Depends(deps_of)) -> Response:
    """Check, or check and save."""
    text, is_kept = form.get("document", ""), form.get("act") == "save"
    try:
        checked = await check_document(deps, by, text, is_kept=is_kept)
    except ServiceRefused as refused:
        return _editor(request, text, None, refused)
    if checked.hash:
        return RedirectResponse(f"{RULES}/{checked.hash}", 303)
    return _editor(request, text, checked)


@router.post("/end-trial", dependencies=CHANGES)
async def stop_trial(request: Request, by: ByOperator, deps: Deps = Depends(deps_of)) -> Response:
    """Let the live set decide alone."""
    return await _done(request, deps, end_trial(deps, by))


@router.post("/rollback", dependencies=CHANGES)
async def rollback(request: Request, by: ByOperator, deps: Deps = Depends(deps_of)) -> Response:
    """Make the set live again that decided before."""
    return await _done(request, deps, roll_back(deps, by))


@router.get("/{rule_set}")
async def show_rule_set_page(request: Request, rule_set: Hash, deps: Deps = Depends(deps_of)) -> Response:
    """One set: how it differs from what decides, what it would have done, and its next step."""
    return await _one(request, deps, rule_set)


@router.post("/{rule_set}/backtest", dependencies=CHANGES)
async def backtest(
    request: Request, rule_set: Hash, by: ByOperator, form: PostedForm, deps: Deps = Depends(deps_of)
) -> Response:
    """Have it decide the last days again."""
    days = next((days for days in BACKTEST_DAYS if str(days) == form.get("days")), 30)
    return await _done(request, deps, backtest_rule_set(deps, by, rule_set, days), rule_set)


@router.post("/{rule_set}/approve", dependencies=CHANGES)
async def approve(
    request: Request, rule_set: Hash, by: ByOperator, form: PostedForm, deps: Deps = Depends(deps_of)
) -> Response:
    """Read by a second person."""
    return await _done(request, deps, approve_rule_set(deps, by, rule_set, form.get("note", "")), rule_set)


@router.post("/{rule_set}/publish", dependencies=CHANGES)
async def publish(
    request: Request, rule_set: Hash, by: ByOperator, deps: Deps = Depends(deps_of)
) -> Response:
    """Make it decide."""
    return await _done(request, deps, publish_rule_set(deps, by, rule_set), rule_set)


@router.post("/{rule_set}/trial", dependencies=CHANGES)
async def begin_trial(
    request: Request, rule_set: Hash, by: ByOperator, form: PostedForm, deps: Deps = Depends(deps_of)
) -> Response:
    """Try it beside the live one."""
    percent = form.get("percent", "0")
    share_bp = int(percent) * 100 if percent.isdecimal() else 0
    return await _done(request, deps, try_rule_set(deps, by, rule_set, share_bp), rule_set)


async def _done(request: Request, deps: Deps, act: Awaitable[None], rule_set: str = "") -> Response:
    """Back to where the act was asked for; what the engine says no with is told there."""
    try:
        await act
    except ServiceRefused as refused:
        if rule_set:
            return await _one(request, deps, rule_set, refused)
        return await _all(request, deps, refused)
    return RedirectResponse(f"{RULES}/{rule_set}" if rule_set else RULES, 303)


async def _all(request: Request, deps: Deps, refused: ServiceRefused | None = None) -> Response:
    by = operator_of(request)
    try:
        found = await list_rule_sets(deps, by)
    except ServiceAway:
        found = None
    return page(
        request,
        "risk_rules.html",
        status=refused.status if refused else 200,
        found=found,
        refused=refused,
        may_change=by.may(Permission.CHANGE_RULES),
    )


async def _one(
    request: Request, deps: Deps, rule_set: str, refused: ServiceRefused | None = None
) -> Response:
    by = operator_of(request)
    view = await show_rule_set(deps, by, rule_set)
    report = (view.backtest or {}).get("report") or {}
    curve = report.get("curve") or {}
    has_curve = bool(curve.get("points"))
    currency = view.rule_set["document"]["reference_currency"]
    return page(
        request,
        "risk_rule_set.html",
        status=refused.status if refused else 200,
        view=view,
        curve=curve,
        share_plot=share_plot(curve) if has_curve else None,
        money_plot=money_plot(curve, currency) if has_curve else None,
        rule_bars=rule_bars(report.get("rules", {})),
        refused=refused,
        days=BACKTEST_DAYS,
        may_change=by.may(Permission.CHANGE_RULES),
    )


def _editor(
    request: Request, text: str, checked: Checked | None, refused: ServiceRefused | None = None
) -> Response:
    status = refused.status if refused else 422 if checked and checked.faults else 200
    return page(
        request,
        "risk_rule_editor.html",
        status=status,
        text=text,
        checked=checked,
        refused=refused,
        may_change=operator_of(request).may(Permission.CHANGE_RULES),
    )
