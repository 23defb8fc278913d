"""The ledger: do the books balance, what does this account hold, what did this journal move?"""

from __future__ import annotations

from dataclasses import astuple
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from data_pipeline.api.access import deps_of
from data_pipeline.api.console.keyset import key_of, moment_of
from data_pipeline.api.console.moment import BadMoment, moment, usual_moments
from data_pipeline.api.console.render import page
from data_pipeline.api.console.route import ConsoleRoute
from data_pipeline.api.console.session import ByOperator, visit_of
from data_pipeline.api.console.table_csv import amount, as_download
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.name_merchants import name_merchants, name_owners
from data_pipeline.operations.show_ledger import (
    AccountPage,
    list_accounts,
    show_account,
    show_books,
    show_journal,
)
from data_pipeline.store.balances import Key
from platform_kit.problems import NotFound

LEDGER: Final = "/console/ledger"
POSITION_MAX: Final = 2**62
COLUMNS: Final = (
    "occurred_at",
    "journal_id",
    "line",
    "kind",
    "belongs_to",
    "other_account",
    "debit",
    "credit",
    "balance",
    "currency",
)

router = APIRouter(prefix=LEDGER, include_in_schema=False, route_class=ConsoleRoute)
Word = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")]
Named = Annotated[str, Path(max_length=300, pattern=r"^[^\x00]+$")]


@router.get("")
async def show_ledger_page(request: Request, as_of: Word = "", deps: Deps = Depends(deps_of)) -> Response:
    """Debits and credits of each currency, side by side."""
    at = moment(as_of.strip())
    books = await show_books(deps, at)
    return page(
        request,
        "ledger.html",
        books=books,
        at=at,
        as_of=f"{at:%Y-%m-%dT%H:%M}" if at else "",
        usual=usual_moments(visit_of(request).now),
    )


@router.get("/accounts")
async def show_accounts_page(
    request: Request,
    q: Word = "",
    kind: Word = "",
    currency: Word = "",
    after: Word = "",
    deps: Deps = Depends(deps_of),
) -> Response:
    """Which account? A part of its name is enough."""
    typed = {"q": q.strip(), "kind": kind.strip(), "currency": currency.strip().upper()}
    chosen = {name: text for name, text in typed.items() if text}
    start = (after.rpartition(":")[0], after.rpartition(":")[2]) if after else None
    found, rest = await list_accounts(deps, typed["q"], typed["kind"], typed["currency"], start)
    older = f"{LEDGER}/accounts?{urlencode(chosen | {'after': ':'.join(rest)})}" if rest else None
    return page(
        request,
        "ledger_accounts.html",
        accounts=found,
        names=await name_owners(deps, (one["account"] for one in found)),
        typed=typed,
        is_filtered=bool(chosen),
        first=f"{LEDGER}/accounts?{urlencode(chosen)}" if after else None,
        older=older,
    )


@router.get("/accounts/{named}")
async def show_account_page(
    request: Request, named: Named, as_of: Word = "", before: Word = "", deps: Deps = Depends(deps_of)
) -> Response:
    """`named` is the account and its currency, `merchant:mer_01…:available:EUR`."""
    found, at = await _account(deps, named, as_of, before)
    kind, _, rest = found.account.partition(":")
    chosen = {"as_of": as_of.strip()} if at else {}
    address = f"{LEDGER}/accounts/{quote(named, safe=':')}"
    return page(
        request,
        "ledger_account.html",
        found=found,
        owner=rest.partition(":")[0] if kind == "merchant" else None,
        names=await name_owners(deps, [found.account, *(entry["other"] for entry in found.entries)]),
        at=at,
        as_of=f"{at:%Y-%m-%dT%H:%M}" if at else "",
        usual=usual_moments(visit_of(request).now),
        address=address,
        first=f"{address}?{urlencode(chosen)}" if before else None,
        older=f"{address}?{urlencode(chosen | {'before': key_of(*astuple(found.older))})}"
        if found.older
        else None,
        csv=f"{address}/entries.csv?{urlencode(chosen | ({'before': before} if before else {}))}",
    )


@router.get("/accounts/{named}/entries.csv")
async def download_entries(
    named: Named, as_of: Word = "", before: Word = "", deps: Deps = Depends(deps_of)
) -> Response:
    """What the page with this address shows; amounts as decimals, a balance in credit is positive."""
    found, _ = await _account(deps, named, as_of, before)
    return as_download("entries", COLUMNS, [_as_row(entry) for entry in found.entries])


@router.get("/transfers/{journal_id}")
async def show_journal_page(
    request: Request,
    journal_id: Annotated[str, Path(pattern=r"^[0-9A-Za-z_-]{1,64}$")],
    by: ByOperator,
    deps: Deps = Depends(deps_of),
) -> Response:
    """Debit to credit, line by line."""
    found = await show_journal(deps, journal_id, by)
    sides = (line[side] for line in found.lines for side in ("debit", "credit"))
    names = await name_owners(deps, sides) | await name_merchants(deps, [found.lines[0]["merchant_id"]])
    return page(request, "ledger_journal.html", id=journal_id, found=found, names=names)


async def _account(deps: Deps, named: str, as_of: str, before: str) -> tuple[AccountPage, datetime | None]:
    account, _, currency = named.rpartition(":")
    if not account:
        raise NotFound("An account is named with its currency, like platform:fees:EUR.")
    at = moment(as_of.strip())
    return await show_account(deps, account, currency, at, _read(before) if before else None), at


def _as_row(entry: dict[str, Any]) -> dict[str, Any]:
    moved = amount(entry["amount_minor"], entry["currency"])
    return entry | {
        "occurred_at": entry["occurred_at"].isoformat(),
        "belongs_to": entry["aggregate_id"],
        "other_account": entry["other"],
        "debit": moved if entry["is_debit"] else None,
        "credit": None if entry["is_debit"] else moved,
        "balance": amount(entry["balance_minor"], entry["currency"]),
    }


def _read(text: str) -> Key:
    """Raises BadMoment."""
    try:
        at, position, line = text.split("~")
        key = Key(moment_of(at), int(position), int(line))
    except ValueError:
        raise BadMoment("Go back to the first page.") from None
    if not (0 <= key.position <= POSITION_MAX and 0 <= key.line < 2**15):
        raise BadMoment("Go back to the first page.")
    return key
