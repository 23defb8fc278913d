"""What a scan finds, in whatever spelling and container, and what its verdict says."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest

from platform_cli.privacy.scan_files import CHUNK_BYTES, scan_files
from platform_cli.privacy.sought import Findings, Place, sought_of

EMAIL = "Zoë.O'Hara@example.org"


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
    parquet.write_table(
        arrow.table({"payload": [f"to {EMAIL}"]}), tmp_path / "day.parquet", compression="zstd"
    )
    with gzip.open(tmp_path / "old.log.gz", "wt") as packed:
        packed.write(EMAIL)
    with zipfile.ZipFile(tmp_path / "book.xlsx", "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("sheet.xml", EMAIL)
    (tmp_path / "long.log").write_text("x" * (CHUNK_BYTES - 5) + EMAIL)
    (tmp_path / "clean.csv").write_text("id,amount\n1,2\n")
    whole, *found = scan_files(f"file://{tmp_path}", sought_of([EMAIL], []))
    assert whole.read == 5
    assert {Path(place.place).name for place in found} == {
        "day.parquet",
        "old.log.gz",
        "book.xlsx",
        "long.log",
    }


def test_what_is_not_there_proves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        scan_files(f"file://{tmp_path}/none", sought_of([EMAIL], []))


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
