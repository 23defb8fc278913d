"""The page has everything in itself, whatever happened in the run; a difference is told from noise."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from loadtests.audit import Verdict, Webhooks
from loadtests.figures import Begun, by_stage, by_step
from loadtests.history import compare, earlier, line
from loadtests.journey_names import ALL
from loadtests.junit import junit
from loadtests.outcome import Outcome, summary, write_summary
from loadtests.profile import Fault, Profile, Stage
from loadtests.report.digest import digest
from loadtests.report.page import page
from loadtests.samples import Sample
from loadtests.schedule import plan
from loadtests.slo import judge
from loadtests.verdict import ExitCode, exit_code, weigh_generator
from platform_cli.audit.compare import Finding

PROFILE = Profile(
    "spike",
    "a <test> & more",
    (Stage("usual", 5, 5), Stage("spike", 20, 5)),
    {"pay": 1},
    faults=(Fault(6, "redis"),),
)
BEGIN = 1_790_000_000.0


def an_outcome(directory: Path, *, findings: tuple[Finding, ...] = (), cluster: bool = True) -> Outcome:
    planned = plan(PROFILE)
    samples = []
    for a in planned:
        outcome = "ok" if a.number % 9 else "shed"
        times = (a.at_s, a.at_s + 0.01, a.at_s + 0.1 + a.stage)
        samples.append(Sample(a.number, "pay", "pay", a.stage, *times, 201, outcome))
    begun = [Begun(a.number, "pay", a.stage, a.at_s, a.at_s + 0.001, a.at_s + 0.1 + a.stage) for a in planned]
    stages, steps = by_stage(PROFILE, planned, begun, samples), by_step(samples, begun)
    generator = weigh_generator(stages, begun, {"generators": 1, "cpu_s": 1, "wall_s": 10}, closed=False)
    objectives = judge(steps, {ALL: {"p99_ms": 2000, "error_share_max": 0.01}}, {"pay"})
    verdict = Verdict(list(findings), keys=125, acknowledged=100, webhooks=Webhooks(5, 5, 1, 0, [1.0, 2.0]))
    hpa = {"hpa": "platform-payment-gateway-api", "current": 1, "max": 3, "cpu_percent": 90}
    timeline = [{"at": BEGIN + at, "desired": 1 + (at > 5), **hpa} for at in range(0, 10, 2)]
    scaled = {
        "event": "SuccessfulRescale",
        "kind": "HorizontalPodAutoscaler",
        "object": "x",
        "message": "New size: 2",
    }
    timeline.append({"at": BEGIN + 7, **scaled})
    return Outcome(
        profile=PROFILE,
        closed=False,
        code=exit_code(generator, all_kept=False, audit_stands=not findings),
        objectives=objectives,
        generator=generator,
        verdict=verdict,
        steps=steps,
        stages=stages,
        knee=None,
        samples=samples,
        begun=begun,
        environment={"target": "kubernetes", "cores": 2, "cpu": "x", "app_version": "v1", "at": "2026-01-01"},
        begin_at=BEGIN,
        locust={"pay": {"p99_ms": 1100}},
        timeline=timeline if cluster else [],
        faults=[{"at": BEGIN + 6, "kill": "redis", "what": "redis (pid 1)"}],
        notes=["a note"],
        directory=directory,
    )


class _Reader(HTMLParser):
    """Counts tags, and fails where one is closed that is not open."""

    VOID = frozenset({"meta", "br", "link", "img"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.labels: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "svg":
            self.labels.append(str(dict(attrs)["aria-label"]))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_well_formed_and_needs_no_network(tmp_path: Path) -> None:
    (tmp_path / "samples.csv").write_text("x")
    text = page(an_outcome(tmp_path, findings=(Finding("lost", "pay_1 <is> gone"),)), [])
    reader = _Reader()
    reader.feed(text)
    assert reader.open == []
    assert reader.seen.count("svg") == 6  # rate, latency, errors, replicas, CPU, percentiles
    assert all(reader.labels)
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//|@import|url\(|<script""", text)
    assert "prefers-color-scheme: dark" in text
    assert "pay_1 &lt;is&gt; gone" in text
    assert "a &lt;test&gt; &amp; more" in text
    for part in (
        "SuccessfulRescale",
        "redis (pid 1)",
        "Error budget",
        "does not stand",
        "samples.csv",
        "a note",
        "FAIL",
    ):
        assert part in text, part
    assert "journal.jsonl" not in text, "only files that are there are linked"


def test_without_a_cluster_there_is_no_replica_chart_and_an_empty_run_has_a_page_too(tmp_path: Path) -> None:
    assert "Replicas" not in page(an_outcome(tmp_path, cluster=False), [])
    empty = replace(
        an_outcome(tmp_path, cluster=False),
        steps={},
        samples=[],
        begun=[],
        objectives=[],
        code=ExitCode.INVALID,
    )
    assert "INVALID" in page(empty, [])


def test_the_junit_file_names_what_was_broken(tmp_path: Path) -> None:
    suite = ElementTree.fromstring(
        junit(an_outcome(tmp_path, findings=(Finding("lost", 'pay_1 "is" <gone>'),)))
    )
    assert (suite.attrib["failures"], suite.attrib["errors"]) == ("2", "0")
    messages = [failure.attrib["message"] for failure in suite.iter("failure")]
    assert 'pay_1 "is" <gone>' in messages


@pytest.mark.parametrize(
    ("now", "before", "word"),
    [
        (104, [100, 101, 99, 100, 102], "within noise"),  # 5 % of the median
        (120, [100, 101, 99, 100, 102], "higher than noise explains"),
        (80, [100, 101, 99, 100, 102], "lower than noise explains"),
        (120, [80, 120, 100, 90, 110], "within noise"),  # runs that differ by so much explain it
        (120, [100, 101, 99, 100, 900], "higher than noise explains"),  # one odd run does not widen the band
        (120, [100], "not known: 1 earlier run, 3 are needed"),
    ],
)
def test_a_difference_is_held_against_what_runs_differ_by_anyway(
    now: float, before: list[float], word: str
) -> None:
    assert line("p99", now, before).word == word


def test_only_runs_of_the_same_shape_and_machine_are_compared_with(tmp_path: Path) -> None:
    def a_run(name: str, **changes: object) -> dict[str, object]:
        directory = tmp_path / f"spike-{name}"
        directory.mkdir()
        return write_summary(replace(an_outcome(directory), **changes))  # type: ignore[arg-type]

    a_run("1", begin_at=1.0)
    a_run("2", begin_at=2.0, code=ExitCode.INVALID)
    a_run("3", begin_at=3.0, closed=True)
    a_run("4", begin_at=4.0, environment={"target": "kubernetes", "cores": 64, "cpu": "x"})
    now = a_run("5", begin_at=5.0)
    others = earlier(tmp_path / "spike-5", now)
    assert [other["begin_at"] for other in others] == [1.0]
    assert compare(now, others)[0].word.startswith("not known")


def test_the_summary_has_both_latencies_of_each_request(tmp_path: Path) -> None:
    figures = summary(an_outcome(tmp_path))["steps"]["pay"]
    assert figures["p50_ms"] == pytest.approx(figures["service_p50_ms"] + 10, abs=0.1)


def test_a_digest_tells_the_run_and_no_address(tmp_path: Path) -> None:
    outcome = an_outcome(tmp_path, findings=(Finding("lost", "pay_1 is missing"),))
    outcome = replace(outcome, environment={**outcome.environment, "gateway": "http://box.internal:8080"})
    write_summary(outcome)
    (tmp_path / "cluster.jsonl").write_text("".join(json.dumps(one) + "\n" for one in outcome.timeline))
    told = digest(tmp_path)
    assert told.startswith("# spike: FAIL\n")
    assert "- 6 s: killed redis (pid 1)" in told
    assert "lost: pay_1 is missing" in told
    assert "**broken**: all: " in told
    # the autoscaler, when it changed its mind and not each time that it was looked at
    assert re.findall(r"^\| (\d+) \| 90 \| (\d) \| 1 \|$", told, re.MULTILINE) == [("0", "1"), ("6", "2")]
    assert "box.internal" not in told
