"""Payments: which ones? A filter bar whose every choice stands in the address."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from data_pipeline.api.access import deps_of
from data_pipeline.api.console.keyset import Unclear, key_of, read_key
from data_pipeline.api.console.moment import moment
from data_pipeline.api.console.render import page
from data_pipeline.api.console.route import ConsoleRoute
from data_pipeline.api.console.table_csv import amount, as_download
from data_pipeline.domain.exports import PAYMENTS
from data_pipeline.domain.facts import DECISIONS, STATUSES
from data_pipeline.domain.payment_filter import PaymentFilter
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.list_payments import PaymentPage, list_payments
from platform_kit.money import AMOUNT_MAX, CURRENCIES

PATH: Final = "/console/payments"
METHODS: Final = ("card", "wallet", "bank")
FIELDS: Final = (
    "status",
    "channel",
    "method",
    "currency",
    "merchant",
    "decision",
    "min",
    "max",
    "from",
    "to",
)
EXPORTED: Final = {
    "merchant": "merchant_id",
    "channel": "channel",
    "method": "method",
    "currency": "currency",
    "from": "from",
    "to": "to",
}
"""Parts of the filter by which an export can be asked for, and their names there."""
COLUMNS: Final = (
    "payment_id",
    "created_at",
    "status",
    "amount",
    "captured",
    "refunded",
    "currency",
    "method",
    "channel",
    "merchant_id",
    "reference",
    "decline_code",
    "decision",
    "score",
)

router = APIRouter(include_in_schema=False, route_class=ConsoleRoute)
Word = Annotated[str, Query(max_length=64, pattern=r"^[^\x00]*$")]


async def _filters(
    status: Word = "",
    channel: Word = "",
    method: Word = "",
    currency: Word = "",
    merchant: Word = "",
    decision: Word = "",
    min_: Annotated[Word, Query(alias="min")] = "",
    max_: Annotated[Word, Query(alias="max")] = "",
    since: Annotated[Word, Query(alias="from")] = "",
    until: Annotated[Word, Query(alias="to")] = "",
) -> dict[str, str]:
    """What was typed, by the names of the address; what is empty is left out."""
    typed = {"status": status, "channel": channel, "method": method, "currency": currency.upper()}
    typed |= {"merchant": merchant, "decision": decision, "min": min_, "max": max_}
    typed |= {"from": since, "to": until}
    return {name: text.strip() for name, text in typed.items() if text.strip()}


Typed = Annotated[dict[str, str], Depends(_filters)]


@router.get(PATH)
async def show_payments_page(
    request: Request, typed: Typed, before: Word = "", deps: Deps = Depends(deps_of)
) -> Response:
    """A page of fifty."""
    found = await _find(deps, typed, before)
    address = f"?{urlencode(typed)}" if typed else ""
    joint = "&" if typed else "?"
    return page(
        request,
        "payments.html",
        payments=found.payments,
        names=found.names,
        typed=dict.fromkeys(FIELDS, "") | typed,
        is_filtered=bool(typed),
        statuses=sorted(STATUSES),
        decisions=sorted(DECISIONS),
        channels=deps.settings.channels,
        methods=METHODS,
        first=PATH + address if before else None,
        looked_back_to=found.looked_back_to,
        older=f"{PATH}{address}{joint}before={key_of(*found.older)}" if found.older else None,
        export=_export(typed),
        csv=f"{PATH}.csv?{urlencode(typed | ({'before': before} if before else {}))}",
    )


@router.get(f"{PATH}.csv")
async def download_payments(typed: Typed, before: Word = "", deps: Deps = Depends(deps_of)) -> Response:
    """What the page with this address shows; amounts as decimals of their currency."""
    found = await _find(deps, typed, before)
    rows = [
        row
        | {
            "created_at": row["created_at"].isoformat(),
            "amount": amount(row["amount_minor"], row["currency"]),
            "captured": amount(row["captured_minor"], row["currency"]),
            "refunded": amount(row["refunded_minor"], row["currency"]),
        }
        for row in found.payments
    ]
    return as_download("payments", COLUMNS, rows)


def _export(typed: dict[str, str]) -> str | None:
    """Where all of them are asked for as a file; None when it would have others in it than the list."""
    if typed.keys() - EXPORTED.keys():
        return None
    asked = {EXPORTED[name]: text for name, text in typed.items()}
    return f"/console/exports?{urlencode({'subject': PAYMENTS, **asked})}"


async def _find(deps: Deps, typed: dict[str, str], before: str) -> PaymentPage:
    return await list_payments(deps, _understood(typed), read_key(before, r"pay_[0-9a-z]{26}"))


def _understood(typed: dict[str, str]) -> PaymentFilter:
    """Raises Unclear, in words for the person who typed it."""
    currency = typed.get("currency")
    if currency is not None and currency not in CURRENCIES:
        raise Unclear("A currency is an ISO 4217 code, like EUR.")
    return PaymentFilter(
        status=typed.get("status"),
        channel=typed.get("channel"),
        method=typed.get("method"),
        currency=currency,
        merchant_id=typed.get("merchant"),
        decision=typed.get("decision"),
        amount_min=_amount(typed.get("min")),
        amount_max=_amount(typed.get("max")),
        since=moment(typed.get("from", "")),
        until=moment(typed.get("to", "")),
    )


def _amount(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        value = Decimal(text.replace(",", ""))
    except InvalidOperation:
        raise Unclear("An amount is written like 12.50.") from None
    if not (value.is_finite() and 0 <= value <= AMOUNT_MAX):
        raise Unclear("An amount lies between nothing and ten billion.")
    return value
