"""The list of payments: filters in the address, pages by key, CSV of what is on screen."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline_rig import NOON, a_payment, a_sale, an_event, ingest, rows
from running_service import Service
from seeded_day import Seeded

from data_pipeline.api.console.table_csv import csv_of
from data_pipeline.domain.exports import FORMULA_STARTS
from data_pipeline.domain.payment_filter import PaymentFilter, amount_ranges
from platform_kit.clock import isoformat
from platform_kit.money import CURRENCIES, format_minor


def ids_on(html: str) -> list[str]:
    return re.findall(r'class="id" href="/console/payments/(pay_\w+)"', html)


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("status=declined", "status = 'declined'"),
        ("channel=wallet_sim", "channel = 'wallet_sim'"),
        ("method=wallet", "method = 'wallet'"),
        ("currency=jpy", "currency = 'JPY'"),
        ("decision=block", "decision = 'block'"),
        ("merchant=mer_nobody", "false"),
        ("currency=EUR&min=20&max=99.99", "currency = 'EUR' AND amount_minor BETWEEN 2000 AND 9999"),
        ("currency=KWD&min=1.5", "currency = 'KWD' AND amount_minor >= 1500"),
        (
            "status=captured&method=card&decision=review",
            "status='captured' AND method='card' AND decision='review'",
        ),
        (
            "from=2026-11-23T11:30&to=2026-11-23T11:45",
            "created_at >= '2026-11-23 11:30Z' AND created_at < '2026-11-23 11:45Z'",
        ),
    ],
)
async def test_a_filter_shows_what_it_says_and_nothing_else(
    service: Service, seeded: Seeded, query: str, where: str
) -> None:
    html = await service.page(f"/console/payments?{query}")
    kept = await rows(
        service.deps.engine, f"fact_payment WHERE {where}", "payment_id", "created_at DESC, payment_id DESC"
    )
    assert ids_on(html) == [row["payment_id"] for row in kept][:50]
    for part in query.split("&"):
        name, _, value = part.partition("=")
        shown = value.upper() if name == "currency" else value
        assert f'value="{shown}"' in html or f'name="{name}"' in html


async def test_pages_by_key_lead_through_every_payment_once(service: Service, seeded: Seeded) -> None:
    path, seen = "/console/payments", []
    while path:
        html = await service.page(path)
        seen += ids_on(html)
        older = re.search(r'href="([^"]*)" rel="next"', html)
        path = older[1].replace("&amp;", "&") if older else ""
    kept = await rows(service.deps.engine, "fact_payment", "payment_id", "created_at DESC, payment_id DESC")
    assert seen == [row["payment_id"] for row in kept]
    assert len(seen) == 150


async def test_payments_of_the_same_moment_are_not_lost_between_pages(service: Service) -> None:
    await ingest(
        service.deps.engine,
        [an_event(n, payment=a_payment(n, created_at=isoformat(NOON))) for n in range(1, 76)],
    )
    html = await service.page("/console/payments")
    older = re.search(r'href="([^"]*)" rel="next"', html)
    assert older
    rest = await service.page(older[1].replace("&amp;", "&"))
    assert len({*ids_on(html), *ids_on(rest)}) == 75


@pytest.mark.parametrize(
    "query",
    [
        "currency=XX",
        "min=abc",
        "min=-1",
        "max=1e40",
        "min=NaN",
        "from=yesterday",
        "before=x",
        "before=20261123T120000.000000~pay_x",
        "status=%00",
        "merchant=" + "m" * 65,
    ],
)
async def test_a_filter_that_is_not_understood_is_told(service: Service, query: str) -> None:
    await service.page(f"/console/payments?{query}", status=422)


async def test_the_csv_is_what_is_on_screen_and_runs_nothing(service: Service) -> None:
    await ingest(
        service.deps.engine,
        [a_sale(1, reference="=HYPERLINK(1)"), a_sale(2, currency="JPY", amount_minor=1250)],
    )
    async with service.session.get(f"{service.url}/console/payments.csv?currency=EUR") as answer:
        assert answer.content_type == "text/csv"
        assert "attachment" in answer.headers["content-disposition"]
        told: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(await answer.text())))
    assert [(row["amount"], row["currency"], row["reference"]) for row in told] == [
        ("12.50", "EUR", "'=HYPERLINK(1)")
    ]
    assert csv_of(("a",), [{"a": -5}]) == "a\r\n-5\r\n"
    for start in FORMULA_STARTS:  # what an export may not have, the list may not have either
        assert list(csv.reader(io.StringIO(csv_of(("a",), [{"a": start}]), newline="")))[1] == [f"'{start}"]


async def test_all_of_a_list_are_exported_where_an_export_can_say_the_same(
    service: Service, seeded: Seeded
) -> None:
    html = await service.page("/console/payments?channel=card_sim&currency=EUR&from=2026-11-23T11:30")
    address = re.findall(r'href="(/console/exports\?[^"]*)"', html)[
        -1
    ]  # the rail's, before it, has the times alone
    form = await service.page(address.replace("&amp;", "&"))
    for value in ("card_sim", "EUR", "2026-11-23T11:30"):
        assert f'value="{value}"' in form
    assert '<option value="payments" selected>' in form
    assert "Export all" not in await service.page("/console/payments?currency=EUR&status=declined")


async def test_an_empty_list_says_why(service: Service, seeded: Seeded) -> None:
    assert "No payment fits" in await service.page("/console/payments?status=voided")


@pytest.mark.parametrize(
    ("query", "location"),
    [
        ("12.50", "/console/payments?min=12.50&max=12.50&currency="),
        ("1,250.00 eur", "/console/payments?min=1%2C250.00&max=1%2C250.00&currency=EUR"),
    ],
)
async def test_search_takes_an_amount(service: Service, query: str, location: str) -> None:
    async with service.session.get(
        f"{service.url}/console/search", params={"q": query}, allow_redirects=False
    ) as answer:
        assert (answer.status, answer.headers["location"]) == (303, location)
    await ingest(service.deps.engine, [a_sale(1), a_sale(2, currency="JPY", amount_minor=1250)])
    assert ids_on(await service.page("/console/payments?min=12.50&max=12.50&currency=")) == [
        a_payment(1)["id"]
    ]


@given(st.sampled_from(sorted(CURRENCIES)), st.integers(0, 10**9), st.booleans())
def test_an_amount_is_found_by_what_is_written_of_it(
    currency: str, amount_minor: int, is_named: bool
) -> None:
    written = Decimal(format_minor(amount_minor, currency).replace(",", ""))
    wanted = PaymentFilter(currency=currency if is_named else None, amount_min=written, amount_max=written)
    fitting = [r for r in amount_ranges(wanted) if currency in r.currencies]
    assert [(r.low_minor, r.high_minor) for r in fitting] == [(amount_minor, amount_minor)]


def test_an_amount_between_two_minor_units_is_rounded_inwards() -> None:
    """Found in review: `//` of a Decimal truncates towards zero, so the lower bound was 1250."""
    between = PaymentFilter(currency="EUR", amount_min=Decimal("12.505"), amount_max=Decimal("13.505"))
    [found] = amount_ranges(between)
    assert (found.low_minor, found.high_minor) == (1251, 1350)


async def test_a_time_with_an_offset_is_the_same_moment(service: Service, seeded: Seeded) -> None:
    until = (NOON - timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%M")
    there = (NOON - timedelta(minutes=10) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M%%2B01:00")
    assert ids_on(await service.page(f"/console/payments?to={until}")) == ids_on(
        await service.page(f"/console/payments?to={there}")
    )
