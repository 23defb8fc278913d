"""What a scan finds, in whatever spelling and container, and what its verdict says."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest
import xlsxwriter
from redis.asyncio import Redis

from platform_cli.embedded.testing import FreshDatabase
from platform_cli.privacy.scan_databases import scan_postgres, scan_redis
from platform_cli.privacy.scan_files import CHUNK_BYTES, scan_files
from platform_cli.privacy.sought import Findings, Place, sought_of

EMAIL = "Zoë.O'Hara@example.org"
QUOTED = 'Zoë "X" O\'Hara & SÖHNE\\'  # whatever some container writes in a way of its own


@pytest.mark.parametrize(
    "text",
    [
        EMAIL,
        EMAIL.upper(),
        "zo\\u00eb.o'hara@example.org",
        "Zo%C3%AB.O%27Hara%40example.org",
        EMAIL.encode().hex(),
    ],
)
def test_a_value_is_found_in_each_spelling(text: str) -> None:
    place = Place("here")
    place.look(f'{{"customer":"{text}"}}', sought_of([EMAIL], []))
    assert (place.read, place.values, place.tokens) == (1, 1, 0)


def test_what_is_too_short_is_not_looked_for_and_counted() -> None:
    sought = sought_of(["Ada", "GB", " ", "Lovelace"], ["sub_1"])
    assert "lovelace" in sought.values
    assert not any("ada" in value for value in sought.values)
    assert (list(sought.tokens), sought.count, sought.too_short) == (["sub_1"], 1, 2)


def test_files_are_read_by_what_they_are(tmp_path: Path) -> None:
    rows = {"payload": [f"to {QUOTED}"], "nested": [{"of": [QUOTED.encode()]}]}
    parquet.write_table(arrow.table(rows), tmp_path / "day.parquet", compression="zstd")
    with gzip.open(tmp_path / "old.log.gz", "wt") as packed:
        packed.write(json.dumps({"event": json.dumps({"name": QUOTED})}))
    with xlsxwriter.Workbook(tmp_path / "book.xlsx") as book:
        book.add_worksheet().write_row(0, 0, ["to", QUOTED])
    with open(tmp_path / "rows.csv", "w", newline="") as rows_file:
        csv.writer(rows_file).writerow(["1", QUOTED])
    (tmp_path / "long.log").write_text("x" * (CHUNK_BYTES - 5) + QUOTED)
    (tmp_path / "clean.csv").write_text("id,amount\n1,2\n")
    findings = scan_files(f"file://{tmp_path}", sought_of([QUOTED], []))
    whole, *found = findings.places
    assert (whole.read, findings.left_out) == (6, [])
    assert [Path(place.place).name for place in found] == [
        "book.xlsx", "day.parquet", "long.log", "old.log.gz", "rows.csv",
    ]  # fmt: skip


@pytest.mark.parametrize("type_of", ["text", "text[]", "json", "jsonb", "bytea"])
async def test_a_value_is_found_in_each_type_of_column(fresh_database: FreshDatabase, type_of: str) -> None:
    database = await fresh_database(None)
    told: Any = {"text": QUOTED, "text[]": [QUOTED], "bytea": json.dumps([QUOTED]).encode()}.get(
        type_of, json.dumps({"customer": {"name": QUOTED}})
    )
    connection = await asyncpg.connect(database.admin_url)
    await connection.execute(f"CREATE TABLE noted (id int, told {type_of})")
    await connection.execute("INSERT INTO noted VALUES (1, $1), (2, NULL)", told)
    await connection.close()
    findings = await scan_postgres(database.admin_url, sought_of([QUOTED], []))
    (place,) = (place for place in findings.places if place.place == "public.noted")
    assert (place.read, place.values, findings.left_out) == (2, 1, [])


async def test_a_table_that_may_not_be_read_is_left_out(fresh_database: FreshDatabase) -> None:
    database = await fresh_database("payments")
    findings = await scan_postgres(database.app_url, sought_of([QUOTED], []))
    assert any(one.startswith("vault.subject: ") for one in findings.left_out)
    assert findings.places, "the rest was read"


async def test_a_value_is_found_in_each_type_of_key(clean_redis_url: str) -> None:
    async with Redis.from_url(clean_redis_url) as redis:
        await redis.set("string:1", QUOTED)
        await redis.rpush("list:1", json.dumps([QUOTED]))
        await redis.hset("hash:1", QUOTED, "1")
        await redis.sadd("set:1", QUOTED)
        await redis.zadd("zset:1", {QUOTED: 1})
        await redis.xadd("stream", {"data": json.dumps({"name": QUOTED})})
        await redis.set(f"named-{QUOTED}", 1)
    findings = await scan_redis(clean_redis_url, sought_of([QUOTED], []))
    assert [place.values for place in findings.places] == [1] * 7, findings.places
    assert not any("SÖHNE" in place["place"] for place in findings.report(sought_of([QUOTED], []))["places"])


async def test_a_key_whose_time_is_over_meanwhile_is_nowhere(
    clean_redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Redis.from_url(clean_redis_url) as redis:
        await redis.set("here:1", EMAIL)

    async def more_than_there_is(self: Redis, **_: Any) -> AsyncIterator[bytes]:
        for key in (b"gone:1", b"here:1"):
            yield key

    monkeypatch.setattr(Redis, "scan_iter", more_than_there_is)
    findings = await scan_redis(clean_redis_url, sought_of([EMAIL], []))
    assert [(place.place, place.values) for place in findings.places] == [("redis string here", 1)]
    assert findings.left_out == []


def test_what_is_not_there_proves_nothing(tmp_path: Path) -> None:
    for url in (f"file://{tmp_path}/none", f"file://{tmp_path}", "nosuch://bucket"):
        findings = scan_files(url, sought_of([EMAIL], []))
        assert (findings.verdict, len(findings.left_out)) == ("incomplete", 1)


def test_a_damaged_file_is_left_out_and_the_hits_of_others_stay(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(EMAIL)
    for name in ("b.parquet", "c.xlsx", "d.gz"):
        (tmp_path / name).write_bytes(b"PAR1 of nothing")
    (tmp_path / "e.gz").write_bytes(gzip.compress(b"cut off" * 100)[:-9])
    (tmp_path / "z.log").write_text(EMAIL)
    findings = scan_files(f"file://{tmp_path}", sought_of([EMAIL], []))
    assert [Path(place.place).name for place in findings.places[1:]] == ["a.log", "z.log"]
    assert [Path(one.partition(": ")[0]).name for one in findings.left_out] == [
        "b.parquet", "c.xlsx", "d.gz", "e.gz",
    ]  # fmt: skip


def test_a_report_holds_no_value_in_the_name_of_a_place_or_of_what_was_left_out() -> None:
    findings = Findings(
        [Place(f"/logs/{'x' * 280}{EMAIL.upper()}.log", 1, 1), Place("redis string 203.0.113.77", 1, 1)],
        ["/exports/Zo%C3%AB.O%27Hara%40example.org.csv: denied"],
    )
    told = findings.report(sought_of([EMAIL, "203.0.113.77"], []))
    assert [place["place"] for place in told["places"]] == [
        f"/logs/{'x' * 280}….log", "redis string …",
    ]  # fmt: skip
    assert told["left_out"] == ["/exports/….csv: denied"]


def test_a_report_names_files_without_their_numbers_and_those_with_a_value_first() -> None:
    findings = Findings(
        [Place("tables", read=1), Place("/archive/0000004242-4242424242424242.parquet", 1, 1)]
    )
    places = [place["place"] for place in findings.report(sought_of([EMAIL], []))["places"]]
    assert places == ["/archive/…-….parquet", "tables"]


def test_a_verdict_is_clean_only_when_all_was_read_and_nothing_found() -> None:
    assert Findings().verdict == "incomplete"
    assert Findings([Place("a", read=3, tokens=3)]).verdict == "clean"
    assert Findings([Place("a", read=3)], ["s3://archive: no such bucket"]).verdict == "incomplete"
    assert Findings([Place("a", read=3, values=1)], ["elsewhere"]).verdict == "readable"
