"""What a disruption budget permits, asked of the Eviction API that a drain uses. Level: cluster."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.kind.till import Till

if TYPE_CHECKING:
    from tests.kind.conftest import Cluster, Merchant

pytestmark = [pytest.mark.kind, pytest.mark.timeout(600)]


def pods_of(cluster: Cluster, service: str, process: str) -> list[str]:
    return sorted(
        pod.metadata.name
        for pod in cluster.pods()
        if pod.metadata.labels["app.kubernetes.io/name"] == service
        and pod.metadata.labels["app.kubernetes.io/component"] == process
    )


def evict(cluster: Cluster, pod: str) -> str:
    """What the API server says: "" when the pod goes."""
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": "default"},
    }
    done = subprocess.run(
        ("kubectl", "create", "--raw", f"/api/v1/namespaces/default/pods/{pod}/eviction", "--filename", "-"),
        input=json.dumps(eviction), env=cluster.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return "" if done.returncode == 0 else done.stderr


@contextmanager
def two_gateways(cluster: Cluster) -> Iterator[None]:
    """Two at least, and with that a budget."""
    upgrade = ("helm", "upgrade", "platform", "./umbrella-chart", "--reset-then-reuse-values", "--wait")
    minimum = "payment-gateway.processes.api.autoscaling.minReplicas"
    cluster.run(*upgrade, "--set", f"{minimum}=2")
    give_up = time.monotonic() + 120
    while len(pods_of(cluster, "payment-gateway", "api")) < 2:
        assert time.monotonic() < give_up
        time.sleep(1)
    cluster.settle()
    try:
        yield
    finally:
        cluster.run(*upgrade, "--set", f"{minimum}=1")


@pytest.mark.proof(
    "disruption budgets", "one of two gateways may be evicted, the other only once the first is back"
)
def test_one_of_two_may_go_and_the_other_waits_for_it(release: Cluster, merchant: Merchant) -> None:
    with two_gateways(release), Till(merchant, "evictions", per_s=8) as till:
        first, second = pods_of(release, "payment-gateway", "api")
        assert evict(release, first) == ""
        assert "disruption budget" in evict(release, second)
        give_up = time.monotonic() + 180
        while evict(release, second):
            assert time.monotonic() < give_up
            time.sleep(2)
        release.settle()
        time.sleep(2)
    assert till.failed == {}
    assert len(till.acknowledged) > 50


@pytest.mark.proof("disruption budgets", "control: without a budget both gateways go at once")
def test_without_the_budget_both_go_at_once(release: Cluster) -> None:
    with two_gateways(release):
        release.run("kubectl", "delete", "pdb", "platform-payment-gateway-api")
        assert [evict(release, pod) for pod in pods_of(release, "payment-gateway", "api")] == ["", ""]
        release.settle()


@pytest.mark.proof("disruption budgets", "a process with one pod never blocks a drain")
def test_a_single_pod_never_blocks_a_drain(release: Cluster) -> None:
    """A budget over one pod would let no node be drained, ever."""
    (relay,) = pods_of(release, "payment-gateway", "relay")
    assert evict(release, relay) == ""
    release.settle()
