"""Settlements: what is paid to whom and when, and each statement as its merchant sees it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import RedirectResponse, Response

from data_pipeline.api.access import deps_of
from data_pipeline.api.console.render import page
from data_pipeline.api.console.route import ConsoleRoute
from data_pipeline.api.console.session import ByOperator, may
from data_pipeline.api.settlements import (
    as_download,
    batch_cursor,
    batch_of,
    left_out_cursor,
    line_cursor,
    line_of,
)
from data_pipeline.domain.merchant_statement import SECTIONS, StatementFormat
from data_pipeline.domain.operators import Permission
from data_pipeline.domain.settlement_batch import BALANCE, State
from data_pipeline.operations.close_settlement import (
    CloseSettlement,
    NothingToSettle,
    SettlementClosed,
    close_settlement,
)
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.name_merchants import name_merchants
from data_pipeline.operations.show_settlement_checks import list_left_out, show_checks
from data_pipeline.operations.show_settlements import (
    Wanted,
    count_settlements,
    list_settlements,
    show_lines,
    show_settlement,
)
from data_pipeline.store.settlements import COUNTED_MAX
from platform_kit.money import CURRENCIES

PATH: Final = "/console/settlements"
PAGE: Final = 50
LINES: Final = 100

router = APIRouter(prefix=PATH, include_in_schema=False, route_class=ConsoleRoute)
SettlementId = Annotated[str, Path(pattern=r"^stl_[0-9a-z]{26}$")]
Word = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")]


@router.get("")
async def show_settlements_page(
    request: Request,
    state: Word = "",
    merchant: Word = "",
    currency: Word = "",
    before: Word = "",
    deps: Deps = Depends(deps_of),
) -> Response:
    """Batches by state, the newest first."""
    chosen = State(state) if state in set(State) else None
    code = currency.strip().upper()
    typed = {"state": chosen or "", "merchant": merchant.strip(), "currency": code}
    typed = {name: str(value) for name, value in typed.items() if value}
    wanted = Wanted(chosen, merchant.strip() or None, code if code in CURRENCIES else None)
    found = await list_settlements(deps, wanted, batch_of(before), PAGE)
    older = {**typed, "before": batch_cursor(found[-1])} if len(found) == PAGE else None
    return page(
        request,
        "settlements.html",
        batches=found,
        names=await name_merchants(deps, (batch["merchant_id"] for batch in found)),
        counts=await count_settlements(deps),
        counted_max=COUNTED_MAX,
        checks=await show_checks(deps),
        states=list(State),
        typed={"state": "", "merchant": "", "currency": ""} | typed,
        is_filtered=bool(typed),
        first=f"{PATH}?{urlencode(typed)}" if before else None,
        older=f"{PATH}?{urlencode(older)}" if older else None,
    )


@router.get("/left-out")
async def show_left_out_page(request: Request, before: Word = "", deps: Deps = Depends(deps_of)) -> Response:
    """Movements that were in no batch when they were found, and the batch that has each by now."""
    found = await list_left_out(deps, line_of(before), PAGE)
    address = f"{PATH}/left-out"
    return page(
        request,
        "left_out.html",
        movements=found,
        checks=await show_checks(deps),
        first=address if before else None,
        older=f"{address}?{urlencode({'before': left_out_cursor(found[-1])})}"
        if len(found) == PAGE
        else None,
    )


@router.get("/{settlement_id}")
async def show_settlement_page(
    request: Request,
    settlement_id: SettlementId,
    by: ByOperator,
    after: Word = "",
    deps: Deps = Depends(deps_of),
) -> Response:
    """The statement, which nets to the payout."""
    return await _settlement(request, deps, settlement_id, by.may(Permission.CLOSE_BREAKS), after)


@router.post("/{settlement_id}/close", dependencies=[Depends(may(Permission.CLOSE_BREAKS))])
async def close(
    request: Request, settlement_id: SettlementId, by: ByOperator, deps: Deps = Depends(deps_of)
) -> Response:
    """Close an open batch now; its row says by whom."""
    try:
        await close_settlement(deps, CloseSettlement(settlement_id, by.name))
    except (SettlementClosed, NothingToSettle) as refused:
        return await _settlement(request, deps, settlement_id, True, refused=refused)
    return RedirectResponse(f"{PATH}/{settlement_id}", 303)


@router.get("/{settlement_id}/statement.{format}")
async def download(
    settlement_id: SettlementId, format: StatementFormat, deps: Deps = Depends(deps_of)
) -> Response:
    """The file; the session is the right to it."""
    return await as_download(deps, settlement_id, format)


async def _settlement(
    request: Request,
    deps: Deps,
    settlement_id: str,
    may_close: bool,
    after: str = "",
    *,
    refused: SettlementClosed | NothingToSettle | None = None,
) -> Response:
    batch = await show_settlement(deps, settlement_id)
    lines = await show_lines(deps, settlement_id, line_of(after), LINES)
    names = await name_merchants(deps, [batch["merchant_id"]])
    address, is_open = f"{PATH}/{settlement_id}", batch["state"] == State.OPEN
    more = f"{address}?{urlencode({'after': line_cursor(lines[-1])})}" if len(lines) == LINES else None
    return page(
        request,
        "settlement.html",
        status=refused.status if refused else 200,
        refused=refused,
        batch=batch,
        name=batch["merchant_name"] or names.get(batch["merchant_id"]),
        sections=[(section, batch["sections"][section]) for section in SECTIONS],
        balance=BALANCE,
        lines=lines,
        first=address if after else None,
        more=more,
        may_close=may_close and is_open,
        steps=_steps(batch),
        began=datetime(1970, 1, 2, tzinfo=UTC),
    )


def _steps(batch: dict[str, Any]) -> list[tuple[str, datetime | None]]:
    """The states of its life, with the time at which it came there."""
    return [
        ("closed", batch["closed_at"]),
        ("statement made", batch["generated_at"]),
        ("paid", batch["paid_at"]),
        ("reconciled", batch["reconciled_at"]),
    ]
