"""What a run says on the terminal at its end."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from loadtests.history import Line
from loadtests.journey_names import ALL, JOURNEY
from loadtests.outcome import Outcome
from loadtests.verdict import ExitCode

COLOURS = {ExitCode.KEPT: "green", ExitCode.BROKEN: "red", ExitCode.INVALID: "yellow"}


def tell(console: Console, outcome: Outcome, comparison: Sequence[Line]) -> None:
    """Figures, objectives that were missed, the audit, the verdict."""
    console.print(_steps(outcome))
    console.print(_stages(outcome))
    generator = outcome.generator
    console.print(
        f"generator: {generator.begun_in_time:,} of {generator.planned:,} arrivals begun in time "
        f"({generator.achieved_share:.1%}), late p99 {generator.late_p99_ms:.1f} ms, "
        f"{generator.cpu_share:.0%} of a core"
    )
    verdict = outcome.verdict
    console.print(
        f"audit: {verdict.line}; {verdict.acknowledged:,} payments acknowledged, {verdict.payments:,} kept"
    )
    if verdict.webhooks:
        hooks = verdict.webhooks
        console.print(
            f"webhooks: {hooks.delivered:,} of {hooks.events:,} events had their effect, {hooks.repeated} repeated"
        )
    if verdict.silent:
        console.print(f"not asked: {', '.join(verdict.silent)}")
    for finding in verdict.findings[:20]:
        console.print(f"  {finding.kind}: {finding.what}", style="red", markup=False)
    for objective in outcome.broken:
        console.print(f"  SLO: {objective.sentence}", style="red", markup=False)
    for reason in generator.reasons:
        console.print(f"  invalid: {reason}", style="yellow", markup=False)
    if outcome.knee:
        console.print(
            f"knee: the last rate that was kept is {outcome.knee.target_rate:.0f}/s ({outcome.knee.name})"
        )
    for line in comparison:
        if line.name.startswith((f"{ALL} ", "pay ")):
            console.print(f"  {line.name}: {line.now:,.1f}, median before {line.before:,.1f}: {line.word}")
    for note in outcome.notes:
        console.print(f"  {note}", style="dim", markup=False)
    console.print(
        f"[bold {COLOURS[outcome.code]}]{outcome.word}[/] {outcome.profile.name}: {outcome.directory / 'report.html'}"
    )


def _steps(outcome: Outcome) -> Table:
    title = "latency from the intended start, and service time (ms)"
    table = Table("request", title=title, show_edge=False)
    for name in (
        "requests",
        "errors",
        "p50",
        "p95",
        "p99",
        "p99.9",
        "service p50",
        "service p99",
        "Locust p99",
    ):
        table.add_column(name, justify="right")
    ordered = [ALL, JOURNEY, *sorted(set(outcome.steps) - {ALL, JOURNEY})]
    for name in ordered:
        if name not in outcome.steps:
            continue
        found = outcome.steps[name]
        locust = outcome.locust.get("Aggregated" if name == ALL else name)
        table.add_row(
            name,
            f"{found.requests:,}",
            f"{found.errors:,}",
            *(f"{found.latency(share):,.1f}" for share in (0.5, 0.95, 0.99, 0.999)),
            *(f"{found.service(share):,.1f}" for share in (0.5, 0.99)),
            f"{locust['p99_ms']:,.0f}" if locust else "",
        )
    return table


def _stages(outcome: Outcome) -> Table:
    table = Table("stage", title="rate: target and achieved (journeys/s)", show_edge=False)
    for name in ("seconds", "target", "achieved", "good", "errors", "p50", "p99"):
        table.add_column(name, justify="right")
    for stage in outcome.stages:
        table.add_row(
            stage.name,
            f"{stage.seconds:g}",
            f"{stage.target_rate:.1f}",
            f"{stage.achieved_rate:.1f}",
            f"{stage.good / stage.seconds:.1f}",
            f"{stage.requests.errors:,}",
            f"{stage.requests.latency(0.5):,.1f}",
            f"{stage.requests.latency(0.99):,.1f}",
        )
    return table
