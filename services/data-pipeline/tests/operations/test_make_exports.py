"""Exports: files equal to what was told, in three formats; cut off, doubled, refused, fetched and forgotten."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import os
import threading
import zipfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline_rig import NOON, a_payment, a_sale, an_event, ingest, scalar
from running_service import Service, employ
from seeded_day import SEEDED, Seeded
from sqlalchemy import text

from data_pipeline.clients.object_store import ObjectStore
from data_pipeline.clients.table_files import open_table_file
from data_pipeline.domain.exports import FileFormat, Totals, is_signed, safe_cell, signature
from data_pipeline.domain.report_definition import Column, Unit
from data_pipeline.operations import make_exports as operation
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.drop_exports import drop_exports
from data_pipeline.operations.make_exports import make_exports
from data_pipeline.store import exports as export_store
from platform_kit.clock import FixedClock

ACTING = {"Acting-For": "ada"}
DAY = {"from": "2026-11-23T00:00:00Z", "to": "2026-11-24T00:00:00Z"}
RENEWED = (
    "SELECT count(*) FROM pipeline.export WHERE leased_until > '2026-11-23T13:00:00Z'"  # an hour after noon
)


@pytest.fixture(autouse=True)
async def kept_in(service: Service, tmp_path: Path) -> Path:
    """Exports of a test are kept in its own directory; `ada` asks for them."""
    await employ(service.deps, ada="viewer")
    settings = service.deps.settings.model_copy(update={"exports_url": f"file://{tmp_path}/exports"})
    service.app.state.deps = service.deps = replace(service.deps, settings=settings)
    return tmp_path / "exports"


async def asked(service: Service, **body: Any) -> dict[str, Any]:
    status, told = await service.post("/v1/exports", DAY | body, headers=ACTING)
    assert status == 202, told
    return dict(told)


async def made(service: Service, **body: Any) -> dict[str, Any]:
    """Asked for, made, and shown."""
    export = await asked(service, **body)
    assert await make_exports(service.deps) == 1
    return await shown(service, export["id"])


async def shown(service: Service, export_id: str) -> dict[str, Any]:
    headers = {"Authorization": "Bearer internal-test"}
    return dict(await service.get(f"/v1/exports/{export_id}", headers=headers))


async def fetched(service: Service, export: dict[str, Any]) -> bytes:
    async with service.session.get(service.url + export["download"]["path"]) as answer:
        assert answer.status == 200, await answer.text()
        assert "attachment" in answer.headers["Content-Disposition"]
        return await answer.read()


def told_captured(seeded: Seeded) -> dict[str, int]:
    last = {event.data["payment"]["id"]: event.data["payment"] for event in seeded.payments}
    sums: dict[str, int] = {}
    for payment in last.values():
        sums[payment["currency"]] = sums.get(payment["currency"], 0) + payment["captured_minor"]
    return sums


async def test_payments_as_csv_add_up_to_what_was_told(
    service: Service, seeded: Seeded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operation, "SLICE_ROWS", 40)  # four slices
    export = await made(service, subject="payments", format="csv")
    raw = await fetched(service, export)
    rows = list(csv.DictReader(io.StringIO(raw.decode())))
    manifest = export["manifest"]
    assert export["state"], export["progress_percent"] == ("done", 100)
    assert len(rows) == len({row["payment_id"] for row in rows}) == SEEDED == manifest["row_count"]
    assert manifest["slice_count"] == 4
    assert hashlib.sha256(raw).hexdigest() == manifest["sha256"]
    assert len(raw) == manifest["byte_count"]
    assert {c: sums["captured_minor"] for c, sums in manifest["totals"].items()} == told_captured(seeded)
    assert manifest["as_of"]["payments"]["position"] == len(seeded.payments)
    assert [column["name"] for column in manifest["columns"]] == list(rows[0])


async def test_the_same_rows_in_every_format(service: Service, seeded: Seeded, kept_in: Path) -> None:
    by_format = {name: await made(service, subject="payments", format=name) for name in FileFormat}
    table = pq.read_table(io.BytesIO(await fetched(service, by_format[FileFormat.PARQUET])))
    rows = list(csv.DictReader(io.StringIO((await fetched(service, by_format[FileFormat.CSV])).decode())))
    assert table.column("payment_id").to_pylist() == [row["payment_id"] for row in rows]
    assert table.column("captured_minor").to_pylist() == [int(row["captured_minor"]) for row in rows]
    assert table.schema.field("captured_minor").metadata[b"unit"] == b"minor"
    with zipfile.ZipFile(io.BytesIO(await fetched(service, by_format[FileFormat.XLSX]))) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert sheet.count("<row ") == SEEDED + 1
    assert "<f>" not in sheet
    assert sorted(Path(name).suffix for name in os.listdir(kept_in)) == [
        ".csv", ".json", ".json", ".json", ".parquet", ".xlsx",
    ]  # fmt: skip


async def test_a_report_s_file_is_the_report(service: Service, seeded: Seeded) -> None:
    query = "from=2026-11-23T00:00:00Z&to=2026-11-24T00:00:00Z&grain=hour&by=channel&time_zone=Europe/Berlin"
    report = await service.get(f"/v1/reports/volume?{query}")
    export = await made(service, subject="volume", grain="hour", by=["channel"], time_zone="Europe/Berlin")
    rows = list(csv.DictReader(io.StringIO((await fetched(service, export)).decode())))
    assert [list(row.values()) for row in rows] == [
        ["" if value is None else str(value) for value in row.values()] for row in report["rows"]
    ]


async def test_filters_hold_for_payments(service: Service, seeded: Seeded) -> None:
    export = await made(service, subject="payments", currency="EUR", method="wallet")
    rows = list(csv.DictReader(io.StringIO((await fetched(service, export)).decode())))
    assert rows
    assert {(row["currency"], row["method"]) for row in rows} == {("EUR", "wallet")}


async def test_a_reference_that_is_a_formula_is_text_in_every_sheet(service: Service) -> None:
    evil = '=HYPERLINK("http://evil.example","paid")'
    await ingest(service.deps.engine, [an_event(1, payment=a_payment(1, reference=evil))])
    as_csv = await fetched(service, await made(service, subject="payments"))
    (row,) = csv.DictReader(io.StringIO(as_csv.decode()))
    assert row["reference"] == f"'{evil}"
    with zipfile.ZipFile(
        io.BytesIO(await fetched(service, await made(service, subject="payments", format="xlsx")))
    ) as b:
        assert "<f>" not in b.read("xl/worksheets/sheet1.xml").decode()
    as_parquet = await fetched(service, await made(service, subject="payments", format="parquet"))
    assert pq.read_table(io.BytesIO(as_parquet)).column("reference").to_pylist() == [evil]


@given(st.text(max_size=20))
def test_no_cell_begins_like_a_formula_and_other_text_stays(text: str) -> None:
    cell = safe_cell(text)
    assert cell[:1] not in ("=", "+", "-", "@", "\t", "\r", "\n")
    assert cell in (text, f"'{text}")


def test_a_number_too_large_for_a_sheet_keeps_its_last_digit(tmp_path: Path) -> None:
    path, column = tmp_path / "a.xlsx", Column("amount_minor", "integer", Unit.MINOR, "")
    file = open_table_file(FileFormat.XLSX, path, [column])
    file.append([{"amount_minor": 9_007_199_254_740_993}, {"amount_minor": 12}])
    file.close()
    with zipfile.ZipFile(path) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "9007199254740993" in sheet
    assert "<v>12</v>" in sheet


async def test_a_worker_that_died_is_followed_by_another(service: Service, seeded: Seeded) -> None:
    export = await asked(service, subject="payments")
    async with service.deps.engine.begin() as conn:  # claimed, and never heard of again
        first = await export_store.claim(conn, NOON, operation.LEASE, operation.ATTEMPTS_MAX)
    assert first is not None
    assert await make_exports(service.deps) == 0
    later = replace(service.deps, clock=FixedClock(NOON + operation.LEASE * 2))
    assert await make_exports(later) == 1
    done = await shown(service, export["id"])
    assert (done["state"], done["attempt_count"], done["row_count"]) == ("done", 2, SEEDED)
    assert not await operation.make_export(service.deps, first)  # the first wakes up: it is not its any more
    assert (await shown(service, export["id"]))["manifest"] == done["manifest"]


async def test_a_late_attempt_leaves_the_finished_file_as_it_is(
    service: Service, seeded: Seeded, kept_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has passed its last slice when the lease runs out: only storing the file is left to do."""
    export = await asked(service, subject="payments")
    store, is_at_the_end, may_go_on = operation._store, threading.Event(), threading.Event()

    def hangs(deps: Any, row: dict[str, Any], *rest: Any) -> None:
        if row["attempt_count"] == 1:
            is_at_the_end.set()
            may_go_on.wait(20)
        store(deps, row, *rest)

    monkeypatch.setattr(operation, "_store", hangs)
    late = asyncio.create_task(make_exports(service.deps))
    await asyncio.to_thread(is_at_the_end.wait, 20)
    await ingest(service.deps.engine, [a_sale(9001)])
    assert await make_exports(replace(service.deps, clock=FixedClock(NOON + operation.LEASE * 2))) == 1
    done = await shown(service, export["id"])
    may_go_on.set()
    assert await late == 0

    assert await shown(service, export["id"]) == done | {"download": ANY}
    raw = await fetched(service, done)
    assert hashlib.sha256(raw).hexdigest() == done["manifest"]["sha256"]
    assert sorted(os.listdir(kept_in)) == [f"{export['id']}-2.csv", f"{export['id']}-2.manifest.json"]


async def test_one_whose_every_attempt_was_cut_off_fails_in_words(service: Service, seeded: Seeded) -> None:
    export = await asked(service, subject="payments")
    for attempt in range(operation.ATTEMPTS_MAX):  # claimed, and never heard of again
        async with service.deps.engine.begin() as conn:
            at = NOON + operation.LEASE * 2 * attempt
            assert await export_store.claim(conn, at, operation.LEASE, operation.ATTEMPTS_MAX)
    assert await make_exports(replace(service.deps, clock=FixedClock(at))) == 0
    assert (await shown(service, export["id"]))["state"] == "running"  # its lease has not run out
    later = replace(service.deps, clock=FixedClock(NOON + operation.LEASE * 2 * operation.ATTEMPTS_MAX))
    assert await make_exports(later) == 0
    failed = await shown(service, export["id"])
    assert (failed["state"], failed["attempt_count"]) == ("failed", operation.ATTEMPTS_MAX)
    assert "cut off" in failed["fault"]


async def test_the_lease_is_renewed_while_a_report_is_read(
    service: Service, seeded: Seeded, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asked(service, subject="volume")
    run, hour = operation.run_live_report, timedelta(hours=1)

    async def takes_long(deps: Deps, *args: Any, **options: Any) -> dict[str, Any]:
        assert isinstance(deps.clock, FixedClock)
        deps.clock.advance(hour)
        async with asyncio.timeout(30):
            while await scalar(service.deps.engine, RENEWED) == 0:  # noqa: ASYNC110 - by a task beside us
                await asyncio.sleep(0.02)
        assert (
            await make_exports(replace(service.deps, clock=FixedClock(NOON + hour))) == 0
        )  # not due: it is ours
        return await run(deps, *args, **options)

    monkeypatch.setattr(operation, "RENEWED_EVERY_S", 0.05)
    monkeypatch.setattr(operation, "run_live_report", takes_long)
    assert await make_exports(replace(service.deps, clock=FixedClock(NOON))) == 1


async def test_a_file_of_the_version_before_is_found_and_removed(
    service: Service, seeded: Seeded, kept_in: Path
) -> None:
    export = await made(service, subject="payments")
    async with service.deps.engine.begin() as conn:
        await conn.execute(text("UPDATE pipeline.export SET stored_name = NULL"))
    for name in os.listdir(kept_in):
        os.rename(kept_in / name, kept_in / name.replace("-1.", "."))
    assert await fetched(service, export)
    assert await drop_exports(replace(service.deps, clock=FixedClock(NOON + timedelta(days=8)))) == 1
    assert os.listdir(kept_in) == []


async def test_a_place_that_cannot_be_written_fails_after_three_attempts(
    service: Service, seeded: Seeded, kept_in: Path
) -> None:
    export = await asked(service, subject="payments")
    await asyncio.to_thread(kept_in.write_text, "a file where the directory should be")
    for _ in range(3):
        assert await make_exports(service.deps) == 0
    failed = await shown(service, export["id"])
    assert (failed["state"], failed["attempt_count"], failed["download"]) == ("failed", 3, None)
    assert failed["fault"]


async def test_a_link_opens_one_file_for_a_while(service: Service, seeded: Seeded) -> None:
    export, other = await made(service, subject="payments"), await made(service, subject="volume")
    path = export["download"]["path"]
    await service.get(path.replace(export["id"], other["id"]), status=403)
    await service.get(path[:-1] + ("0" if path[-1] != "0" else "1"), status=403)
    service.app.state.deps = replace(service.deps, clock=FixedClock(NOON + timedelta(hours=1)))
    await service.get(path, status=403)


def test_without_a_key_nothing_is_signed() -> None:
    until = NOON + timedelta(minutes=1)
    assert is_signed("key", "exp_1", until, signature("key", "exp_1", until), NOON)
    assert not is_signed("", "exp_1", until, signature("", "exp_1", until), NOON)


async def test_a_file_whose_time_is_over_is_removed(service: Service, seeded: Seeded, kept_in: Path) -> None:
    export = await made(service, subject="payments")
    later = replace(service.deps, clock=FixedClock(NOON + timedelta(days=8)))
    assert await drop_exports(service.deps) == 0
    assert await drop_exports(later) == 1
    assert os.listdir(kept_in) == []
    assert (await shown(service, export["id"]))["state"] == "expired"
    await service.get(export["download"]["path"], status=410)


async def test_a_file_that_was_never_noted_is_removed_and_a_noted_or_a_young_one_stays(
    service: Service, seeded: Seeded, kept_in: Path
) -> None:
    """A worker killed between file and note: nobody can fetch what it left, and no expiry knows of it."""
    export = await made(service, subject="payments")
    noted = sorted(os.listdir(kept_in))
    left = [
        f"{export['id']}-9.csv",
        f"{export['id']}-9.manifest.json",
        "exp_0000000000000000000000000z-1.xlsx.writing",
    ]
    hour_ago = (service.deps.clock.now() - timedelta(hours=1, seconds=1)).timestamp()
    for name in [*left, "notes.txt", *noted]:
        (kept_in / name).touch()
        os.utime(kept_in / name, (hour_ago, hour_ago))
    (kept_in / f"{export['id']}-8.csv").touch()  # written just now, by the clock of the disk
    await drop_exports(service.deps)
    assert sorted(os.listdir(kept_in)) == sorted([*noted, "notes.txt", f"{export['id']}-8.csv"])
    assert await fetched(service, await shown(service, export["id"]))


async def test_a_file_that_gets_its_name_while_orphans_are_looked_for_is_no_failure(
    service: Service, seeded: Seeded, kept_in: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker ends between the listing and the look at each."""
    being_written = kept_in / "exp_0000000000000000000000000z-1.csv.writing"
    service.deps.exports.put_bytes(b"", being_written.name)
    listed = ObjectStore.names

    def and_then_it_is_renamed(store: ObjectStore) -> list[str]:
        names = listed(store)
        being_written.rename(being_written.with_suffix(""))
        return names

    monkeypatch.setattr(ObjectStore, "names", and_then_it_is_renamed)
    await drop_exports(service.deps)
    assert os.listdir(kept_in) == ["exp_0000000000000000000000000z-1.csv"]


async def test_nobody_asks_without_the_token_or_a_name(service: Service) -> None:
    body: dict[str, Any] = {"subject": "volume"}
    assert (await service.post("/v1/exports", body, token="wrong", headers=ACTING))[0] == 401
    assert (await service.post("/v1/exports", body))[0] == 422
    for body in ({"subject": "payments", "grain": "day"}, {"subject": "risk", "channel": "card_sim"}):
        assert (await service.post("/v1/exports", body, headers=ACTING))[0] == 422


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    store, local = ObjectStore(f"file://{tmp_path}/kept"), tmp_path / "local"
    local.write_bytes(b"x" * 600_000)
    store.put(local, "a/b.bin")
    assert b"".join(store.read("a/b.bin")) == local.read_bytes()
    assert [path.name for path in (tmp_path / "kept" / "a").iterdir()] == ["b.bin"]
    store.remove("a/b.bin")
    store.remove("a/b.bin")
    assert not store.has("a/b.bin")


def test_totals_leave_ratios_out() -> None:
    columns = (
        Column("currency", "text", None, ""),
        Column("net_minor", "integer", Unit.MINOR, ""),
        Column("average_minor", "number", Unit.MINOR, ""),
    )
    totals = Totals(columns)
    totals.add(
        [
            {"currency": "EUR", "net_minor": 5, "average_minor": 2.5},
            {"currency": "EUR", "net_minor": None, "average_minor": None},
        ]
    )
    assert totals.by_currency() == {"EUR": {"net_minor": 5}}
