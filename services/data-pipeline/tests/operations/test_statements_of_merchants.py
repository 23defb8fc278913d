"""A merchant's statement: three files of one reading, the same bytes each time, and nothing that runs in a sheet."""

from __future__ import annotations

import csv
import hashlib
import io
import shutil
import zipfile
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from merchant_story import MERCHANT, Story, a_day
from pipeline_rig import NOON, World, a_merchant, ingest, rows
from running_service import Service, employ
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from data_pipeline.clients import statement_pdf
from data_pipeline.clients.statement_pdf import StatementPdf, known
from data_pipeline.domain.merchant_statement import StatementFormat, end, head, in_units, line
from data_pipeline.operations import make_statement as operation
from data_pipeline.operations.make_statement import StatementDiffers, make_statement, open_statement
from data_pipeline.operations.settle_merchants import settle_merchants
from data_pipeline.operations.watch_heads import watch_heads
from data_pipeline.store import settlement_lines
from platform_kit.clock import FixedClock

ALL = [str(one) for one in StatementFormat]


@pytest.fixture(autouse=True)
def kept_in(service: Service, tmp_path: Path) -> Path:
    settings = service.deps.settings.model_copy(update={"exports_url": f"file://{tmp_path}/exports"})
    service.app.state.deps = service.deps = replace(service.deps, settings=settings)
    return tmp_path / "exports" / "settlements"


async def settled(service: Service, world: World, story: Story) -> dict[str, Any]:
    """The batch of the story's merchant and currency, with its statement."""
    world.events["gateway"] += story.events
    await ingest(service.deps.engine, story.events)
    await watch_heads(service.deps)
    await settle_merchants(service.deps)
    [batch] = await rows(service.deps.engine, "settlement_batch WHERE line_count > 0 AND state <> 'open'")
    return dict(await service.get(f"/v1/settlements/{batch['id']}"))


async def fetched(service: Service, shown: dict[str, Any]) -> dict[str, bytes]:
    """Each file by its signed link, without a token."""
    files = {}
    for one in shown["statements"]:
        async with service.session.get(service.url + one["download"]["path"]) as answer:
            assert answer.status == 200, await answer.text()
            assert answer.headers["Content-Disposition"].endswith(f'.{one["format"]}"')
            files[one["format"]] = await answer.read()
            assert hashlib.sha256(files[one["format"]]).hexdigest() == one["sha256"]
    return files


def records(raw: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(raw.decode())))


@pytest.mark.parametrize(("currency", "shown"), [("EUR", "-59.99"), ("JPY", "-5999"), ("KWD", "-5.999")])
async def test_the_statement_nets_to_the_payout(
    service: Service, world: World, currency: str, shown: str
) -> None:
    batch = await settled(service, world, a_day(currency=currency))
    rows_ = records((await fetched(service, batch))["csv"])
    by = {name: [row for row in rows_ if row["record"] == name] for name in {row["record"] for row in rows_}}
    [opening], [closing], [last], [payout] = by["opening"], by["closing"], by["end"], by["payout"]
    sums = {row["section"]: int(row["amount_minor"]) for row in by["total"]}
    assert int(opening["amount_minor"]) + sum(sums.values()) == int(closing["amount_minor"])
    for section, total in sums.items():
        assert total == sum(int(row["amount_minor"]) for row in by["line"] if row["section"] == section)
    assert sums["payouts"] == -int(payout["amount_minor"]) == -5_999
    assert int(last["amount_minor"]) == sum(sums.values())
    assert int(last["count"]) == len(by["line"])
    assert rows_[-1] is last
    assert shown in {row["amount"] for row in by["line"]}
    for row in rows_:
        if row["amount"]:
            assert Decimal(row["amount"]) == in_units(int(row["amount_minor"]), currency)


async def test_the_same_batch_gives_the_same_bytes_at_any_time(
    service: Service, world: World, kept_in: Path
) -> None:
    batch = await settled(service, world, a_day())
    first = await fetched(service, batch)
    assert sorted(first) == sorted(ALL)
    later = replace(service.deps, clock=FixedClock(NOON + timedelta(days=400)))
    again = await make_statement(later, batch["id"])
    assert {name: hashlib.sha256(raw).hexdigest() for name, raw in first.items()} == {
        name: one["sha256"] for name, one in again["files"].items()
    }
    assert first["pdf"].startswith(b"%PDF-")
    for name in ("xlsx", "pdf"):
        assert b"2026-11-27" not in first[name]


async def test_a_file_that_is_gone_is_made_again_and_must_be_the_same(
    service: Service, world: World, kept_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = await settled(service, world, a_day())
    before = await fetched(service, batch)
    shutil.rmtree(kept_in)
    assert await fetched(service, batch) == before
    (kept_in / f"{batch['id']}.pdf").unlink()
    monkeypatch.setattr(statement_pdf, "TOP", 790)
    for _ in range(2):  # what differs is not kept, or it would be given out the next time
        with pytest.raises(StatementDiffers):
            await open_statement(service.deps, batch["id"], StatementFormat.PDF)
    (kept_in / f"{batch['id']}.csv").unlink()
    opened = await open_statement(service.deps, batch["id"], StatementFormat.CSV)
    assert b"".join(opened.chunks) == before["csv"]


async def test_all_files_have_all_lines_whatever_the_slice(
    service: Service, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await settled(service, world, a_day())
    monkeypatch.setattr(operation, "SLICE_ROWS", 2)
    again = await make_statement(service.deps, whole["id"])
    assert {one["format"]: one["sha256"] for one in whole["statements"]} == {
        name: one["sha256"] for name, one in again["files"].items()
    }
    assert again["line_count"] == 15


async def test_a_reference_that_is_a_formula_does_not_run(service: Service, world: World) -> None:
    story = Story(at=NOON - timedelta(days=1))
    story.capture(1, 1_000)
    story.events[0].data["payment"]["reference"] = '=HYPERLINK("https://evil.example","x")'
    files = await fetched(service, await settled(service, world, story))
    [row] = [row for row in records(files["csv"]) if row["record"] == "line"]
    assert row["reference"].startswith("'=")
    async with service.deps.engine.connect() as conn:
        copied = await conn.scalar(text("SELECT count(reference) FROM pipeline.settlement_line"))
    assert copied == 0, "free text is read where the payment is, and kept in no table that nobody may change"
    with zipfile.ZipFile(io.BytesIO(files["xlsx"])) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert "<v>10</v>" in sheet  # an amount is a number there


async def test_only_a_signed_link_opens_a_statement(service: Service, world: World) -> None:
    batch = await settled(service, world, a_day())
    path = batch["statements"][0]["download"]["path"]
    assert (await service.get(path[:-1] + ("0" if path[-1] != "0" else "1"), 403))["type"].endswith(
        "link-not-valid"
    )
    other = path.replace("statement.csv", "statement.pdf")
    assert (await service.get(other, 403))["type"].endswith("link-not-valid")
    service.app.state.deps = replace(service.deps, clock=FixedClock(NOON + timedelta(hours=1)))
    assert (await service.get(path, 403))["type"].endswith("link-not-valid")


async def test_settlements_are_found_by_what_is_asked(service: Service, world: World) -> None:
    batch = await settled(service, world, a_day())
    for query, count in (
        ("", 1), ("state=reconciled", 1), ("state=open", 0), ("currency=EUR", 1), ("currency=JPY", 0),
        (f"merchant_id={MERCHANT}", 1), ("merchant_id=mer_2", 0), ("to=2026-11-20T00:00:00Z", 1),
        ("from=2026-11-23T00:00:00Z", 0), ("limit=1", 1),
    ):  # fmt: skip
        found = await service.get(f"/v1/settlements?{query}")
        assert len(found["data"]) == count, query
    first = await service.get(f"/v1/settlements/{batch['id']}/lines?limit=5")
    rest = await service.get(
        f"/v1/settlements/{batch['id']}/lines", params={"limit": "100", "after": first["next_after"]}
    )
    assert len(first["data"]) + len(rest["data"]) == 15
    assert rest["next_after"] is None
    close = f"/v1/settlements/{batch['id']}/close"
    await employ(service.deps, ada="finance", bob="operator")
    for who, refused in (
        ("ada", (409, "settlement-closed")),
        ("bob", (403, "may-not-act")),
        ("eve", (403, "may-not-act")),
    ):
        status, told = await service.post(close, {}, headers={"Acting-For": who})
        assert (status, told["type"].rpartition("/")[2]) == refused


async def test_the_console_shows_it_closes_it_and_gives_it_out(service: Service, world: World) -> None:
    batch = await settled(service, world, a_day())
    assert "59.99 EUR" in await service.page("/console/settlements")
    page = await service.page(f"/console/settlements/{batch['id']}")
    assert "statement.pdf" in page
    assert "Close now" not in page
    async with service.session.get(
        f"{service.url}/console/settlements/{batch['id']}/statement.xlsx"
    ) as answer:
        assert answer.status == 200
    story = Story(at=NOON - timedelta(minutes=5), first=50)
    story.capture(50, 4_200)
    await ingest(service.deps.engine, story.events)
    await settle_merchants(service.deps)
    [following] = await rows(service.deps.engine, "settlement_batch WHERE state = 'open'")
    assert "Close now" in await service.page(f"/console/settlements/{following['id']}")
    status, where, _ = await service.send(f"/console/settlements/{following['id']}/close", {})
    assert (status, where) == (303, f"/console/settlements/{following['id']}")
    [closed] = await rows(service.deps.engine, f"settlement_batch WHERE id = '{following['id']}'")
    assert (closed["state"], closed["closed_by"]) == ("closed", "admin-1")


def test_letters_that_the_font_lacks_are_shown_as_such() -> None:
    assert known("Käse 12 €") == "Käse 12 €"
    assert known("注文\t7") == "???7"


def test_a_pdf_of_more_lines_than_it_takes_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = {
        "effect_minor": 100, "section": "captures", "kind": "capture", "occurred_at": NOON,
        "object_id": "pay_1", "reference": "x" * 60, "journal_id": "je_1", "line": 0,
    }  # fmt: skip
    batch = {"id": "stl_1", "merchant_id": "mer_1", "merchant_name": "Shop",
             "currency": "EUR", "closes_at": NOON, "opening_minor": 0,
             "closing_minor": 20_000, "accounts": {}} | dict.fromkeys(
        (f"{name}_minor" for name in ("captures", "refunds", "disputes", "fees", "reserve", "conversions",
                                      "corrections", "payouts")), 0)  # fmt: skip
    pages = []
    for lines_max in (150, 250):
        monkeypatch.setattr(statement_pdf, "LINES_MAX", lines_max)
        file = StatementPdf(tmp_path / "one.pdf")
        file.append([*head(batch, []), *(line("EUR", moved) for _ in range(200)), end("EUR", 200, 20_000)])
        file.close()
        pages.append((tmp_path / "one.pdf").read_bytes().count(b"/Type /Page\n"))
    assert pages == [3, 4]


async def test_a_statement_names_the_merchant_as_it_was_called_when_the_batch_was_closed(
    service: Service, world: World, kept_in: Path
) -> None:
    story = a_day()
    story.events.append(a_merchant(len(story.events) + 1, "=Caf\u00e9", at=story.at))
    batch = await settled(service, world, story)
    files = await fetched(service, batch)
    [named] = [row for row in records(files["csv"]) if row["record"] == "merchant"]
    assert (named["object_id"], named["reference"], batch["merchant_name"]) == (
        MERCHANT,
        "'=Caf\u00e9",
        "=Caf\u00e9",
    )

    renamed = a_merchant(len(story.events) + 1, "Bistro", at=NOON - timedelta(days=30))
    await ingest(service.deps.engine, [renamed])
    shutil.rmtree(kept_in)
    assert await fetched(service, batch) == files, "made once more, with the name of then"


async def test_a_batch_that_was_closed_before_names_were_told_keeps_its_bytes(
    service: Service, world: World, kept_in: Path
) -> None:
    batch = await settled(service, world, a_day())
    files = await fetched(service, batch)
    assert b"merchant," not in files["csv"]
    await ingest(service.deps.engine, [a_merchant(900, "Bistro", at=NOON - timedelta(days=30))])
    shutil.rmtree(kept_in)
    assert await fetched(service, batch) == files
    refused = "UPDATE pipeline.settlement_batch SET merchant_name = 'Bistro' WHERE id = :id"
    with pytest.raises(DBAPIError, match="is closed"):
        async with service.deps.engine.begin() as conn:
            await conn.execute(text(refused), {"id": batch["id"]})


async def test_a_batch_whose_lines_were_closed_with_references_keeps_them(
    service: Service, world: World, kept_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = (
        str(settlement_lines.ADD_LINES)
        .replace("batch_id)", "batch_id, reference)")
        .replace(":id FROM", ":id, 'as it was called' FROM")
    )
    monkeypatch.setattr(settlement_lines, "ADD_LINES", text(copied))
    story = Story(at=NOON - timedelta(days=1))
    story.capture(1, 1_000)
    story.events[0].data["payment"]["reference"] = "as it is called"
    batch = await settled(service, world, story)
    files = await fetched(service, batch)
    told = {row["reference"] for row in records(files["csv"]) if row["record"] == "line"}
    assert told == {"as it was called"}
    shutil.rmtree(kept_in)
    assert await fetched(service, batch) == files
