"""A run in a page of Markdown that can be kept in the repository: from its summary.json and cluster.jsonl."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from loadtests.audit import read_lines
from loadtests.slo import Objective

MACHINE = ("at", "cores", "cpu", "memory_gib", "load_average", "python", "target", "app_version", "revision")
"""What of the stamp is told: no addresses."""
SHARES = ("p50", "p95", "p99", "max")


def digest(directory: Path) -> str:
    """Markdown. Raises OSError where the run left no summary."""
    found = json.loads((directory / "summary.json").read_text(encoding="utf-8"))
    lines = read_lines(directory / "cluster.jsonl")
    return "\n".join(_page(found, lines)) + "\n"


def _page(found: Mapping[str, Any], timeline: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    generator, audit = found["generator"], found["audit"]
    yield f"# {found['profile']}: {found['verdict']}"
    yield ""
    yield f"{found['seconds']:.0f} s, {found['loop']} loop, exit code {found['exit_code']}."
    yield (
        f"Arrivals begun in time: {generator['begun_in_time']} of {generator['planned']}, late p99 "
        f"{generator['late_p99_ms']:.0f} ms, the generator took {generator['cpu_share']:.0%} of a core."
    )
    yield from (f"\nInvalid: {reason}." for reason in generator["reasons"])
    yield ""
    yield (
        f"Audit: {audit['lost']} lost, {audit['doubled']} doubled, {audit['ambiguous']} ambiguous "
        f"({audit['had_happened']} had happened, {audit['unresolved']} unresolved); "
        f"{audit['acknowledged']} payments acknowledged, {audit['payments']} kept."
    )
    yield from (f"- {finding['kind']}: {finding['what']}" for finding in audit["findings"])
    if audit["silent"]:
        yield f"Not asked: {', '.join(audit['silent'])}."
    yield from ("", "## Latency from the intended start, ms", "")
    yield from _table(
        ("request", "requests", "errors", "p50", "p95", "p99", "max"),
        (
            (name, step["requests"], step["errors"], *(_ms(step[f"{share}_ms"]) for share in SHARES))
            for name, step in found["steps"].items()
        ),
    )
    yield from ("", "## Stages", "")
    yield from _table(
        ("stage", "target/s", "achieved/s", "good/s", "p50", "p95", "p99", "max"),
        (
            (
                *(stage["name"], stage["target_per_s"], stage["achieved_per_s"], stage["good_per_s"]),
                *(_ms(stage[f"{share}_ms"]) for share in SHARES),
            )
            for stage in found["stages"]
        ),
    )
    yield from ("", "## Objectives", "")
    for one in found["objectives"]:
        objective = Objective(**one)
        yield f"- {'kept' if objective.is_kept else '**broken**'}: {objective.sentence}"
    if found["faults"]:
        yield from ("", "## Faults", "")
        for fault in found["faults"]:
            yield f"- {fault['at'] - found['begin_at']:.0f} s: killed {fault['what']}"
    yield from _autoscaling(timeline, found["begin_at"])
    yield from ("", "## Environment", "")
    yield from (f"- {name}: {found['environment'][name]}" for name in MACHINE if name in found["environment"])
    yield from (f"- {note}" for note in found["notes"])


def _autoscaling(timeline: Sequence[Mapping[str, Any]], begin_at: float) -> Iterator[str]:
    """What each autoscaler that changed its mind saw, whenever that changed."""
    seen: dict[str, list[tuple[float, Any, Any, Any]]] = defaultdict(list)
    for line in timeline:
        if "hpa" in line:
            state = (line["cpu_percent"], line["desired"], line["current"])
            if not seen[line["hpa"]] or seen[line["hpa"]][-1][1:] != state:
                seen[line["hpa"]].append((line["at"] - begin_at, *state))
    for name, states in seen.items():
        if len({desired for _, _, desired, _ in states}) > 1:
            yield from ("", f"## Autoscaler {name}", "")
            yield from _table(
                ("s", "CPU, % of the request", "desired", "running"),
                ((f"{at:.0f}", "–" if cpu is None else cpu, *pods) for at, cpu, *pods in states),
            )


def _table(head: Sequence[str], rows: Iterator[tuple[Any, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(str(cell) for cell in row)} |" for row in rows)


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"
