"""`report.html`: one file, everything in it, readable without a network, by light and by dark, by eye and by ear."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from math import isfinite
from pathlib import Path

from loadtests.figures import Figures
from loadtests.history import Line
from loadtests.journey_names import ALL, JOURNEY
from loadtests.outcome import Outcome
from loadtests.percentiles import curve
from loadtests.report.chart import percentile_chart
from loadtests.report.over_time import charts_over_time, cluster_events
from loadtests.samples import ERRORS
from loadtests.slo import SHARES
from loadtests.verdict import ExitCode

STYLE = Path(__file__).with_name("style.css")
RAW = {
    "summary.json": "every figure of this page",
    "samples.csv": "each request: intended, sent, answered (seconds since the start), status, outcome",
    "arrivals.csv": "each arrival: planned, begun, ended",
    "journal.jsonl": "each idempotency key: the intent before it was sent, the outcome after",
    "webhooks.jsonl": "each delivery that the receiver got",
    "cluster.jsonl": "replicas, autoscalers, events of the cluster, every two seconds",
    "faults.jsonl": "what was killed, and when",
    "latency.hgrm": "the distribution for HdrHistogram's plotter",
    "junit.xml": "the verdict for a CI",
    "generator.json": "the generator's own account, with Locust's summary",
    "generator.log": "what Locust said",
    "logs": "the platform's logs (of a platform that was started for this run)",
}


def write_page(outcome: Outcome, comparison: Sequence[Line]) -> None:
    """Into the run's directory."""
    (outcome.directory / "report.html").write_text(page(outcome, comparison), encoding="utf-8")


def page(outcome: Outcome, comparison: Sequence[Line]) -> str:
    """The whole document."""
    title = f"{outcome.profile.name}: {outcome.word}"
    body = "".join(
        [
            _header(outcome),
            _reasons(outcome),
            _tiles(outcome),
            _over_time(outcome),
            _distribution(outcome),
            '<div class="columns">',
            _audit(outcome),
            _budget(outcome),
            "</div>",
            _objectives(outcome),
            _requests(outcome),
            _stages(outcome),
            _comparison(comparison),
            _events(outcome),
            '<div class="columns">',
            _environment(outcome),
            _raw(outcome),
            "</div>",
        ]
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>Load test {escape(title)}</title><style>{STYLE.read_text(encoding='utf-8')}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def _header(outcome: Outcome) -> str:
    word = {ExitCode.KEPT: "pass", ExitCode.BROKEN: "fail"}.get(outcome.code, "invalid")
    begun = (
        datetime.fromtimestamp(outcome.begin_at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        if outcome.begin_at
        else ""
    )
    loop = "closed loop" if outcome.closed else "open loop"
    return (
        f"<header><div><h1>Load test: {escape(outcome.profile.name)}</h1>"
        f'<p class="soft">{escape(outcome.profile.about)}<br>{begun} · {outcome.profile.seconds:.0f} s · {loop} · '
        f"{escape(str(outcome.environment.get('target', '')))}, version "
        f"{escape(str(outcome.environment.get('app_version')))}</p></div>"
        f'<div class="verdict {word}" role="status">{outcome.word}</div></header>'
    )


def _reasons(outcome: Outcome) -> str:
    """Why it is not a pass, first thing on the page."""
    broken = [f"{finding.kind}: {finding.what}" for finding in outcome.verdict.findings[:12]]
    if len(outcome.verdict.findings) > 12:
        broken.append(f"and {len(outcome.verdict.findings) - 12} more findings")
    broken += [objective.sentence for objective in outcome.broken]
    parts = []
    if outcome.generator.reasons:
        parts.append(_box("The run proves nothing about the platform", outcome.generator.reasons, "odd"))
    if broken:
        parts.append(_box("What was not kept", broken, ""))
    return "".join(parts)


def _box(title: str, lines: Iterable[str], css: str) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<div class="reasons {css}"><strong>{escape(title)}</strong><ul>{items}</ul></div>'


def _tiles(outcome: Outcome) -> str:
    whole, verdict, generator = outcome.steps.get(ALL), outcome.verdict, outcome.generator
    seconds = outcome.profile.seconds
    tiles = [
        (
            "requests",
            f"{whole.requests if whole else 0:,}",
            f"{generator.planned:,} customers in {seconds:.0f} s",
        ),
        (
            "arrivals in time",
            f"{generator.achieved_share:.1%}",
            f"{generator.begun_in_time / seconds:.1f}/s of {generator.planned / seconds:.1f}/s planned",
        ),
        ("p50 / p99, ms", f"{_number(whole, 0.5)} / {_number(whole, 0.99)}", "from the intended start"),
        ("errors", f"{whole.error_share if whole else 0:.2%}", f"{whole.errors if whole else 0:,} requests"),
        (
            "lost / doubled",
            f"{verdict.lost} / {verdict.doubled}",
            f"{verdict.acknowledged:,} payments acknowledged",
        ),
        ("ambiguous", f"{verdict.ambiguous}", f"{verdict.unresolved} unresolved after asking again"),
    ]
    if outcome.profile.finds_knee:
        rate = f"{outcome.knee.target_rate:.0f}/s" if outcome.knee else "none"
        tiles.insert(2, ("knee", rate, "last step that was kept"))
    cells = "".join(
        f'<div class="tile"><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(note)}</small></dd></div>'
        for name, value, note in tiles
    )
    return f'<dl class="tiles">{cells}</dl>'


def _number(figures: Figures | None, share: float) -> str:
    return f"{figures.latency(share):,.0f}" if figures and figures.requests else "–"


def _duration(value: float) -> str:
    if not isfinite(value):
        return "–"
    return f"{value:,.0f} ms" if value < 10_000 else f"{value / 1000:,.1f} s"


def _over_time(outcome: Outcome) -> str:
    figures = "".join(
        f"<figure><h3>{escape(title)}</h3>{svg}<figcaption>{escape(caption)}</figcaption></figure>"
        for title, caption, svg in charts_over_time(outcome)
    )
    return (
        '<section aria-labelledby="over-time"><h2 id="over-time">Over the seconds of the run</h2>'
        '<p class="soft">All charts share one axis; shades are stages. Point at a second for its values.</p>'
        f"{figures}</section>"
    )


def _distribution(outcome: Outcome) -> str:
    whole = outcome.steps.get(ALL)
    if whole is None or not whole.requests:
        return ""
    lines = [
        ("from the intended start", "blue", curve(whole.latencies)),
        ("service time (what a closed loop would report)", "orange dashed", curve(whole.services)),
    ]
    svg = percentile_chart(
        "Latency by percentile", "intended start against service time, milliseconds", lines
    )
    return (
        '<section aria-labelledby="curve"><h2 id="curve">Latency by percentile</h2>'
        '<p class="soft">Exact values of kept samples, no buckets. The distance between the lines is what waiting '
        "to be sent adds: with a generator on time it is small.</p>"
        f"<figure>{svg}</figure></section>"
    )


def _audit(outcome: Outcome) -> str:
    verdict = outcome.verdict
    stands = not verdict.findings
    facts: list[tuple[str, str]] = [
        ("idempotency keys journaled", f"{verdict.keys:,}"),
        ("payments acknowledged", f"{verdict.acknowledged:,}"),
        ("payments kept by the gateway", f"{verdict.payments:,}"),
        ("lost", str(verdict.lost)),
        ("doubled", str(verdict.doubled)),
        (
            "ambiguous",
            f"{verdict.ambiguous}, asked again with the same key: {verdict.had_happened} had been done, "
            f"{verdict.unresolved} unresolved",
        ),
    ]
    if verdict.charges is not None:
        facts.append(("charges in the channels' journals", f"{verdict.charges:,}"))
    if verdict.ledger_balanced is not None:
        facts.append(("ledger", "balanced" if verdict.ledger_balanced else "NOT BALANCED"))
    if verdict.webhooks:
        hooks = verdict.webhooks
        facts.append(
            (
                "webhook events",
                f"{hooks.delivered:,} of {hooks.events:,} had their effect once, {hooks.repeated} repeats",
            )
        )
        if hooks.first_attempt_ms:
            last = hooks.first_attempt_ms[
                min(len(hooks.first_attempt_ms) - 1, int(0.99 * len(hooks.first_attempt_ms)))
            ]
            facts.append(("event to delivery, p99", _duration(last)))
    if verdict.silent:
        facts.append(("not asked", ", ".join(verdict.silent)))
    word = '<span class="ok">stands</span>' if stands else '<span class="no">does not stand</span>'
    return f'<section aria-labelledby="audit"><h2 id="audit">Audit: {word}</h2>{_facts(facts)}</section>'


def _budget(outcome: Outcome) -> str:
    whole = outcome.steps.get(ALL)
    objective = next(
        (one for one in outcome.objectives if one.subject == ALL and one.limit == "error_share_max"), None
    )
    if whole is None or objective is None:
        return ""
    allowed = objective.allowed * whole.requests
    spent = whole.errors / allowed if allowed else (1.0 if whole.errors else 0.0)
    rows = "".join(
        f'<tr><td>{escape(name)}</td><td class="words soft">{escape(ERRORS.get(name, ""))}</td><td>{count:,}</td></tr>'
        for name, count in sorted(whole.outcomes.items(), key=lambda item: -item[1])
        if name in ERRORS
    )
    table = (
        f'<div class="scroll"><table><thead><tr><th>class</th><th class="words">meaning</th><th>requests</th></tr>'
        f"</thead><tbody>{rows}</tbody></table></div>"
        if rows
        else '<p class="soft">No request failed.</p>'
    )
    css = ' class="spent"' if spent > 1 else ""
    return (
        '<section aria-labelledby="budget"><h2 id="budget">Error budget</h2>'
        f"<p>{whole.errors:,} of {allowed:,.1f} errors allowed ({objective.allowed:.2%} of {whole.requests:,}): "
        f"<strong>{spent:.0%} spent</strong>.</p>"
        f'<div class="meter" role="img" aria-label="{spent:.0%} of the error budget is spent">'
        f'<i{css} style="width:{min(100.0, 100 * spent):.1f}%"></i></div>{table}</section>'
    )


def _objectives(outcome: Outcome) -> str:
    rows = []
    for one in outcome.objectives:
        mark = '<span class="ok">kept</span>' if one.is_kept else '<span class="no">broken</span>'
        measured = "–" if one.measured is None else _value(one.limit, one.measured)
        rows.append(
            f"<tr><td>{escape(one.subject)}</td><td>{escape(one.limit)}</td>"
            f"<td>{_value(one.limit, one.allowed)}</td><td>{measured}</td><td>{mark}</td></tr>"
        )
    head = "<tr><th>request</th><th>limit</th><th>allowed</th><th>measured</th><th>verdict</th></tr>"
    return _table(
        "objectives", "Objectives (slo.yaml)", "Latencies count from the intended start.", head, rows
    )


def _value(limit: str, value: float) -> str:
    if limit in SHARES:
        return f"{value:.2%}"
    return f"{value:,.0f}" if limit == "requests_min" else _duration(value)


def _requests(outcome: Outcome) -> str:
    rows = []
    for name in [ALL, JOURNEY, *sorted(set(outcome.steps) - {ALL, JOURNEY})]:
        if name not in outcome.steps:
            continue
        one = outcome.steps[name]
        locust = outcome.locust.get("Aggregated" if name == ALL else name)
        cells = [
            f"{one.requests:,}",
            f"{one.errors:,}",
            *(_duration(one.latency(share)) for share in (0.5, 0.95, 0.99, 0.999, 1.0)),
            *(_duration(one.service(share)) for share in (0.5, 0.99)),
            f"{locust['p99_ms']:,.0f} ms" if locust else "",
        ]
        rows.append(f"<tr><td>{escape(name)}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    names = (
        "requests",
        "errors",
        "p50",
        "p95",
        "p99",
        "p99.9",
        "max",
        "service p50",
        "service p99",
        "Locust p99",
    )
    head = f"<tr><th>request</th>{''.join(f'<th>{name}</th>' for name in names)}</tr>"
    note = "Locust's own p99 is a service time, rounded to two digits; it stands here to be compared."
    return _table("requests", "By request", note, head, rows)


def _stages(outcome: Outcome) -> str:
    rows = [
        f"<tr><td>{escape(one.name)}</td><td>{one.seconds:g}</td><td>{one.target_rate:.1f}</td>"
        f"<td>{one.achieved_rate:.1f}</td><td>{one.achieved_share:.1%}</td><td>{one.good / one.seconds:.1f}</td>"
        f"<td>{one.requests.errors:,}</td><td>{_duration(one.requests.latency(0.5))}</td>"
        f"<td>{_duration(one.requests.latency(0.99))}</td></tr>"
        for one in outcome.stages
    ]
    names = ("seconds", "target/s", "achieved/s", "in time", "good/s", "errors", "p50", "p99")
    head = f"<tr><th>stage</th>{''.join(f'<th>{name}</th>' for name in names)}</tr>"
    note = "Arrivals planned, begun within the stage, and answered without any error."
    return _table("stages", "By stage", note, head, rows)


def _comparison(lines: Sequence[Line]) -> str:
    if not lines:
        return (
            '<section><h2>Beside earlier runs</h2><p class="soft">There is no earlier valid run of this profile with '
            "the same rates on the same kind of machine in this directory.</p></section>"
        )
    rows = []
    for one in lines:
        band = "–" if one.band is None else f"± {one.band:,.1f}"
        css = "no" if "higher" in one.word else "ok" if "lower" in one.word else "soft"
        rows.append(
            f"<tr><td>{escape(one.name)}</td><td>{one.now:,.1f}</td><td>{one.before:,.1f}</td><td>{band}</td>"
            f'<td>{one.change:+.0%}</td><td class="words {css}">{escape(one.word)}</td></tr>'
        )
    head = (
        "<tr><th>figure</th><th>now</th><th>median before</th><th>noise</th><th>change</th>"
        '<th class="words">which is</th></tr>'
    )
    runs = max(one.runs for one in lines)
    note = f"{runs} earlier run{'' if runs == 1 else 's'}; noise is three median deviations, and never less than 5 %."
    return _table("comparison", "Beside earlier runs", note, head, rows)


def _events(outcome: Outcome) -> str:
    rows = [
        f'<tr><td>{at:.0f} s</td><td class="words">{escape(reason)}</td><td class="words">{escape(name)}</td>'
        f'<td class="words soft">{escape(message)}</td></tr>'
        for at, reason, name, message in cluster_events(outcome)[:60]
    ]
    if not rows:
        return ""
    head = '<tr><th>at</th><th class="words">what</th><th class="words">object</th><th class="words">in words</th></tr>'
    return _table("events", "Faults and cluster events", "", head, rows)


def _environment(outcome: Outcome) -> str:
    facts = [(name.replace("_", " "), str(value)) for name, value in outcome.environment.items()]
    generator = outcome.generator
    facts += [
        ("generator", f"{generator.generators} process(es), {generator.cpu_share:.0%} of a core"),
        ("generator late", f"p99 {generator.late_p99_ms:.1f} ms, most {generator.late_max_ms:.1f} ms"),
        ("seed", str(outcome.profile.seed)),
    ]
    notes = "".join(f"<li>{escape(note)}</li>" for note in outcome.notes)
    return (
        f'<section aria-labelledby="environment"><h2 id="environment">Environment</h2>{_facts(facts)}'
        f"{f'<ul>{notes}</ul>' if notes else ''}</section>"
    )


def _raw(outcome: Outcome) -> str:
    present = [(name, what) for name, what in RAW.items() if (outcome.directory / name).exists()]
    facts = "".join(
        f'<dt><a href="{name}"><code>{name}</code></a></dt><dd class="soft">{escape(what)}</dd>'
        for name, what in present
    )
    return (
        '<section aria-labelledby="raw"><h2 id="raw">Raw data, beside this page</h2>'
        f'<dl class="facts">{facts}</dl></section>'
    )


def _facts(facts: Iterable[tuple[str, str]]) -> str:
    return (
        '<dl class="facts">'
        + "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts)
        + "</dl>"
    )


def _table(anchor: str, title: str, note: str, head: str, rows: Sequence[str]) -> str:
    caption = f'<p class="soft">{escape(note)}</p>' if note else ""
    return (
        f'<section aria-labelledby="{anchor}"><h2 id="{anchor}">{escape(title)}</h2>{caption}<div class="scroll">'
        f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table></div></section>"
    )
