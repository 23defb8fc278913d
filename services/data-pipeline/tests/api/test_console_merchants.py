"""Merchants: who they are, what they were before, and their names where other pages have ids."""

from __future__ import annotations

import re
from datetime import timedelta

import risk_desk
from pipeline_rig import NOON, World, a_merchant, a_sale, ingest
from running_service import Service

MERCHANT = "mer_00000000000000000000000001"
FEES = {
    "rules": [{"method": "card", "basis_points": 140, "fixed_minor": {"EUR": 25}}, {"basis_points": 90}],
    "dispute_minor": {"EUR": 1500},
    "dispute_returns_when_won": True,
}


def text_of(html: str) -> str:
    visible = re.sub(r"<(script|style|title|svg)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", visible)).strip()


async def test_a_merchant_shows_each_version_and_what_changed_in_it(service: Service) -> None:
    await ingest(
        service.deps.engine,
        [
            a_merchant(1, "Corner Shop", at=NOON - timedelta(days=30)),
            a_merchant(
                2, "Corner Market", at=NOON - timedelta(days=3), mcc="5499",
                terms={"reserve": {"basis_points": 500, "days": 90}, "fee_plan": FEES},
            ),
        ],
    )  # fmt: skip
    html = await service.page(f"/console/merchants/{MERCHANT}")
    text = text_of(html)
    assert "2 versions" in text
    for changed in ("Corner Market", "5499", "5.0 % for 90 days"):
        assert f"<mark>{changed}</mark>" in html
    assert "<mark>DE</mark>" not in html
    assert "card 1.40 % + 0.25 EUR" in text
    assert "any method 0.90 %" in text
    assert "a dispute 15.00 EUR, back when won" in text
    assert "until 2026-11-20 12:00:00" in text


async def test_a_merchant_shows_its_accounts_and_last_payments(service: Service) -> None:
    await ingest(service.deps.engine, [a_merchant(1, "Corner Shop"), a_sale(2)])
    html = await service.page(f"/console/merchants/{MERCHANT}")
    assert f"/console/ledger/accounts/merchant:{MERCHANT}:available:EUR" in html
    assert "order-2" in html


async def test_a_merchant_that_was_never_told_of_is_known_by_its_payments(service: Service) -> None:
    await ingest(service.deps.engine, [a_sale(1)])
    assert "has not told of this merchant" in await service.page(f"/console/merchants/{MERCHANT}")
    for nobody in ("mer_" + "9" * 26, "mer_x", "%00"):
        await service.page(f"/console/merchants/{nobody}", status=404)


async def test_merchants_are_listed_by_name_and_each_page_goes_on_where_the_last_ended(
    service: Service,
) -> None:
    ids = [f"mer_{n:026d}" for n in range(1, 61)]
    told = [a_merchant(n, f"Shop {n % 30:02d}", id=one) for n, one in enumerate(ids, 1)]
    await ingest(service.deps.engine, told)
    first = await service.page("/console/merchants")
    further = first.split('rel="next"')[0].rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")
    second = await service.page(further)
    seen = [one for one in ids if f'/console/merchants/{one}"' in first]
    rest = [one for one in ids if f'/console/merchants/{one}"' in second]
    assert (len(seen), sorted(seen + rest)) == (50, ids)
    assert "10 merchants on this page" in text_of(second)
    assert "2 merchants on this page" in text_of(await service.page("/console/merchants?q=SHOP+07"))
    assert "No merchant is called so" in await service.page("/console/merchants?q=nobody")


async def test_ledger_and_risk_pages_name_merchants(service: Service, world: World) -> None:
    world.risk_answers = risk_desk.answers(NOON)
    await ingest(service.deps.engine, [a_merchant(1, "Corner Shop"), a_sale(2)])
    for path in (
        "/console/ledger/accounts",
        f"/console/ledger/accounts/merchant:{MERCHANT}:available:EUR",
        f"/console/ledger/transfers/je_{2:026d}",
        "/console/risk/decisions",
        f"/console/risk/decisions/asm_{0:026d}",
        f"/console/risk/queue/{risk_desk.CASE}",
    ):
        assert "Corner Shop" in await service.page(path), path


async def test_a_payment_shows_what_it_shares_with_others(service: Service, world: World) -> None:
    await ingest(service.deps.engine, [a_sale(1)])
    path = f"/console/payments/pay_{1:026d}"
    assert "The risk engine does not say which payments" in await service.page(path)
    world.risk_answers = risk_desk.answers(NOON)
    assert "4 share the address" in text_of(await service.page(path))
    world.risk_answers[f"assessments/asm_{1:026d}/related"] = {"data": []}
    assert "No other payment shares" in await service.page(path)


async def test_a_payment_that_was_not_assessed_is_related_to_nothing(service: Service) -> None:
    await ingest(service.deps.engine, [a_sale(1, risk=None)])
    assert "nothing is known to relate it" in await service.page(f"/console/payments/pay_{1:026d}")
