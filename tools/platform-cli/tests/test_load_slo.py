"""A missed objective is told; a typo or a run without requests does not pass."""

from dataclasses import replace
from pathlib import Path

import pytest

from platform_cli.load_slo import Figures, misses, read_slo
from platform_cli.stack.state import clone

PAY = Figures("pay", requests=1000, failures=0, p50_ms=20, p95_ms=60, p99_ms=90)
SLO = {"pay": {"p50_ms": 25, "p95_ms": 60, "p99_ms": 100, "error_share_max": 0.001, "requests_min": 500}}


def test_figures_within_their_limits_pass() -> None:
    assert misses([PAY], SLO) == []


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        (replace(PAY, p50_ms=26), "pay: p50 was 26 ms, allowed are 25 ms"),
        (replace(PAY, p95_ms=61), "pay: p95 was 61 ms, allowed are 60 ms"),
        (replace(PAY, p99_ms=101), "pay: p99 was 101 ms, allowed are 100 ms"),
        (replace(PAY, failures=2), "pay: 0.20% errors, allowed are 0.10%"),
        (replace(PAY, requests=499), "pay: 499 requests, at least 500 are needed"),
        (replace(PAY, name="other"), "pay: there was no such request"),
        (replace(PAY, requests=0), "pay: there was no such request"),
    ],
)
def test_each_limit_is_held(changed: Figures, complaint: str) -> None:
    assert misses([changed], SLO) == [complaint]


def test_a_limit_with_a_typo_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "slo.yaml"
    file.write_text("pay: {p95: 100}\n")
    with pytest.raises(ValueError, match="unknown limit 'p95'"):
        read_slo(file)


def test_the_shipped_objectives_can_be_read() -> None:
    assert "Aggregated" in read_slo(clone() / "loadtests" / "slo.yaml")
