"""What the three doors of a pod mean: who takes traffic, who is restarted, who is waited for. Level: cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kind.conftest import Cluster, Merchant

pytestmark = [pytest.mark.kind, pytest.mark.timeout(420)]


def until(holds: Callable[[], bool], within_s: float, what: str) -> None:
    give_up = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < give_up, f"{what}: not within {within_s} s"
        time.sleep(1)


def endpoints(cluster: Cluster, service: str) -> int:
    """How many pods the Service sends to."""
    ready = cluster.run(
        "kubectl", "get", "endpointslices", "--selector", f"kubernetes.io/service-name={service}",
        "--output", "jsonpath={.items[*].endpoints[?(@.conditions.ready==true)].addresses[0]}",
    )  # fmt: skip
    return len(ready.split())


def restarts(cluster: Cluster) -> dict[str, int]:
    return {
        pod.metadata.name: pod.status.container_statuses[0].restart_count
        for pod in cluster.pods()
        if pod.metadata.labels["app.kubernetes.io/name"] not in ("postgres", "redis")
    }


@contextmanager
def without(cluster: Cluster, server: str) -> Iterator[None]:
    """Its StatefulSet has no pod meanwhile."""
    cluster.run("kubectl", "scale", "statefulset", server, "--replicas=0")
    cluster.run("kubectl", "wait", "--for=delete", f"pod/{server}-0", "--timeout=90s")
    try:
        yield
    finally:
        cluster.run("kubectl", "scale", "statefulset", server, "--replicas=1")
        cluster.settle()


@pytest.mark.proof("pods and probes", "pods without their database take no traffic, and none is restarted")
def test_without_the_database_pods_take_no_traffic_and_are_not_restarted(
    release: Cluster, merchant: Merchant
) -> None:
    """A liveness probe that asked Postgres would restart every pod at the worst moment."""
    before = restarts(release)
    assert endpoints(release, "platform-payment-gateway") == 1
    with without(release, "platform-postgres"):
        until(lambda: endpoints(release, "platform-payment-gateway") == 0, 60, "not ready")
        time.sleep(45)  # the liveness probe fails three times in 30 s where it fails at all
        assert restarts(release) == before
    until(lambda: merchant.pay("after-the-database")[0] in (200, 201), 60, "pays again")
    assert restarts(release) == before
