#!/usr/bin/env python3
"""Grafana's dashboards as code: writes umbrella-chart/files/dashboards/*.json (`make dashboards`).

A dashboard is panels: a title, a unit and queries each. tests/charts/test_dashboards.py fails when a file
is not what this writes, and when a query names a metric that the code does not export.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parents[2] / "umbrella-chart" / "files" / "dashboards"
Query = tuple[str, str]  # PromQL, legend
NS = 'namespace=~"$namespace"'
MONEY = 'route=~"(/stripe)?/v1/(payments|payment_intents|refunds|ledger).*"'


def quantile(share: float, metric: str, labels: str, by: str = "") -> str:
    grouped = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({grouped}) (rate({metric}_bucket{{{labels}}}[$__rate_interval])))"


def rate(metric: str, labels: str, by: str = "") -> str:
    grouped = f" by ({by})" if by else ""
    return f"sum{grouped} (rate({metric}{{{labels}}}[$__rate_interval]))"


PAYMENTS: list[tuple[str, str, list[Query]]] = [
    ("Requests", "reqps", [(rate("http_requests_total", NS, "method, status"), "{{method}} {{status}}")]),
    (
        "Requests that move money, by route",
        "reqps",
        [(rate("http_requests_total", f'{NS},method="POST",{MONEY}', "route"), "{{route}}")],
    ),
    (
        "Creating a payment: how long (goal: 99 % within 250 ms)",
        "s",
        [
            (quantile(share, "http_request_seconds", f'{NS},method="POST",route="/v1/payments"'), f"p{name}")
            for share, name in ((0.5, "50"), (0.99, "99"), (0.999, "99.9"))
        ],
    ),
    (
        "Burn of the error budget, one hour (14.4 times pages)",
        "percentunit",
        [('slo:bad_events:ratio1h{namespace=~"$namespace"}', "{{slo}}")],
    ),
    (
        "Channels: calls by outcome",
        "reqps",
        [(rate("http_client_seconds_count", NS, "client, outcome"), "{{client}} {{outcome}}")],
    ),
    (
        "Circuit breakers (2 = open)",
        "short",
        [(f"max by (client) (breaker_state{{{NS}}})", "{{client}}")],
    ),
    (
        "Channels' reports: waiting, contradicting, late",
        "short",
        [
            (f"max(channel_parked_events{{{NS}}})", "waiting"),
            (f"sum(increase(channel_contradictions_total{{{NS}}}[$__rate_interval]))", "contradicting"),
            (f"sum(increase(channel_late_successes_total{{{NS}}}[$__rate_interval]))", "late successes"),
        ],
    ),
    (
        "Ledger: debits and credits apart (anything but 0 is an incident)",
        "short",
        [(f"max by (currency) (ledger_imbalance_minor{{{NS}}})", "{{currency}}")],
    ),
    ("Risk decisions", "reqps", [(rate("risk_assessments_total", NS, "decision"), "{{decision}}")]),
    (
        "Risk decision: how long (goal: 99.9 % within 100 ms)",
        "s",
        [
            (
                quantile(share, "http_request_seconds", f'{NS},method="POST",route="/v1/assessments"'),
                f"p{name}",
            )
            for share, name in ((0.5, "50"), (0.99, "99"), (0.999, "99.9"))
        ],
    ),
    (
        "Risk without a part of what it needs",
        "reqps",
        [(rate("risk_faults_total", NS, "fault"), "{{fault}}")],
    ),
    (
        "Webhooks: from the event to the first attempt",
        "s",
        [
            (quantile(0.5, "webhook_first_attempt_delay_seconds", f'{NS},receiver="well"'), "p50"),
            (quantile(0.999, "webhook_first_attempt_delay_seconds", f'{NS},receiver="well"'), "p99.9"),
        ],
    ),
    ("Webhooks: attempts", "reqps", [(rate("webhook_attempts_total", NS, "outcome"), "{{outcome}}")]),
]

INSIDE: list[tuple[str, str, list[Query]]] = [
    (
        "Committer: items in a flush",
        "short",
        [(quantile(0.5, "committer_flush_items", NS, "committer"), "{{committer}} p50")],
    ),
    (
        "Committer: time of a flush",
        "s",
        [(quantile(0.99, "committer_flush_seconds", NS, "committer"), "{{committer}} p99")],
    ),
    ("Committer: waiting", "short", [(f"sum by (committer) (committer_queue{{{NS}}})", "{{committer}}")]),
    ("Shed", "reqps", [(rate("requests_shed_total", NS, "priority"), "{{priority}}")]),
    ("Concurrency limit", "short", [(f"sum by (job) (concurrency_limit{{{NS}}})", "{{job}}")]),
    ("Rate limited", "reqps", [(rate("rate_limited_total", NS, "limit"), "{{limit}}")]),
    (
        "Outbox: not on the stream yet",
        "short",
        [(f"max by (job) (outbox_unpublished{{{NS}}})", "{{job}}")],
    ),
    ("Outbox: published", "reqps", [(rate("outbox_published_total", NS, "job"), "{{job}}")]),
    (
        "Consumers: behind",
        "short",
        [(f"max by (stream, consumer) (stream_lag{{{NS}}})", "{{stream}} {{consumer}}")],
    ),
    (
        "Consumers: events",
        "reqps",
        [(rate("stream_events_total", NS, "consumer, outcome"), "{{consumer}} {{outcome}}")],
    ),
    ("Tasks", "reqps", [(rate("task_seconds_count", NS, "task, outcome"), "{{task}} {{outcome}}")]),
    ("Tasks: how long", "s", [(quantile(0.99, "task_seconds", NS, "task"), "{{task}} p99")]),
    (
        "Console: age of what it shows",
        "s",
        [(f"max by (stream) (pipeline_age_seconds{{{NS}}})", "{{stream}}")],
    ),
    ("Quarantine", "short", [(f"max(pipeline_quarantine_open{{{NS}}})", "events")]),
    (
        "Memory",
        "bytes",
        [(f'sum by (pod) (container_memory_working_set_bytes{{{NS},container!=""}})', "{{pod}}")],
    ),
    (
        "Ready pods",
        "short",
        [(f"kube_deployment_status_replicas_ready{{{NS}}}", "{{deployment}}")],
    ),
]

DASHBOARDS = {"payments": ("Payments", PAYMENTS), "inside": ("Payment platform, inside", INSIDE)}
SOURCE = {"type": "prometheus", "uid": "${source}"}


def dashboard(name: str, title: str, panels: list[tuple[str, str, list[Query]]]) -> dict[str, Any]:
    return {
        "uid": f"payment-platform-{name}",
        "title": title,
        "tags": ["payment-platform"],
        "schemaVersion": 39,
        "timezone": "utc",
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {
            "list": [
                {"name": "source", "type": "datasource", "query": "prometheus", "label": "Prometheus"},
                {
                    "name": "namespace",
                    "type": "query",
                    "datasource": SOURCE,
                    "query": "label_values(http_requests_total, namespace)",
                    "refresh": 2,
                    "multi": True,
                    "includeAll": True,
                },
            ]
        },
        "panels": [panel(number, *each) for number, each in enumerate(panels)],
    }


def panel(number: int, title: str, unit: str, queries: list[Query]) -> dict[str, Any]:
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "datasource": SOURCE,
        "gridPos": {"h": 8, "w": 8, "x": 8 * (number % 3), "y": 8 * (number // 3)},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": {"fillOpacity": 10}}, "overrides": []},
        "options": {"tooltip": {"mode": "multi", "sort": "desc"}, "legend": {"displayMode": "list"}},
        "targets": [
            {"refId": chr(ord("A") + place), "datasource": SOURCE, "expr": query, "legendFormat": legend}
            for place, (query, legend) in enumerate(queries)
        ],
    }


def wanted() -> dict[Path, str]:
    """Every file and its content."""
    return {
        TARGET / f"{name}.json": json.dumps(dashboard(name, title, panels), indent=1) + "\n"
        for name, (title, panels) in DASHBOARDS.items()
    }


def main() -> int:
    TARGET.mkdir(parents=True, exist_ok=True)
    for path, content in wanted().items():
        path.write_text(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
