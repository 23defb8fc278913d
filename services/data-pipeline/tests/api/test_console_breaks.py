"""Breaks in the console: found by their filters, looked at from all sides, closed by who may and by nobody else."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import date, timedelta
from typing import Any

import pytest
from pipeline_rig import NOON, TODAY, World, a_line, a_sale, ingest, rows
from running_service import Service, logged_in

from data_pipeline.domain import camt053
from data_pipeline.domain.operators import Role
from data_pipeline.domain.statements import Statement, StatementEntry
from data_pipeline.operations.reconcile_payouts import reconcile_payouts

LIST = "/console/reconciliation/breaks"
RUN = {"date": TODAY.isoformat(), "channel": "card_sim"}


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).replace("\N{NO-BREAK SPACE}", " ")


async def run(service: Service, world: World, *lines: Any) -> None:
    world.settle(lines)
    assert (await service.post("/v1/reconciliations", RUN))[0] == 201


async def ids(service: Service, query: str = "") -> list[str]:
    html = await service.page(LIST + query)
    return re.findall(rf'class="row-name" href="{LIST}/(brk_[a-z2-7]{{26}})"', html)


async def the_break(service: Service) -> str:
    [found] = await ids(service)
    return f"{LIST}/{found}"


async def finance(service: Service, name: str = "one") -> str:
    """The session of a second person who may close breaks."""
    return await logged_in(service.deps, Role.FINANCE, f"finance-{name}")


async def test_days_and_channels_say_what_matched_broke_and_is_late_with_amounts(
    service: Service, world: World
) -> None:
    await ingest(service.deps.engine, [a_sale(1), a_sale(2), a_sale(3, at=NOON - timedelta(hours=1))])
    world.heads["gateway"] = 3
    await run(service, world, a_line(1), a_line(2, amount_minor=1300))
    html = await service.page("/console/reconciliation")
    cell = text_of(html[html.index("1 matched") : html.index("1 matched") + 900])
    assert "1 matched file 25.50 EUR" in cell  # of both lines of the file, whatever became of them
    assert "2 broken 13.00 EUR" in cell  # 0.50 too much and 12.50 that the channel does not know
    assert f'href="{LIST}?day=2026-11-23&amp;channel=card_sim"' in html
    assert "?day=2026-11-22" not in html  # nothing ran before
    assert "?day=2026-11-09" in html  # the page before
    old = text_of(await service.page("/console/reconciliation?day=2026-10-01"))
    assert "Nothing was reconciled in the 14 days up to 2026-10-01" in old


async def test_filters_stand_in_the_address_and_pages_follow_by_key(service: Service, world: World) -> None:
    await run(service, world, *(a_line(number) for number in range(1, 54)), a_line(60, currency="USD"))
    first = await ids(service)
    assert "the first 50 of 54 in the list" in text_of(await service.page("/console/reconciliation"))
    html = await service.page(LIST)
    onward = re.search(rf'href="({LIST}\?after=[^"]+)"', html)
    assert onward is not None
    second = await ids(service, onward[1].removeprefix(LIST).replace("&amp;", "&"))
    assert (len(first), len(second), set(first) & set(second)) == (50, 4, set())
    assert len(await ids(service, "?currency=usd")) == 1
    assert await ids(service, "?class=fee_differs") == []
    assert (
        len(await ids(service, "?class=missing_in_ledger&channel=card_sim&day=2026-11-23&age=0-1+days")) == 50
    )
    assert await ids(service, "?age=2-3+days") == []
    assert await ids(service, "?which=closed") == []
    assert await ids(service, "?owner=ada") == []
    assert len(await ids(service, "?owner=-")) == 50
    for wrong in (
        "class=odd",
        "day=tomorrow",
        "currency=EURO",
        "age=old",
        "which=some",
        "after=1",
        "state=x",
    ):
        assert "not understood" in await service.page(f"{LIST}?{wrong}", status=422)
    async with service.session.get(f"{service.url}{LIST}.csv?currency=USD") as answer:
        assert answer.headers["Content-Disposition"] == 'attachment; filename="breaks.csv"'
        [row] = list(csv.DictReader(io.StringIO(await answer.text())))
    assert (row["file_amount"], row["file_currency"]) == ("12.50", "USD")
    assert (row["difference"], row["difference_currency"]) == ("12.50", "USD")


async def test_both_sides_stand_side_by_side_and_the_difference_is_marked(
    service: Service, world: World
) -> None:
    await ingest(service.deps.engine, [a_sale(1)])
    world.heads["gateway"] = 1
    await run(service, world, a_line(1, amount_minor=1300))
    html = await service.page(await the_break(service))
    assert '<span class="differs">12.50 EUR</span>' in html
    assert '<span class="differs">13.00 EUR</span>' in html
    text = text_of(html)
    assert "Amount differs" in text
    assert "Line 2 of the file, as it stood" in text
    assert "card_sim owes us 0.50 EUR more, against suspense" in text
    async with service.session.get(f"{service.url}{await the_break(service)}/evidence.json") as answer:
        assert json.loads(await answer.text())["channel_file"]["line"] == 2


async def test_closing_goes_through_four_eyes_rights_and_the_ledger(service: Service, world: World) -> None:
    await run(service, world, a_line(1, amount_minor=200_000))
    here = await the_break(service)
    assert "Takes a second person: this is a proposal." in text_of(await service.page(here))
    status, to, _ = await service.send(f"{here}/acts", {"act": "correct", "note": "ticket 4711"})
    assert (status, to) == (303, f"{here}?told=proposed")
    status, _, html = await service.send(f"{here}/acts", {"act": "approve", "note": "I do"})
    assert (status, "Who proposed it cannot approve it." in html) == (403, True)
    assert 'value="approve"' not in html  # nor is it offered to who proposed
    assert world.corrections == {}

    second = await finance(service)
    status, to, _ = await service.send(f"{here}/acts", {"act": "approve", "note": "seen"}, session_id=second)
    assert (status, to) == (303, f"{here}?told=approve")
    [booked] = world.corrections.values()
    assert (booked["by"], booked["amount_minor"], booked["direction"]) == ("finance-1", 200_000, "received")
    text = text_of(await service.page(here))
    assert "ticket 4711" in text
    assert "Approved by finance-1" in text
    assert "booked 2,000.00 EUR" in text
    status, _, html = await service.send(f"{here}/acts", {"act": "accept", "note": "again"})
    assert (status, "It is closed." in html) == (409, True)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
async def test_who_may_not_close_is_told_so_and_offered_nothing(
    service: Service, world: World, role: Role
) -> None:
    await run(service, world, a_line(1))
    here, session_id = await the_break(service), await logged_in(service.deps, role, "theirs")
    async with service.session.get(service.url + here, headers={"Cookie": f"console={session_id}"}) as answer:
        html = await answer.text()
    assert 'name="act" value="accept"' not in html
    assert "Closing takes the role finance or admin" in text_of(html)
    status, _, html = await service.send(
        f"{here}/acts", {"act": "accept", "note": "mine"}, session_id=session_id
    )
    assert (status, f"The role {role} may not" in html) == (403, True)
    [row] = await rows(service.deps.engine, "reconciliation_break")
    assert row["state"] == "open"


async def test_it_is_taken_given_and_noted_with_names(service: Service, world: World) -> None:
    await run(service, world, a_line(1))
    await finance(service)
    here = await the_break(service)
    assert (await service.send(f"{here}/acts", {"act": "assign", "owner": "admin-1"}))[0] == 303
    assert (await service.send(f"{here}/acts", {"act": "assign", "owner": "finance-1"}))[0] == 303
    assert (await service.send(f"{here}/acts", {"act": "note", "note": "asked them"}))[0] == 303
    status, _, html = await service.send(f"{here}/acts", {"act": "assign", "owner": "eve"})
    assert (status, "Choose an operator" in html) == (422, True)
    status, _, html = await service.send(f"{here}/acts", {"act": "note", "note": "x"})
    assert (status, "Say why" in html) == (422, True)
    acts = [
        (row["act"], row["owner"], row["note"])
        for row in await rows(service.deps.engine, "break_act", order="at, id")
    ]
    assert acts == [("assign", "admin-1", "taken"), ("assign", "finance-1", "given to finance-1"),
                    ("note", None, "asked them")]  # fmt: skip
    assert len(await ids(service, "?owner=finance-1")) == 1


@pytest.mark.parametrize("fields", [{}, {"act": "booked"}, {"act": "accept", "note": "x"}])
async def test_a_form_that_says_no_act_or_no_reason_keeps_what_was_typed(
    service: Service, world: World, fields: dict[str, str]
) -> None:
    await run(service, world, a_line(1))
    here = await the_break(service)
    status, _, html = await service.send(f"{here}/acts", fields)
    assert status == 422
    if "note" in fields:
        assert re.search(r'value="accept" required checked', html)
        assert re.search(rf'<textarea name="note"[^>]*>{fields["note"]}</textarea>', html)
    assert (await service.send(f"{here}/acts", {"act": "accept", "note": "right"}, token="guess"))[0] == 403
    assert await rows(service.deps.engine, "break_act") == []


async def test_a_break_of_a_payout_shows_the_banks_lines_and_the_payouts_their_equation(
    service: Service, world: World
) -> None:
    await run(service, world, a_line(1), a_line(2))
    entries = (StatementEntry(1000, "card_sim-20261123-EUR"), StatementEntry(1000, "card_sim-20261123-EUR"))
    statement = Statement("PLATFORM", 1, "EUR", date(2026, 11, 24), 0, 2000, entries)
    world.statements["EUR", "2026-11-24", "camt053"] = camt053.generate(statement)
    await reconcile_payouts(service.deps, NOON.date())
    [payout] = await ids(service, "?class=payout_amount_differs")
    text = text_of(await service.page(f"{LIST}/{payout}"))
    assert "24.14 EUR 20.00 EUR" in text
    assert "2 lines of the statement" in text
    page = text_of(await service.page("/console/reconciliation/payouts"))
    assert "25.00 EUR 0 − 0.86 EUR 24.14 EUR 20.00 EUR in 2 lines -4.14 EUR differs" in page.replace(
        "\N{MINUS SIGN}", "−"
    )
    assert "No channel paid out" in text_of(
        await service.page("/console/reconciliation/payouts?state=received")
    )
    async with service.session.get(f"{service.url}/console/reconciliation/payouts.csv") as answer:
        [row] = list(csv.DictReader(io.StringIO(await answer.text())))
    assert (row["net"], row["received"], row["difference"]) == ("24.14", "20.00", "-4.14")


async def test_what_closed_by_itself_says_where_its_counterpart_is(service: Service, world: World) -> None:
    await run(service, world, a_line(1))
    here = await the_break(service)
    await ingest(service.deps.engine, [a_sale(1)])
    world.heads["gateway"] = 1
    await run(service, world, a_line(1))
    text = text_of(await service.page(here))
    assert "closed by itself" in text
    assert "Closed by platform" in text
    [moved, *_] = await rows(service.deps.engine, "fact_transfer")
    assert f"its counterpart is the ledger's journal {moved['journal_id']}" in text
    assert "Close it" not in text


async def test_no_such_break_is_a_page(service: Service) -> None:
    assert "no such break" in await service.page(f"{LIST}/brk_{'a' * 26}", status=404)


async def test_no_break_before_the_first_run_is_not_told_as_all_well(service: Service, world: World) -> None:
    page = text_of(await service.page(LIST))
    assert "Nothing was reconciled yet" in page
    assert "No open break" not in page
    await run(service, world)
    assert "No open break" in text_of(await service.page(LIST))
