"""Each verdict against a server that was told to deserve it, by processes as a user starts them.

No timing is asserted that a busy machine could spoil: a stall is long, and what is compared are orders of magnitude.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.loadtests.conftest import Run

pytestmark = pytest.mark.timing

Toy = Callable[..., str]
Load = Callable[..., "Run"]
CALM = {"stages": [{"name": "calm", "rate": 40, "seconds": 2, "arrivals": "constant"}]}


def test_a_good_platform_passes_and_every_kind_of_result_is_kept(toy: Toy, load: Load) -> None:
    mix = {
        "pay": 3,
        "authorise_capture": 1,
        "refund": 1,
        "status": 1,
        "replay": 1,
        "decline": 1,
        "webhook": 1,
    }
    run = load(toy(), **{**CALM, "mix": mix})
    assert run.code == 0, run.said
    assert run.summary["verdict"] == "PASS"
    assert run.summary["audit"]["lost"] == run.summary["audit"]["doubled"] == 0
    assert run.summary["generator"]["planned"] == 80
    assert {"pay", "authorise", "capture", "refund", "status", "list", "replay", "decline"} <= set(
        run.summary["steps"]
    )
    for name in ("samples.csv", "arrivals.csv", "journal.jsonl", "junit.xml", "report.html", "latency.hgrm"):
        assert (run.directory / name).stat().st_size, name
    assert "sk_test_toy" not in "".join(
        file.read_text() for file in run.directory.iterdir() if file.is_file()
    ), "the merchant's key must not stay in the results"
    suite = ElementTree.parse(run.directory / "junit.xml").getroot()
    assert suite.attrib["failures"] == "0"


def test_a_stall_is_in_the_open_loop_s_percentile_and_hidden_from_the_closed_one(
    toy: Toy, load: Load
) -> None:
    """Coordinated omission: of two shops that wait each meets a stall of 1.5 s once, of open arrivals sixty do."""
    stall = {"stall_at_s": 0.5, "stall_s": 1.5}
    stages = {"stages": [{"name": "calm", "rate": 40, "seconds": 4, "arrivals": "constant"}]}
    opened = load(toy(**stall), slo={"all": {"p95_ms": 700}}, **stages)
    closed = load(toy(**stall), "--closed", slo={"all": {"p95_ms": 700}}, closed_users=2, **stages)
    assert opened.summary["steps"]["pay"]["p95_ms"] > 700
    assert closed.summary["steps"]["pay"]["p95_ms"] < 700 < closed.summary["steps"]["pay"]["max_ms"]
    # and a platform that is slow is slow: it breaks its objective, and the run is not invalid for it
    assert (opened.code, closed.code) == (1, 0), opened.said + closed.said
    assert opened.summary["generator"]["reasons"] == []


def test_a_generator_that_falls_behind_makes_the_run_invalid(toy: Toy, load: Load) -> None:
    much = 20_000  # a quick core begins some 5,000 a second
    run = load(toy(), stages=[{"name": "too-much", "rate": much, "seconds": 0.5}])
    assert run.code == 3, run.said
    assert "begun in time" in run.summary["generator"]["reasons"][0]


def test_each_planted_harm_is_found_and_counted(toy: Toy, load: Load) -> None:
    """One payment forgotten, one made twice, every tenth request failed, one answer lost: of eighty."""
    harm = {"lose_nth": 21, "double_nth": 41, "hang_nth": 61, "fail_share": 10}
    run = load(toy(**harm), slo={"all": {"error_share_max": 0.01}}, timeout_s=2, **CALM)
    assert run.code == 1, run.said
    assert run.summary["steps"]["pay"]["outcomes"] == {"ok": 71, "failed": 8, "timeout": 1}
    audit = run.summary["audit"]
    assert (audit["lost"], audit["doubled"]) == (1, 1)
    # what failed and what got no answer was asked again with its key: one had been done, eight had not
    assert (audit["ambiguous"], audit["had_happened"], audit["unresolved"]) == (9, 1, 0)
    assert audit["acknowledged"] == 80
    suite = ElementTree.parse(run.directory / "junit.xml").getroot()
    failures = [failure.attrib["message"] for failure in suite.iter("failure")]
    assert len(failures) == 3, failures
    assert "all: 11.25% errors, allowed are 1.00%" in failures
