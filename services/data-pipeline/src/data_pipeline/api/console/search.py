"""Search: straight to what a person means.

The form of the top bar posts, so that no e-mail becomes part of an address, a history or a log. What names nobody can
be asked for by an address, too: `/console/search?q=…`.
"""

from __future__ import annotations

import re
from typing import Annotated, Final
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import RedirectResponse, Response

from data_pipeline.api.access import deps_of
from data_pipeline.api.console.ledger import LEDGER
from data_pipeline.api.console.merchants import MERCHANTS
from data_pipeline.api.console.render import page
from data_pipeline.api.console.route import ConsoleRoute
from data_pipeline.api.console.session import ByOperator, PostedForm
from data_pipeline.domain.operators import Operator
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.find_in_ledger import InLedger, find_in_ledger
from data_pipeline.operations.find_payment import find_payment
from data_pipeline.operations.search_payers import Payers, find_by_email, find_by_last_four
from data_pipeline.operations.show_merchants import MerchantPage, list_merchants
from platform_kit.ids import is_id

SEARCH: Final = "/console/search"
QUERY_MAX: Final = 254  # as long as an e-mail may be
PART_MIN: Final = 3  # characters of a merchant's name: fewer would fit most
AMOUNT: Final = re.compile(r"([0-9][0-9,]{0,14}(?:\.[0-9]{1,4})?) ?([A-Za-z]{3})?", re.ASCII)
EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
LAST_FOUR: Final = re.compile(r"[0-9]{4}", re.ASCII)

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)
Before = Annotated[str, Query(pattern=r"^(pay_[0-9a-z]{26})?$")]


@router.post(SEARCH)
async def search(
    request: Request, by: ByOperator, form: PostedForm, deps: Deps = Depends(deps_of)
) -> Response:
    """Anything, an e-mail too."""
    query = form.get("q", "").strip()[:QUERY_MAX]
    if EMAIL.fullmatch(query) and query.isprintable():
        return _found(request, "this e-mail", await find_by_email(deps, by, query))
    return await _go(request, deps, by, query)


@router.get(SEARCH)
async def search_by_address(
    request: Request, by: ByOperator, q: str = "", before: Before = "", deps: Deps = Depends(deps_of)
) -> Response:
    """What names nobody."""
    query = q.strip()[:QUERY_MAX]
    if EMAIL.fullmatch(query):
        return page(request, "not_found.html", status=422, query="", of_person=True)
    return await _go(request, deps, by, query, before)


async def _go(request: Request, deps: Deps, by: Operator, query: str, before: str = "") -> Response:
    """To the payment, merchant, transfer or account of this name; to the payments of an amount or of a card."""
    found = await find_payment(deps, query) if query else None
    if found is not None:
        return RedirectResponse(f"/console/payments/{found}", 303)
    if LAST_FOUR.fullmatch(query):
        payers = await find_by_last_four(deps, by, query, before)
        return _found(request, f"a card that ends with {query}", payers, digits=query)
    if amount := AMOUNT.fullmatch(query):
        typed = {"min": amount[1], "max": amount[1], "currency": (amount[2] or "").upper()}
        return RedirectResponse(f"/console/payments?{urlencode(typed)}", 303)
    if is_id("mer", query):
        return RedirectResponse(f"{MERCHANTS}/{query}", 303)
    if query and (place := await find_in_ledger(deps, query)):
        return RedirectResponse(_in_ledger(place), 303)
    if len(query) >= PART_MIN and query.isprintable():
        named = await list_merchants(deps, query)
        if named.merchants:
            return RedirectResponse(_among_merchants(named, query), 303)
    return page(request, "not_found.html", status=404, query=query)


def _found(request: Request, what: str, payers: Payers, digits: str = "") -> Response:
    onward = payers.next_before and urlencode({"q": digits, "before": payers.next_before})
    return page(
        request,
        "found_payments.html",
        status=200 if payers.payments or payers.away or onward else 404,
        what=what,
        digits=digits,
        payers=payers,
        older=f"{SEARCH}?{onward}" if onward else None,
    )


def _among_merchants(named: MerchantPage, query: str) -> str:
    if len(named.merchants) == 1:
        return f"{MERCHANTS}/{named.merchants[0]['merchant_id']}"
    return f"{MERCHANTS}?{urlencode({'q': query})}"


def _in_ledger(place: InLedger) -> str:
    if place.journal:
        return f"{LEDGER}/transfers/{quote(place.journal)}"
    if place.account:
        return f"{LEDGER}/accounts/{quote(':'.join(place.account), safe=':')}"
    return f"{LEDGER}/accounts?{urlencode({'q': place.part})}"
