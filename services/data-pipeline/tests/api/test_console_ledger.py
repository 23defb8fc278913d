"""The ledger's pages: sums that are zero, balances that are the transfers', and a page without the gateway."""

from __future__ import annotations

import csv
import io
import re
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from pipeline_rig import NOON, World, a_journal, a_sale, an_event, ingest, rows
from running_service import Service
from seeded_day import Seeded

from data_pipeline.api.console.moment import usual_moments
from data_pipeline.operations.verify_invariants import verify_invariants

MERCHANT = "merchant:mer_00000000000000000000000001:available"
CARD = "channel:card_sim:receivable"
ACCOUNT = f"/console/ledger/accounts/{MERCHANT}:EUR"


def cells(page: str) -> list[str]:
    """The text of every table cell."""
    found = re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", page, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in found]


async def test_the_trial_balance_adds_up_to_the_transfers(service: Service, seeded: Seeded) -> None:
    page = await service.page("/console/ledger")
    transfers = await rows(service.deps.engine, "fact_transfer")
    assert "Debits equal credits in 4 currencies" in page
    for currency, decimals in (("EUR", 2), ("KWD", 3), ("JPY", 0)):
        net: dict[str, int] = {}
        for row in transfers:
            if row["currency"] == currency:
                net[row["credit"]] = net.get(row["credit"], 0) + row["amount_minor"]
                net[row["debit"]] = net.get(row["debit"], 0) - row["amount_minor"]
        credit = sum(amount for amount in net.values() if amount > 0)
        assert f"{credit / 10**decimals:,.{decimals}f} {currency}" in cells(page)
        assert f"{0:.{decimals}f} {currency}" in cells(page)


async def test_as_of_a_moment_nothing_later_counts(service: Service) -> None:
    await ingest(service.deps.engine, [a_sale(1, at=NOON - timedelta(days=3)), a_sale(2)])
    friday = await service.page("/console/ledger?as_of=2026-11-22T12:00")
    assert "12.50 EUR" in cells(friday)
    assert "25.00 EUR" not in cells(friday)
    assert "25.00 EUR" in cells(await service.page("/console/ledger"))
    before = await service.page("/console/ledger?as_of=2026-11-01")
    assert "Nothing had happened before 2026-11-01" in before
    assert "not understood" in await service.page("/console/ledger?as_of=friday", 422)


async def test_friday_noon_is_the_last_one() -> None:
    monday = datetime.fromisoformat("2026-11-23T12:00:00Z")
    assert ("Friday noon", "2026-11-20T12:00") in usual_moments(monday)
    assert ("Friday noon", "2026-11-20T12:00") in usual_moments(monday + timedelta(days=4, seconds=-1))
    assert ("Friday noon", "2026-11-27T12:00") in usual_moments(monday + timedelta(days=4))


async def test_the_last_verification_is_shown_with_the_chain(
    service: Service, seeded: Seeded, world: World
) -> None:
    assert "not looked yet" in await service.page("/console/ledger")
    world.events["gateway"] = seeded.payments
    await verify_invariants(service.deps)
    page = await service.page("/console/ledger")
    assert page.count("holds</span>") == 3
    assert "c0ffee" in page
    world.events["gateway"] = [*seeded.payments, a_sale(len(seeded.payments) + 1, 999)]
    world.events["gateway"][-1] = seeded.payments[-1]
    journal = next(event.data["journal"] for event in seeded.payments if event.data["journal"])
    journal["transfers"][0]["amount_minor"] += 1
    await verify_invariants(service.deps)
    page = await service.page("/console/ledger")
    assert "broken" in page
    assert journal["transfers"][0]["debit"] in page


async def test_an_account_s_balance_runs_through_its_pages(service: Service, seeded: Seeded) -> None:
    """Page by page: each balance is the one below it and the entry, and the oldest starts from nothing."""
    told: list[dict[str, str]] = []
    path = f"{ACCOUNT}/entries.csv"
    while path:
        told += list(csv.DictReader(io.StringIO(await service.page(path))))
        page = await service.page(path.replace("/entries.csv", ""))
        older = re.search(r'href="([^"]*before=[^"]*)" rel="next"', page)
        path = older[1].replace("?", "/entries.csv?", 1).replace("&amp;", "&") if older else ""
    assert len(told) > 50
    balance = 0
    for row in reversed(told):
        balance += cents(row["credit"]) - cents(row["debit"])
        assert cents(row["balance"]) == balance
    page = await service.page(ACCOUNT)
    assert f"{balance / 100:,.2f} EUR" in " ".join(page.split())


async def test_a_spreadsheet_adds_up_an_account_in_debit(service: Service, seeded: Seeded) -> None:
    """A balance below zero is a number, not text with an apostrophe that a sum leaves out."""
    path = f"/console/ledger/accounts/{CARD}:EUR/entries.csv"
    told = list(csv.DictReader(io.StringIO(await service.page(path))))
    assert all(re.fullmatch(r"-?[0-9]+\.[0-9]{2}", row["balance"]) for row in told)
    assert min(Decimal(row["balance"]) for row in told) < 0


def cents(amount: str) -> int:
    return int(amount.replace(".", "") or 0)


async def test_an_account_as_of_a_moment_starts_there(service: Service, seeded: Seeded) -> None:
    at = NOON - timedelta(minutes=20)
    path = f"{ACCOUNT}/entries.csv?as_of={at:%Y-%m-%dT%H:%M}"
    newest, *_ = csv.DictReader(io.StringIO(await service.page(path)))
    assert datetime.fromisoformat(newest["occurred_at"]) < at
    expected = sum(
        row["amount_minor"] * (1 if row["credit"] == MERCHANT else -1)
        for row in await rows(service.deps.engine, "fact_transfer")
        if row["currency"] == "EUR" and row["occurred_at"] < at
    )
    assert cents(newest["balance"]) == expected


async def test_accounts_are_found_by_a_part_of_their_name_and_by_kind(
    service: Service, seeded: Seeded
) -> None:
    everything = await service.page("/console/ledger/accounts")
    assert CARD in everything
    assert MERCHANT in everything
    some = await service.page("/console/ledger/accounts?q=wallet&currency=eur")
    assert "channel:wallet_sim:receivable" in some
    assert CARD not in some
    of_a_kind = await service.page("/console/ledger/accounts?kind=merchant%3Aavailable")
    assert MERCHANT in of_a_kind
    assert CARD not in of_a_kind
    assert "No account fits" in await service.page("/console/ledger/accounts?q=nobody")
    for name in ("platform:fees:EUR", "platform", "platform:fees:eur"):
        await service.page(f"/console/ledger/accounts/{name}", 404)
    await service.page(f"{ACCOUNT}?before=1~2", 422)


async def test_a_journal_links_its_payment_and_what_took_it_back(service: Service, world: World) -> None:
    await ingest(service.deps.engine, [a_sale(1)])
    journal = f"je_{1:026d}"
    world.journals[journal] = {
        "id": journal,
        "reverses": None,
        "reversed_by": "je_back",
        "reason": None,
        "description": "order 1",
        "metadata": {"shift": "<night>"},
        "lines": [{"link": 7, "hash": "ab" * 32, "hold_id": None}],
    }
    page = await service.page(f"/console/ledger/transfers/{journal}")
    assert f"/console/payments/pay_{1:026d}" in page
    assert f"/console/ledger/accounts/{MERCHANT}:EUR" in page
    assert "/console/ledger/transfers/je_back" in page
    assert "&lt;night&gt;" in page
    assert "ab" * 32 in page
    await service.page("/console/ledger/transfers/je_none", 404)


async def test_without_the_gateway_a_journal_shows_what_was_moved(service: Service, world: World) -> None:
    await ingest(service.deps.engine, [a_sale(1)])
    world.is_down.add("gateway")
    page = await service.page(f"/console/ledger/transfers/je_{1:026d}")
    assert "The gateway does not answer" in page
    assert "12.50 EUR" in page


async def test_only_what_the_gateway_does_not_know_is_told_as_unknown_to_it(
    service: Service, world: World
) -> None:
    await ingest(service.deps.engine, [a_sale(1)])
    path = f"/console/ledger/transfers/je_{1:026d}"
    assert "The gateway has no journal of this name." in await service.page(path)
    world.refuses.add("gateway")
    page = await service.page(path)
    assert "The gateway does not tell more: Too many requests." in page
    assert "no journal of this name" not in page


async def test_only_accounts_of_merchants_and_channels_say_who_owes(service: Service) -> None:
    journal = a_journal(1, 500)
    journal["transfers"][0]["debit"] = "platform:fees"
    await ingest(service.deps.engine, [an_event(1, journal=journal)])
    ours = await service.page("/console/ledger/accounts/platform:fees:EUR")
    assert 'title="debit balance"' in ours
    assert "owe" not in ours
    theirs = await service.page(ACCOUNT)
    assert 'title="credit balance"' in theirs
    assert "we owe it" in theirs


@pytest.mark.parametrize(
    ("query", "to"),
    [
        (f"je_{1:026d}", f"/console/ledger/transfers/je_{1:026d}"),
        (MERCHANT, f"/console/ledger/accounts?q={MERCHANT.replace(':', '%3A')}"),
        (f"{MERCHANT}:EUR", f"/console/ledger/accounts/{MERCHANT}:EUR"),
        ("card_sim:receivable", "/console/ledger/accounts?q=card_sim%3Areceivable"),
    ],
)
async def test_the_search_goes_to_transfers_and_accounts(service: Service, query: str, to: str) -> None:
    await ingest(service.deps.engine, [a_sale(1)])
    async with service.session.get(
        f"{service.url}/console/search", params={"q": query}, allow_redirects=False
    ) as answer:
        assert (answer.status, answer.headers["location"]) == (303, to)
