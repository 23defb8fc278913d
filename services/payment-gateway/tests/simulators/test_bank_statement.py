"""The simulated bank: what a channel settled arrives on the next day, less what it keeps, under the batch's name."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from simulator_rig import RunningSimulators, run_simulators


async def statement(
    simulators: RunningSimulators, day: date, form: str = "mt940", currency: str = "EUR"
) -> str:
    status, content = await simulators.get(
        "/bank-statement", date=day.isoformat(), currency=currency, format=form
    )
    assert status == 200
    return str(content.decode())


async def test_charges_less_refunds_and_fees_arrive_on_the_next_day(tmp_path: Path) -> None:
    day = datetime.now(UTC).date()
    async with run_simulators(tmp_path) as simulators:
        await simulators.authorise("att_1", amount_minor=10_000)  # fee 1.65
        await simulators.act("refunds", "ref_1", "att_1", 4_000)
        assert datetime.now(UTC).date() == day, "midnight came in between: run it again"
        arrived = await statement(simulators, day + timedelta(days=1))
        assert f":86:card_sim-{day:%Y%m%d}-EUR" in arrived
        assert f"C{58.35:.2f}".replace(".", ",") in arrived
        assert ":86:" not in await statement(simulators, day)
        assert ":86:" not in await statement(simulators, day + timedelta(days=1), currency="USD")
        camt = await statement(simulators, day + timedelta(days=1), "camt053")
        assert f"<EndToEndId>card_sim-{day:%Y%m%d}-EUR</EndToEndId>" in camt
    async with run_simulators(tmp_path) as again:
        assert await statement(again, day + timedelta(days=1)) == arrived


@pytest.mark.parametrize(
    "query",
    [
        {"date": "2026-02-30", "currency": "EUR"},
        {"date": "today", "currency": "EUR"},
        {"date": "2026-02-01", "currency": "XAU"},
        {"date": "2026-02-01", "currency": "EUR", "format": "pdf"},
    ],
    ids=["no_day", "words", "currency", "format"],
)
async def test_a_statement_needs_a_day_a_currency_and_a_form(
    simulators: RunningSimulators, query: dict[str, str]
) -> None:
    assert (await simulators.get("/bank-statement", **query))[0] == 422
