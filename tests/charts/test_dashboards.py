"""Dashboards as code: the files are what the program writes, and every query names what is exported."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.charts.exported_metrics import problems

if TYPE_CHECKING:
    from tests.charts.conftest import Helm

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "umbrella-chart" / "files" / "dashboards"
ON = ("--set", "global.monitoring.dashboards=true")
OPERATOR = ("--api-versions", "monitoring.coreos.com/v1")


def panels(name: str) -> list[dict[str, Any]]:
    return list(json.loads((FOLDER / f"{name}.json").read_text())["panels"])


def test_the_files_are_what_the_program_writes() -> None:
    path = ROOT / "tools" / "kind" / "write_dashboards.py"
    spec = importlib.util.spec_from_file_location("write_dashboards", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for file, content in module.wanted().items():
        assert file.read_text() == content, "make dashboards"
    assert {file.name for file in module.wanted()} == {file.name for file in FOLDER.iterdir()}


@pytest.mark.parametrize("name", ["payments", "inside"])
def test_every_query_names_what_the_code_exports(name: str) -> None:
    queries = [target["expr"] for panel in panels(name) for target in panel["targets"]]
    assert len(queries) > 10
    assert {query: found for query in queries if (found := problems(query))} == {}


def test_prometheus_reads_every_query(tmp_path: Path) -> None:
    """As recording rules: promtool parses what Grafana would send."""
    finder = ROOT / "tools" / "kind" / "fetch_promtool.py"
    found = subprocess.run([sys.executable, finder], capture_output=True, text=True, check=False, timeout=170)
    if found.returncode != 0:
        pytest.skip(f"DASHBOARDS NOT PARSED: {found.stderr.strip()}")
    queries = [
        target["expr"]
        for name in ("payments", "inside")
        for panel in panels(name)
        for target in panel["targets"]
    ]
    rules = [
        {"record": f"query:{number}", "expr": query.replace("$__rate_interval", "5m")}
        for number, query in enumerate(queries)
    ]
    (tmp_path / "rules.yaml").write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    done = subprocess.run(
        [found.stdout.strip(), "check", "rules", "rules.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_grafana_finds_them_and_gets_the_json(helm: Helm) -> None:
    maps = {
        thing["metadata"]["name"]: thing
        for thing in helm.template(*ON)
        if thing["metadata"]["labels"].get("grafana_dashboard") == "1"
    }
    assert set(maps) == {"platform-dashboard-payments", "platform-dashboard-inside"}
    assert json.loads(maps["platform-dashboard-payments"]["data"]["payments.json"])["title"] == "Payments"


def test_every_process_of_a_service_is_scraped_ready_or_not(helm: Helm) -> None:
    objects = helm.template(
        "--set", "global.monitoring.serviceMonitors=true,global.monitoring.labels.release=prom", *OPERATOR
    )
    monitors = [thing for thing in objects if thing["kind"] == "ServiceMonitor"]
    assert len(monitors) == 3
    services = [
        thing
        for thing in objects
        if thing["kind"] == "Service" and thing["metadata"]["name"].endswith("-metrics")
    ]
    pods = [thing["spec"]["template"] for thing in objects if thing["kind"] in ("Deployment", "StatefulSet")]
    for monitor in monitors:
        assert monitor["metadata"]["labels"]["release"] == "prom"
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        (service,) = [one for one in services if wanted <= one["metadata"]["labels"].items()]
        assert service["spec"]["clusterIP"] == "None"
        assert service["spec"]["publishNotReadyAddresses"] is True
        selected = [
            pod for pod in pods if service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
        ]
        assert len(selected) >= 3
        for pod in selected:
            assert {"name": "ops", "containerPort": 9000} in pod["spec"]["containers"][0]["ports"]


def test_a_service_monitor_needs_the_operator_and_says_so(helm: Helm) -> None:
    refusal = helm.refusal("--set", "global.monitoring.serviceMonitors=true")
    assert "global.monitoring.serviceMonitors is on, but this cluster does not have" in refusal


def test_traces_go_where_the_values_say_and_nowhere_by_default(helm: Helm) -> None:
    def endpoints(*args: str) -> set[str]:
        return {
            thing["data"]["OTLP_ENDPOINT"]
            for thing in helm.template(*args)
            if thing["kind"] == "ConfigMap" and "OTLP_ENDPOINT" in thing["data"]
        }

    assert endpoints() == {""}
    collector = "http://collector.observability:4318"
    assert endpoints("--set", f"global.otlpEndpoint={collector}") == {collector}
    policies = [
        thing["spec"]["egress"]
        for thing in helm.template("--set", f"global.otlpEndpoint={collector}")
        if thing["kind"] == "NetworkPolicy" and thing["metadata"]["name"] == "platform-risk-engine-relay"
    ]
    assert {"ports": [{"port": 4318, "protocol": "TCP"}]} in policies[0]
