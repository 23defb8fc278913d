"""Every alert on a series that raises it and on one that must not, by promtool; every query names what is exported."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.charts.exported_metrics import exported, problems

if TYPE_CHECKING:
    from tests.charts.conftest import Helm

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "kubernetes" / "observability.md"
ON = ("--set", "global.monitoring.rules=true", "--api-versions", "monitoring.coreos.com/v1")
SPEEDS = {"Fast": (14.4, 1, 120), "Slow": (6.0, 5, 96), "Leak": (1.0, 30, 148)}
"""Speed to burn factor, the minutes of a step, and the steps after which the long window is full."""
PER_STEP = 10_000
DAY = 48
"""In steps of half an hour."""

Series = dict[str, str]


@dataclass(frozen=True)
class Case:
    """Series (name to values, one a step) that raise the alert after so many steps, and that do not."""

    fires: Series
    quiet: Series
    steps: int
    labels: dict[str, str] = field(default_factory=dict)
    minutes: int = 1
    """Of a step."""


def steadily(name: str, labels: str, per_step: float, steps: int) -> Series:
    return {f'{name}{{namespace="pay",{labels}}}': f"0+{per_step:g}x{steps}"}


def gauge(name: str, loud: float, calm: float, steps: int = 30, labels: str = "", **shown: str) -> Case:
    def at(level: float) -> Series:
        return {f'{name}{{namespace="pay"{labels}}}': f"{level:g}x{steps}"}

    return Case(at(loud), at(calm), steps, {"namespace": "pay", **shown})


def requests(ratio: float, steps: int, method: str, route: str) -> Series:
    bad = PER_STEP * ratio
    common = f'method="{method}",route="{route}"'
    return steadily("http_requests_total", f'{common},status="200"', PER_STEP - bad, steps) | steadily(
        "http_requests_total", f'{common},status="500"', bad, steps
    )


def latencies(ratio: float, steps: int, name: str, labels: str, le: str) -> Series:
    return steadily(f"{name}_count", labels, PER_STEP, steps) | steadily(
        f"{name}_bucket", f'{labels},le="{le}"', PER_STEP * (1 - ratio), steps
    )


def burning(slo: str, ratio: float, steps: int) -> Series:
    match slo:
        case "A1":
            return requests(ratio, steps, "POST", "/v1/payments/{payment_id}/refunds")
        case "A3":
            return requests(ratio, steps, "GET", "/v1/payments")
        case "L1":
            return latencies(
                ratio, steps, "http_request_seconds", 'method="POST",route="/v1/payments"', "0.25"
            )
        case "L2":
            return latencies(
                ratio, steps, "http_request_seconds", 'method="POST",route="/v1/assessments"', "0.1"
            )
        case _:
            return latencies(ratio, steps, "webhook_first_attempt_delay_seconds", 'receiver="well"', "30.0")


SLOS = {
    "A1": ("MoneyRequestsFail", 0.0005),
    "A3": ("ReadsFail", 0.001),
    "L1": ("PaymentsSlow", 0.01),
    "L2": ("RiskDecisionsSlow", 0.001),
    "W1": ("WebhooksBeginLate", 0.001),
}
BURN_RATES = {
    f"{name}{speed}": Case(
        burning(slo, 1.5 * factor * budget, steps),
        burning(slo, 0.5 * factor * budget, steps),
        steps,
        {"namespace": "pay"},
        minutes,
    )
    for slo, (name, budget) in SLOS.items()
    for speed, (factor, minutes, steps) in SPEEDS.items()
}
OTHERS = {
    "LedgerNotZero": gauge("ledger_imbalance_minor", 1, 0, labels=',currency="all"'),
    "LedgerUnwatched": Case(
        {'ledger_imbalance_minor{namespace="pay",currency="EUR"}': "0x30"},
        {'ledger_imbalance_minor{namespace="pay",currency="all"}': "0x30"},
        30,
        {"currency": "all"},
    ),
    "ChannelContradictsUs": Case(
        {'channel_contradictions_total{namespace="pay",channel="card_sim"}': "0x20 1x10"},
        {'channel_contradictions_total{namespace="pay",channel="card_sim"}': "3x30"},
        30,
        {"namespace": "pay", "channel": "card_sim"},
    ),
    "ChannelReportsWait": gauge("channel_parked_oldest_seconds", 700, 500),
    "ChannelUnreachable": gauge("breaker_state", 2, 1, labels=',client="card_sim"', client="card_sim"),
    "RoutingRulesRefused": gauge("routing_rules_refused", 1, 0),
    "RiskRuleSetRefused": gauge("risk_rule_set_refused", 1, 0),
    "RiskDecidesWithoutEverything": Case(
        {'risk_faults_total{namespace="pay",fault="redis"}': "0+12x40"},
        {'risk_faults_total{namespace="pay",fault="redis"}': "0+3x40"},
        40,
        {"namespace": "pay", "fault": "redis"},
    ),
    "RiskAlertFiring": gauge(
        "risk_alerts_firing", 1, 0, labels=',kind="card_testing",severity="critical"', kind="card_testing"
    ),
    "RiskAlertingStopped": Case(
        {'risk_alert_looks_total{namespace="pay"}': "5x30"},
        {'risk_alert_looks_total{namespace="pay"}': "0+1x30"},
        30,
        {"namespace": "pay"},
    ),
    "RiskAlertsWait": gauge("risk_alert_delivery_waiting_seconds", 1000, 800),
    "RiskAlertsUndelivered": Case(
        {'risk_alert_deliveries_total{namespace="pay",channel="ops",outcome="given_up"}': "0x20 1x10"},
        {'risk_alert_deliveries_total{namespace="pay",channel="ops",outcome="failed"}': "0+1x30"},
        30,
        {"namespace": "pay", "channel": "ops"},
    ),
    "RiskHeartbeatFails": Case(
        {'risk_alert_heartbeats_total{namespace="pay",outcome="failed"}': "0+1x30"},
        {'risk_alert_heartbeats_total{namespace="pay",outcome="sent"}': "0+1x30"},
        30,
        {"namespace": "pay"},
    ),
    "RequestsAreShed": Case(
        {'requests_shed_total{namespace="pay",priority="read"}': "0+120x30"},
        {'requests_shed_total{namespace="pay",priority="read"}': "0+6x30"},
        30,
        {"namespace": "pay", "priority": "read"},
    ),
    "OutboxStuck": gauge("outbox_unpublished", 2000, 500, labels=',job="x"', job="x"),
    "ConsumerStopped": gauge(
        "stream_stopped", 1, 0, labels=',stream="s",consumer="c"', stream="s", consumer="c"
    ),
    "ConsumerBehind": gauge(
        "stream_lag", 20000, 5000, labels=',stream="s",consumer="c"', stream="s", consumer="c"
    ),
    "WebhooksLate": gauge("webhook_waiting_seconds", 400, 200),
    "ConsoleStale": gauge("pipeline_age_seconds", 1000, 800, labels=',stream="s"', stream="s"),
    "QuarantineForgotten": gauge("pipeline_quarantine_age_seconds", 90000, 80000),
    "ArchiveBehind": gauge("pipeline_archive_age_seconds", 4000, 3000),
    "WarehouseInvariantBroken": gauge(
        "pipeline_invariant_broken", 1, 0, labels=',invariant="i",severity="critical"', invariant="i"
    ),
    "WarehouseInvariantDoubtful": gauge(
        "pipeline_invariant_broken", 1, 0, labels=',invariant="i",severity="warning"', invariant="i"
    ),
    "WarehouseInvariantUnjudged": Case(
        {'pipeline_invariant_judged_at_seconds{namespace="pay",invariant="i"}': "0x30"},
        {'pipeline_invariant_judged_at_seconds{namespace="pay",invariant="i"}': "0+60x30"},
        30,
        {"namespace": "pay", "invariant": "i"},
    ),
    "FactsNotPublished": gauge("pipeline_quality_blocked", 1, 0, labels=',table="t"', table="t"),
    "FactsWaiting": gauge("pipeline_snapshot_waiting", 1, 0, 90, labels=',table="t"', table="t"),
    "MovementsLeftOut": gauge("pipeline_movements_left_out", 1, 0, labels=',taken_by="next_batch"'),
    "SettlementsFailing": gauge("pipeline_settlements_failed", 1, 0),
    "SnapshotTooOld": Case(
        {'pipeline_snapshot_made_at_seconds{namespace="pay"}': "1+0x90"},
        {'pipeline_snapshot_made_at_seconds{namespace="pay"}': "0x90"},
        90,
        {"namespace": "pay"},
    ),
    "MetricsMissing": Case(
        {'up{namespace="pay"}': "1x30"},
        {'http_requests_total{job="platform-payment-gateway-metrics"}': "1x30"},
        30,
    ),
    "BackupTooOld": Case(
        {
            'kube_cronjob_status_last_successful_time{namespace="pay",cronjob="platform-backup"}': f"0x{2 * DAY}"
        },
        {
            'kube_cronjob_status_last_successful_time{namespace="pay",cronjob="platform-backup"}': f"0+1800x{2 * DAY}"
        },
        2 * DAY,
        {"namespace": "pay", "cronjob": "platform-backup"},
        30,
    ),
    "BackupNotDrilled": Case(
        {'kube_cronjob_created{namespace="pay",cronjob="platform-backup-drill"}': f"0x{10 * DAY}"},
        {'kube_cronjob_created{namespace="pay",cronjob="platform-backup-drill"}': f"{3 * 86400}x{10 * DAY}"},
        10 * DAY,
        {"namespace": "pay", "cronjob": "platform-backup-drill"},
        30,
    ),
    "AutoscalerAtItsEnd": Case(
        {
            'kube_horizontalpodautoscaler_status_current_replicas{namespace="pay",horizontalpodautoscaler="a"}': "3x40",
            'kube_horizontalpodautoscaler_spec_max_replicas{namespace="pay",horizontalpodautoscaler="a"}': "3x40",
        },
        {
            'kube_horizontalpodautoscaler_status_current_replicas{namespace="pay",horizontalpodautoscaler="a"}': "2x40",
            'kube_horizontalpodautoscaler_spec_max_replicas{namespace="pay",horizontalpodautoscaler="a"}': "3x40",
        },
        40,
        {"namespace": "pay", "horizontalpodautoscaler": "a"},
    ),
}
CASES = BURN_RATES | OTHERS


@pytest.fixture(scope="module")
def groups(helm: Helm) -> list[dict[str, Any]]:
    rule = next(thing for thing in helm.template(*ON) if thing["kind"] == "PrometheusRule")
    return list(rule["spec"]["groups"])


@pytest.fixture(scope="module")
def promtool() -> str:
    finder = ROOT / "tools" / "kind" / "fetch_promtool.py"
    found = subprocess.run([sys.executable, finder], capture_output=True, text=True, check=False, timeout=170)
    if found.returncode != 0:
        pytest.skip(f"ALERTS NOT TESTED: {found.stderr.strip()}")
    return found.stdout.strip()


def alerts(groups: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def test_every_alert_has_a_series_that_raises_it_and_one_that_does_not(groups: list[dict[str, Any]]) -> None:
    assert set(CASES) == set(alerts(groups))


def judged(
    promtool: str, groups: list[dict[str, Any]], checks: dict[str, list[Any]], directory: Path
) -> None:
    """promtool over the checks of each alert, with the rules of its group alone: all of them would take minutes."""
    files = []
    for name, tests in checks.items():
        own = [group for group in groups if any(rule.get("alert") == name for rule in group["rules"])]
        (directory / f"{name}.rules.yaml").write_text(yaml.safe_dump({"groups": own}))
        test = {
            "rule_files": [f"{name}.rules.yaml"],
            "evaluation_interval": tests[0]["interval"],
            "tests": tests,
        }
        (directory / f"{name}.test.yaml").write_text(yaml.safe_dump(test))
        files.append(f"{name}.test.yaml")
    command = [promtool, "test", "rules", *files]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]


def a_check(alert: str, series: Series, minutes: int, steps: int, expected: list[Any]) -> dict[str, Any]:
    return {
        "interval": f"{minutes}m",
        "input_series": [{"series": one, "values": values} for one, values in series.items()],
        "alert_rule_test": [{"eval_time": f"{minutes * steps}m", "alertname": alert, "exp_alerts": expected}],
    }


def test_the_alerts_do_what_their_series_say(
    groups: list[dict[str, Any]], promtool: str, tmp_path: Path
) -> None:
    checks = {}
    for name, case in CASES.items():
        rule = alerts(groups)[name]
        raised = [{"exp_labels": rule["labels"] | case.labels, "exp_annotations": rule["annotations"]}]
        checks[name] = [
            a_check(name, series, case.minutes, case.steps, expected)
            for series, expected in ((case.fires, raised), (case.quiet, []))
        ]
    judged(promtool, groups, checks, tmp_path)


def test_promtool_finds_nothing_wrong(groups: list[dict[str, Any]], promtool: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
    done = subprocess.run(
        [promtool, "check", "rules", "rules.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_one_error_in_a_quiet_night_wakes_nobody(
    groups: list[dict[str, Any]], promtool: str, tmp_path: Path
) -> None:
    """Nine failures of some seventy requests are far above every rate, and too few to wake anybody for."""
    name = "MoneyRequestsFailFast"
    series = {
        'http_requests_total{namespace="pay",method="POST",route="/v1/payments",status="201"}': "0+1x60 60x10",
        'http_requests_total{namespace="pay",method="POST",route="/v1/payments",status="500"}': "0x60 1+1x8",
    }
    judged(promtool, groups, {name: [a_check(name, series, 1, 68, [])]}, tmp_path)


def test_every_query_names_what_the_code_exports(groups: list[dict[str, Any]]) -> None:
    wrong = {
        rule.get("alert", rule.get("record")): found
        for group in groups
        for rule in group["rules"]
        if (found := problems(rule["expr"]))
    }
    assert wrong == {}


def test_a_metric_that_nobody_exports_would_be_found() -> None:
    assert problems("sum(rate(payments_lost_total[5m])) > 0") == ["payments_lost_total"]
    assert problems('http_requests_total{rout="/v1"} > 0') == ["http_requests_total{rout}"]


def test_each_bucket_that_an_alert_names_exists(groups: list[dict[str, Any]]) -> None:
    """A bucket that is not there gives no series, and an alert that never fires."""
    from prometheus_client import REGISTRY

    exported()
    bounds = {
        family.name: {str(bound) for bound in collector._upper_bounds}
        for collector in REGISTRY._collector_to_names
        if hasattr(collector, "_upper_bounds")
        for family in collector.describe()
    }
    found = re.findall(r'(\w+)_bucket\{[^}]*le="([^"]+)"', yaml.safe_dump(groups, width=10_000))
    assert found
    for name, bound in found:
        assert bound in bounds[name], (name, bound)


def test_the_page_says_what_to_do_about_each_alert(groups: list[dict[str, Any]]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name in alerts(groups):
        assert f"`{re.sub('(Fast|Slow|Leak)$', '', name)}`" in page, name


def test_rules_need_the_operator_and_say_so(helm: Helm) -> None:
    refusal = helm.refusal("--set", "global.monitoring.rules=true")
    assert "does not have monitoring.coreos.com/v1" in refusal
    assert "kube-prometheus-stack" in refusal
