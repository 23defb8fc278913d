"""What the platform's own people and services may read of the channels: journal and settlement."""

from __future__ import annotations

import asyncio
import re
from datetime import date

from starlette.requests import Request
from starlette.responses import Response

from payment_gateway.clients.simulators.asking import operators_simulators_of
from payment_gateway.clients.simulators.bank_statement import FORMATS, entries_of
from payment_gateway.clients.simulators.settlement import settlement_file
from platform_kit.app import JsonResponse
from platform_kit.money import CURRENCIES
from platform_kit.problems import InvalidRequest

JOURNAL_PAGE_MAX = 1000
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


async def read_journal(request: Request) -> Response:
    """GET /journal?channel=card_sim&after=0&limit=1000 -> {"data": [lines], "head": n}."""
    simulators = operators_simulators_of(request)
    query = request.query_params
    journal = simulators.named(query.get("channel", "card_sim")).book.journal
    after, limit = _number(query.get("after", "0")), _number(query.get("limit", "1000"))
    lines = await asyncio.to_thread(journal.read, after, min(limit, JOURNAL_PAGE_MAX))
    return JsonResponse(b'{"data":[%b],"head":%d}' % (b",".join(lines), journal.head))


async def read_settlement(request: Request) -> Response:
    """GET /settlement?channel=card_sim&date=2026-11-23 -> the file of that UTC day."""
    simulators = operators_simulators_of(request)
    simulator = simulators.named(request.query_params.get("channel", ""))
    day = request.query_params.get("date", "")
    if not DAY.fullmatch(day):
        raise InvalidRequest("date must be YYYY-MM-DD.")
    return Response(
        await asyncio.to_thread(settlement_file, simulator.book, simulator.fees, day), media_type="text/csv"
    )


async def read_bank_statement(request: Request) -> Response:
    """GET /bank-statement?date=2026-11-24&currency=EUR&format=camt053 -> what channels paid out to us on that day."""
    simulators = operators_simulators_of(request)
    query = request.query_params
    currency, form = query.get("currency", ""), FORMATS.get(query.get("format", "camt053"))
    day = query.get("date", "")
    if not DAY.fullmatch(day) or currency not in CURRENCIES or form is None:
        raise InvalidRequest("date must be YYYY-MM-DD, currency a code, format camt053 or mt940.")
    try:
        booked_on = date.fromisoformat(day)
    except ValueError:
        raise InvalidRequest("date is no day of the calendar.") from None
    channels = [(one.book, one.fees) for one in simulators.channels.values()]
    entries = await asyncio.to_thread(entries_of, channels, booked_on, currency)
    return Response(form(booked_on, currency, entries), media_type="application/octet-stream")


def _number(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 12):
        raise InvalidRequest("after and limit must be whole numbers.")
    return int(value)
