"""The gateway's pods follow the load, out and back. Level: cluster (one node: it adds pods, not capacity)."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.kind.till import Till

if TYPE_CHECKING:
    from tests.kind.conftest import Cluster, Merchant

pytestmark = [pytest.mark.kind, pytest.mark.timeout(900)]

SCALER = "platform-payment-gateway-api"
TARGET_PERCENT = 60
"""Of the laptop's request of 100m: what a few payments a second already are, so that no core has to be filled."""


def scaler(cluster: Cluster) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cluster.run("kubectl", "get", "hpa", SCALER, "--output", "json"))
    return found


def utilisation(found: dict[str, Any]) -> int | None:
    for metric in found["status"].get("currentMetrics", []):
        if metric.get("resource", {}).get("name") == "cpu":
            return int(metric["resource"]["current"]["averageUtilization"])
    return None


def ready(cluster: Cluster) -> int:
    said = cluster.run("kubectl", "get", "deployment", SCALER, "--output", "jsonpath={.status.readyReplicas}")
    return int(said or 0)


@pytest.mark.proof(
    "autoscaling", "under load the gateway scales out by the formula, all pay, and back when it ends"
)
def test_the_gateway_scales_out_under_load_and_back(release: Cluster, merchant: Merchant) -> None:
    release.run(
        "helm", "upgrade", "platform", "./umbrella-chart", "--reset-then-reuse-values", "--wait",
        "--set", f"payment-gateway.processes.api.autoscaling.cpuUtilization={TARGET_PERCENT}",
        "--set", "payment-gateway.processes.api.autoscaling.scaleDownAfterSeconds=15",
    )  # fmt: skip
    try:
        release.settle()
        give_up = time.monotonic() + 240
        while scaler(release)["status"].get("desiredReplicas") != 1:  # the start's own CPU is over
            assert time.monotonic() < give_up, scaler(release)["status"]
            time.sleep(5)
        seen: list[tuple[int, int | None]] = []
        with Till(merchant, "scaling", per_s=12) as till:
            give_up = time.monotonic() + 300
            while ready(release) < 2:
                found = scaler(release)
                seen.append((found["status"].get("desiredReplicas", 0), utilisation(found)))
                assert time.monotonic() < give_up, seen
                time.sleep(3)
        till.resolve()
        grew = [(desired, percent) for desired, percent in seen if desired > 1 and percent is not None]
        assert grew, seen
        desired, percent = grew[0]
        assert desired <= math.ceil(percent / TARGET_PERCENT), (desired, percent)
        assert set(till.acknowledged.values()) <= merchant.payments().keys()
        give_up = time.monotonic() + 300
        while scaler(release)["status"]["desiredReplicas"] > 1 or ready(release) > 1:
            assert time.monotonic() < give_up, scaler(release)["status"]
            time.sleep(5)
    finally:
        release.run("helm", "rollback", "platform", "--wait", "--timeout", "4m")
        release.settle()
