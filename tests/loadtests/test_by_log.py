"""Results that left by a log are whole, or it is said that they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtests.by_log import NoResults, packed, unpack


@pytest.fixture
def log(tmp_path: Path) -> list[str]:
    directory = tmp_path / "run"
    directory.mkdir()
    (directory / "report.html").write_text("<p>é" * 1000, encoding="utf-8")
    (directory / "samples.csv").write_text("1,2,3\n" * 1000)
    (directory / "run.json").write_text("not for others")
    return ["before\n", *(f"{line}\n" for line in packed(directory)), "after\n"]


def test_what_goes_in_comes_out(log: list[str], tmp_path: Path) -> None:
    assert set(unpack(log, tmp_path / "out")) == {"report.html", "samples.csv"}
    assert (tmp_path / "out" / "report.html").read_text(encoding="utf-8") == "<p>é" * 1000


def test_a_log_without_its_end_or_with_another_line_is_refused(log: list[str], tmp_path: Path) -> None:
    with pytest.raises(NoResults, match="ends within"):
        unpack(log[:-2], tmp_path)
    with pytest.raises(NoResults, match="has no results"):
        unpack(["nothing\n"], tmp_path)
    changed = list(log)
    changed[4] = changed[4].swapcase()
    with pytest.raises((NoResults, ValueError)):
        unpack(changed, tmp_path)
