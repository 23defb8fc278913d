"""The tables at the end of the demonstration. Pure: journeys and findings in, rich tables out."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import quantiles
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from platform_cli.audit.compare import Finding, count
from platform_cli.audit.witnesses import Evidence
from platform_cli.demo.drive import Journey
from platform_cli.demo.orders import Then
from platform_kit.money import exponent

FINDINGS_SHOWN = 20
Is = Callable[[Journey], bool]

# Each order counts in every line that fits it: these are things that happened, not a partition.
WHAT_HAPPENED: tuple[tuple[str, Is], ...] = (
    ("approved", lambda j: j.told.get("captured_minor", 0) > 0),
    (
        "declined by the channel",
        lambda j: j.status == "declined" and j.told["decline_code"] != "risk_blocked",
    ),
    ("blocked by risk", lambda j: j.told.get("decline_code") == "risk_blocked"),
    ("held for review", lambda j: j.decision == "review"),
    ("challenged (3-D Secure)", lambda j: j.was_challenged),
    ("paid by wallet", lambda j: j.order.method == "wallet" and j.status == "captured"),
    ("outcome unknown, then resolved", lambda j: j.was_unknown),
    ("failed, nothing charged", lambda j: j.status == "failed"),
    ("voided", lambda j: j.status == "voided"),
    ("refunded, fully or in part", lambda j: j.told.get("refunded_minor", 0) > 0),
    ("replayed key, same bytes back", lambda j: j.replay_is_equal is True),
)
MUST_HAPPEN = frozenset(
    {
        "approved",
        "declined by the channel",
        "held for review",
        "challenged (3-D Secure)",
        "outcome unknown, then resolved",
        "refunded, fully or in part",
        "replayed key, same bytes back",
    }
)


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds since the command was started."""

    up_s: float
    first_captured_s: float
    driven_s: float
    total_s: float


def what_happened(journeys: Sequence[Journey]) -> dict[str, int]:
    """Number of orders per line of WHAT_HAPPENED."""
    return {name: sum(fits(journey) for journey in journeys) for name, fits in WHAT_HAPPENED}


def missing(journeys: Sequence[Journey]) -> list[Finding]:
    """Kinds of outcome that a full day has and this one lacks."""
    counts = what_happened(journeys)
    return [Finding("wrong", f"no order was: {name}") for name in sorted(MUST_HAPPEN) if not counts[name]]


def render(
    journeys: Sequence[Journey],
    evidence: Evidence,
    ledger: dict[str, Any],
    findings: Sequence[Finding],
    timing: Timing,
) -> Group:
    """Everything that is printed at the end."""
    return Group(
        Text(""),
        _happened_table(journeys),
        Text(""),
        _money_table(journeys),
        Text(""),
        _figures_table(journeys, evidence, timing),
        Text(""),
        *_verdict(ledger, findings, evidence),
    )


def _happened_table(journeys: Sequence[Journey]) -> Table:
    table = Table("what happened", "orders", box=None, title=f"{len(journeys)} orders", title_justify="left")
    table.columns[1].justify = "right"
    for name, number in what_happened(journeys).items():
        table.add_row(name, f"{number:,}")
    return table


def _money_table(journeys: Sequence[Journey]) -> Table:
    table = Table("currency", "captured", "amount", "refunded", "net", "not captured", "amount", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for currency in sorted({journey.order.currency for journey in journeys}):
        ours = [journey for journey in journeys if journey.order.currency == currency and journey.told]
        taken = [journey for journey in ours if journey.told["captured_minor"]]
        rest = [journey for journey in ours if not journey.told["captured_minor"]]
        captured = sum(journey.told["captured_minor"] for journey in taken)
        refunded = sum(journey.told["refunded_minor"] for journey in taken)
        table.add_row(
            currency,
            str(len(taken)),
            amount(captured, currency),
            amount(refunded, currency),
            amount(captured - refunded, currency),
            str(len(rest)),
            amount(sum(journey.told["amount_minor"] for journey in rest), currency),
        )
    return table


def amount(minor: int, currency: str) -> str:
    """1250 EUR -> 12.50; 6300 JPY -> 6,300; 14500 KWD -> 14.500."""
    decimals = exponent(currency)
    whole, part = divmod(minor, 10**decimals)
    return f"{whole:,}.{part:0{decimals}}" if decimals else f"{whole:,}"


def _figures_table(journeys: Sequence[Journey], evidence: Evidence, timing: Timing) -> Table:
    latencies = [journey.latency_s * 1000 for journey in journeys if _is_plain(journey) and journey.latency_s]
    table = Table(box=None, show_header=False)
    if len(latencies) > 1:
        cuts = quantiles(latencies, n=100)
        text = f"p50 {cuts[49]:.0f} ms, p95 {cuts[94]:.0f} ms, p99 {cuts[98]:.0f} ms"
        table.add_row("payment latency", f"{text} ({len(latencies)} without a scripted fault)")
    for run in evidence.reconciliations:
        state = f"{run['state']}: {run['matched_count']} matched, {run['break_count']} breaks"
        table.add_row(f"reconciliation {run['channel']}", state)
    table.add_row("events in the warehouse", f"{(evidence.warehouse or {}).get('stored', 0):,}, none missing")
    table.add_row("ready after", f"{timing.up_s:.1f} s")
    table.add_row("first captured payment after", f"{timing.first_captured_s:.1f} s")
    table.add_row("orders driven in", f"{timing.driven_s:.1f} s")
    table.add_row("total", f"{timing.total_s:.1f} s")
    return table


def _is_plain(journey: Journey) -> bool:
    return journey.order.story != "bad_line" and journey.order.then is not Then.REPLAY


def _verdict(ledger: dict[str, Any], findings: Sequence[Finding], evidence: Evidence) -> list[Text]:
    lost, doubled, stuck = (count(findings, kind) for kind in ("lost", "doubled", "stuck"))
    charges = sum(record.charges for record in (evidence.charges or {}).values())
    balanced = "ledger balanced" if ledger["balanced"] else "LEDGER NOT BALANCED"
    lines = [
        Text(
            f"{balanced}: {ledger['transfers']:,} transfers over {ledger['accounts']:,} accounts",
            _colour(ledger["balanced"]),
        ),
        Text(
            f"{lost} lost, {doubled} doubled, {stuck} stuck: the shop's history, the channels' journals "
            f"({charges} charges) and the ledger with its events agree"
            if not findings
            else f"{lost} lost, {doubled} doubled, {stuck} stuck; {len(findings)} findings:",
            _colour(not findings),
        ),
    ]
    kinds = Counter(finding.kind for finding in findings)
    lines += [Text(f"  {finding.kind}: {finding.what}", "red") for finding in findings[:FINDINGS_SHOWN]]
    if len(findings) > FINDINGS_SHOWN:
        lines.append(Text(f"  … {dict(kinds)} in all", "red"))
    return lines


def _colour(is_good: bool) -> str:
    return "bold green" if is_good else "bold red"
