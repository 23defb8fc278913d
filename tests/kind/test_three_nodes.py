"""A node that is drained, and one that is lost, while merchants pay. Level: cluster, two nodes beside the control one.

The servers' volumes do not leave their node (local-path), so they stand on the first worker, and it is the second that
goes: with storage that moves, Postgres would follow a drain as the others do.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from tests.kind.conftest import cluster_of, new_merchant
from tests.kind.till import Till

if TYPE_CHECKING:
    from tests.kind.conftest import Cluster, Merchant

pytestmark = [pytest.mark.kind, pytest.mark.timeout(900)]

NAME = "platform-nodes"
STAYS, GOES = f"{NAME}-worker", f"{NAME}-worker2"
BOTH = ("payment-gateway", "risk-engine")
"""Whose api runs on both nodes: the two that a payment needs."""


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster_of("kind-config-three-nodes.yaml", NAME, tmp_path_factory.mktemp("nodes")) as made:
        made.run("kubectl", "cordon", GOES)
        made.run("helm", "install", "platform", "./umbrella-chart", "--wait", "--timeout", "5m")
        made.run("kubectl", "uncordon", GOES)
        minimum = ",".join(f"{one}.processes.api.autoscaling.minReplicas=2" for one in BOTH)
        made.run(
            *("helm", "upgrade", "platform", "./umbrella-chart", "--reset-then-reuse-values", "--wait"),
            *("--set", minimum),
        )
        wait_for_both(made)
        yield made


@pytest.fixture(scope="module")
def shop(nodes: Cluster) -> Merchant:
    return new_merchant(nodes)


def places(cluster: Cluster) -> dict[str, set[str]]:
    """Nodes of each service's api pods that are ready."""
    found: dict[str, set[str]] = {}
    for pod in cluster.pods():
        conditions = {one.type: one.status for one in pod.status.conditions or []}
        if pod.metadata.labels["app.kubernetes.io/component"] == "api" and conditions.get("Ready") == "True":
            found.setdefault(pod.metadata.labels["app.kubernetes.io/name"], set()).add(pod.spec.node_name)
    return found


def wait_for_both(cluster: Cluster, within_s: float = 240) -> None:
    give_up = time.monotonic() + within_s
    while any(places(cluster).get(one) != {STAYS, GOES} for one in BOTH):
        assert time.monotonic() < give_up, places(cluster)
        time.sleep(2)


@pytest.mark.proof("scheduling", "replicas spread over the nodes")
def test_replicas_spread_over_the_nodes(nodes: Cluster) -> None:
    assert {one: places(nodes)[one] for one in BOTH} == {one: {STAYS, GOES} for one in BOTH}


@pytest.mark.proof("eviction and drain", "a node is drained under payments, and none is lost")
def test_a_node_is_drained_without_losing_a_payment(nodes: Cluster, shop: Merchant) -> None:
    with Till(shop, "drain", per_s=8) as till:
        time.sleep(2)
        nodes.run(
            *("kubectl", "drain", GOES, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=240s"),
        )
        nodes.settle()
        time.sleep(2)
    assert till.failed == {}
    assert len(till.acknowledged) > 50
    assert all(places(nodes)[one] == {STAYS} for one in BOTH)
    nodes.run("kubectl", "uncordon", GOES)
    for one in BOTH:  # a scheduler moves nobody who runs
        nodes.run("kubectl", "rollout", "restart", f"deployment/platform-{one}-api")
    wait_for_both(nodes)
    nodes.settle()


@pytest.mark.proof("eviction and drain", "a node is lost under payments: each is resolved under its own key")
def test_a_node_that_is_gone_costs_time_and_no_payment(nodes: Cluster, shop: Merchant) -> None:
    """Until the control plane misses the node (40 to 50 s), a share of the connections goes there and nowhere."""
    with Till(shop, "loss", per_s=4) as till:
        time.sleep(3)
        nodes.run("docker", "stop", "--time=0", GOES)
        try:
            time.sleep(75)
            before_s = time.monotonic()
            till.resolve(180)
            assert time.monotonic() - before_s < 180
        finally:
            nodes.run("docker", "start", GOES)
    till.resolve(180)
    assert len(till.acknowledged) > 200
    held = shop.payments()
    assert len(set(till.acknowledged.values())) == len(till.acknowledged)
    assert {one for one in till.acknowledged.values() if held[one] != "captured"} == set()
