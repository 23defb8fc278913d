"""Reconciliation by day and channel, and the payouts of channels against the bank."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from data_pipeline.api.access import deps_of
from data_pipeline.api.console.render import page
from data_pipeline.api.console.route import ConsoleRoute
from data_pipeline.api.console.table_csv import amount, as_download
from data_pipeline.domain.payouts import PayoutState
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.reconcile_payouts import report_payouts
from data_pipeline.operations.report_days import report_days
from data_pipeline.operations.report_reconciliations import report_reconciliations

PATH: Final = "/console/reconciliation"
MATRIX_DAYS: Final = 14
BREAKS_SHOWN: Final = 50  # the list has them all, page by page
PAYOUT_COLUMNS: Final = (
    "batch", "channel", "settled_on", "currency", "charges", "refunds", "fees", "net", "state", "received",
    "difference", "arrived_on",
)  # fmt: skip
PAYOUTS_SHOWN: Final = 150  # some 130 kB; a quarter has thousands, and CSV has them all
EARLIEST: Final = date(2000, 1, 1)

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)
State = Annotated[PayoutState | Literal[""], Query()]
Day = Annotated[date | None, Query(ge=EARLIEST, le=date(2999, 12, 31))]


@router.get(PATH)
async def show_reconciliation_page(
    request: Request, day: Day = None, deps: Deps = Depends(deps_of)
) -> Response:
    """What does not match, on which day and channel? The matrix ends with `day` when that lies further back."""
    today = deps.clock.now().date()
    last = today if day is None or day > today - timedelta(days=MATRIX_DAYS) else day
    matrix = await report_days(deps, last, MATRIX_DAYS)
    judged = [one for one, _ in matrix.cells]
    chosen = day or max(judged, default=today)
    first = min([*judged, chosen])  # days before the first run say nothing
    found = await report_reconciliations(deps, chosen, chosen)
    return page(
        request,
        "reconciliation.html",
        matrix=matrix,
        days=[one for one in matrix.days if one >= first],
        chosen=chosen,
        chosen_runs=found.runs,
        breaks=found.breaks[:BREAKS_SHOWN],
        open_count=sum(
            cell.broken_count + cell.late_count for (of, _), cell in matrix.cells.items() if of == chosen
        ),
        today=today,
        older=f"{PATH}?day={matrix.days[-1] - timedelta(days=1)}",
        newer=None if last == today else PATH,
    )


@router.get(f"{PATH}/payouts")
async def show_payouts_page(
    request: Request,
    to: Day = None,
    days: Annotated[int, Query(ge=1, le=92)] = 14,
    state: State = "",
    deps: Deps = Depends(deps_of),
) -> Response:
    """Did what the channels owe arrive at the bank?"""
    last = to or deps.clock.now().date()
    found = await report_payouts(deps, last - timedelta(days=days - 1), last)
    query = f"to={last}&days={days}" + (f"&state={state}" if state else "")
    shown = _whole_days([one for one in found if state in ("", one["state"])])
    first = shown.first_day if shown.is_cut else last - timedelta(days=days - 1)
    return page(
        request,
        "payouts.html",
        payouts=shown.payouts,
        cut_at=shown.first_day if shown.is_cut else None,
        counts={word: sum(one["state"] == word for one in found) for word in PayoutState},
        state=state,
        to=last,
        days=days,
        csv=f"{PATH}/payouts.csv?{query}",
        older=f"{PATH}/payouts?to={first - timedelta(days=1)}&days={days}"
        + (f"&state={state}" if state else ""),
        states=list(PayoutState),
    )


@dataclass(frozen=True, slots=True)
class _Shown:
    """Payouts of whole days, the newest; `is_cut`: days before `first_day` have some that are not among them."""

    payouts: list[dict[str, Any]]
    first_day: date
    is_cut: bool


def _whole_days(payouts: list[dict[str, Any]]) -> _Shown:
    """As many days as fit a page, and one at least."""
    newest = sorted({one["settled_on"] for one in payouts}, reverse=True)
    shown: list[date] = []
    for day in newest:
        if shown and sum(one["settled_on"] in (*shown, day) for one in payouts) > PAYOUTS_SHOWN:
            break
        shown.append(day)
    kept = [one for one in payouts if one["settled_on"] in shown]
    return _Shown(kept, min(shown, default=EARLIEST), len(kept) < len(payouts))


@router.get(f"{PATH}/payouts.csv")
async def download_payouts(
    to: Day = None,
    days: Annotated[int, Query(ge=1, le=92)] = 14,
    state: State = "",
    deps: Deps = Depends(deps_of),
) -> Response:
    """What the page with this address shows; amounts as decimals of their currency."""
    last = to or deps.clock.now().date()
    found = await report_payouts(deps, last - timedelta(days=days - 1), last)
    rows = [_as_decimals(one) for one in found if state in ("", one["state"])]
    return as_download("payouts", PAYOUT_COLUMNS, rows)


def _as_decimals(one: dict[str, Any]) -> dict[str, Any]:
    minor = {
        "charges": one["charge_minor"],
        "refunds": one["refund_minor"],
        "fees": one["fee_minor"],
        "net": one["net_minor"],
        "received": one["received_minor"],
        "difference": one["difference_minor"],
    }
    return one | {name: amount(value, one["currency"]) for name, value in minor.items()}
