"""How requests find a pod, and that all pods get some. Level: cluster."""

from __future__ import annotations

import re
import time
import urllib.request
from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kind.conftest import Cluster, Merchant

pytestmark = [pytest.mark.kind, pytest.mark.timeout(420)]

REQUESTS = 300


def gateways(cluster: Cluster) -> list[str]:
    return [
        pod.metadata.name
        for pod in cluster.pods()
        if pod.metadata.labels["app.kubernetes.io/name"] == "payment-gateway"
        and pod.metadata.labels["app.kubernetes.io/component"] == "api"
    ]


def answered(cluster: Cluster, pod: str) -> int:
    """How many /version a pod has answered, by its own metrics."""
    metrics = cluster.run(
        "kubectl", "exec", pod, "--", "python", "-c",
        "import urllib.request\nprint(urllib.request.urlopen('http://127.0.0.1:9000/metrics').read().decode())",
    )  # fmt: skip
    found = re.search(r'^http_requests_total\{.*route="/version".*\} ([0-9.e+]+)$', metrics, re.MULTILINE)
    return int(float(found[1])) if found else 0


@pytest.mark.proof("service discovery", "connections spread over the pods of a Service")
def test_new_connections_spread_over_all_pods(release: Cluster, merchant: Merchant) -> None:
    """kube-proxy chooses at random for each connection: of 300 each of three gets 100, give or take 8 (one sigma)."""
    release.run(
        "kubectl", "patch", "hpa", "platform-payment-gateway-api", "--patch", '{"spec":{"minReplicas":3}}'
    )
    try:
        give_up = time.monotonic() + 120
        while len(gateways(release)) < 3:
            assert time.monotonic() < give_up
            time.sleep(1)
        release.settle()
        before = {pod: answered(release, pod) for pod in gateways(release)}
        assert len(before) == 3
        for _ in range(REQUESTS):
            urllib.request.urlopen(f"{merchant.gateway_url}/version", timeout=10).close()  # noqa: S310 - ours
        spread = Counter({pod: answered(release, pod) - count for pod, count in before.items()})
        assert sum(spread.values()) == REQUESTS
        assert min(spread.values()) > REQUESTS / 3 - 45, spread
    finally:
        release.run(
            "kubectl", "patch", "hpa", "platform-payment-gateway-api", "--patch", '{"spec":{"minReplicas":1}}'
        )
