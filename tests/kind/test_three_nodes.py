"""Two nodes that carry pods: one is drained, one falls silent, and payments go on. Level: cluster (three nodes).

Volumes of kind do not leave their node, so Postgres, Redis and the channels stay on one that nothing happens to.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.kind.conftest import Merchant, cluster_of, new_merchant
from tests.kind.test_kills import charges
from tests.kind.test_probes import endpoints, until
from tests.kind.till import Till

if TYPE_CHECKING:
    from tests.kind.conftest import Cluster

pytestmark = [pytest.mark.kind, pytest.mark.timeout(900)]

LEAVE_AFTER_S = 30
"""As values-production.yaml has it."""
MISSED_AFTER_S = 60
"""The node controller's 40 to 50 s without a word from a kubelet, and its next look."""
START_S = 90
"""What a pod may take from its making to Ready, on a machine that does other things."""
WITHOUT = "data-pipeline-consumer"
"""Keeps the cluster's own 300 s: the control. It has no volume that holds it on a node."""
TWO = ("payment-gateway", "risk-engine")
"""Whom a payment asks: both have two replicas here."""


REPLACED = [f"payment-gateway-{process}" for process in ("api", "relay", "worker")] + ["risk-engine-api"]
NO_TOLERATIONS = json.dumps([{"op": "remove", "path": "/spec/template/spec/tolerations"}])


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster_of("kind-config-three-nodes.yaml", "3", tmp_path_factory.mktemp("kind-three")) as made:
        yield made


@pytest.fixture(scope="module")
def kept(three: Cluster) -> str:
    """The node of the volumes; everything starts there, the other one is cordoned until all of it stands."""
    kept, other = workers(three)
    three.run("kubectl", "cordon", other)
    settings = [f"global.scheduling.leaveSilentNodeAfterSeconds={LEAVE_AFTER_S}", "backup.enabled=false"]
    settings += [
        f"{service}.processes.api.autoscaling.{end}Replicas=2" for service in TWO for end in ("min", "max")
    ]
    three.run(
        *("helm", "upgrade", "--install", "platform", "./umbrella-chart", "--wait", "--timeout", "8m"),
        *("--set", ",".join(settings)),
        within_s=540,
    )
    three.run("kubectl", "uncordon", other)
    three.settle()
    return kept


@pytest.fixture(scope="module")
def shop(three: Cluster, kept: str) -> Merchant:
    return new_merchant(three)


def workers(cluster: Cluster) -> list[str]:
    nodes = cluster.core.list_node(label_selector="!node-role.kubernetes.io/control-plane").items
    return sorted(node.metadata.name for node in nodes)


def nodes_of(cluster: Cluster, process: str) -> list[str]:
    """Node of each pod of `<service>-<process>`, sorted; "" of one that has none yet."""
    return sorted(
        pod.spec.node_name or ""
        for pod in cluster.pods()
        if process
        == f"{pod.metadata.labels['app.kubernetes.io/name']}-{pod.metadata.labels['app.kubernetes.io/component']}"
    )


def is_ready(cluster: Cluster, node: str) -> bool:
    conditions = cluster.core.read_node(node).status.conditions
    return any(condition.type == "Ready" and condition.status == "True" for condition in conditions)


def restart(cluster: Cluster, *processes: str) -> None:
    """New pods, placed by the scheduler as things are now."""
    names = [f"deployment/platform-{process}" for process in processes]
    cluster.run("kubectl", "rollout", "restart", *names)
    for name in names:
        cluster.run("kubectl", "rollout", "status", name, "--timeout=240s")
    cluster.settle(180)


@contextmanager
def watched(look: Callable[[], int]) -> Iterator[list[int]]:
    """What `look` said meanwhile, about once a second."""
    seen: list[int] = []
    over = threading.Event()

    def run() -> None:
        while not over.wait(0.5):
            seen.append(look())

    watcher = threading.Thread(target=run)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join(30)


def account_for(cluster: Cluster, shop: Merchant, till: Till) -> None:
    """Every key became one captured payment, which its channel charged once; the books balance."""
    by_key = till.acknowledged
    assert by_key.keys() == till.keys
    held = shop.payments()
    assert {payment for payment in by_key.values() if held.get(payment) != "captured"} == set(), "lost"
    assert len(set(by_key.values())) == len(by_key), "two keys became one payment"
    assert {key: times for key, times in charges(cluster).items() if times > 1} == {}, "doubled"
    admin = Merchant(shop.gateway_url, cluster.secret()["admin_api_key"])
    status, verification, _ = admin.call("GET", "/v1/ledger/verification")
    assert (status, verification["balanced"]) == (200, True)


@pytest.mark.proof("scheduling", "two replicas of the gateway, and of the risk engine, run on two nodes")
def test_replicas_are_spread_over_the_nodes(three: Cluster, kept: str) -> None:
    restart(three, *(f"{service}-api" for service in TWO))
    for service in TWO:
        assert nodes_of(three, f"{service}-api") == workers(three)


@pytest.mark.proof(
    "disruption budgets", "a node with both gateways is drained under payments: 0 fail, 0 doubled, never none"
)
def test_a_drained_node_loses_no_payment(three: Cluster, kept: str, shop: Merchant) -> None:
    (drained,) = set(workers(three)) - {kept}
    three.run("kubectl", "cordon", kept)
    restart(three, *(f"{service}-api" for service in TWO), "payment-gateway-worker", "payment-gateway-relay")
    three.run("kubectl", "uncordon", kept)
    assert nodes_of(three, "payment-gateway-api") == [drained] * 2
    try:
        with (
            watched(lambda: endpoints(three, "platform-payment-gateway")) as ready,
            Till(shop, "drain", per_s=4) as till,
        ):
            began = time.monotonic()
            time.sleep(3)
            three.timed(
                "drain of a node with both gateways",
                *("kubectl", "drain", drained, "--ignore-daemonsets", "--delete-emptydir-data"),
                *("--timeout=300s",),
                within_s=330,
            )
            three.settle(180)
            time.sleep(3)
            took_s = time.monotonic() - began
        assert len(ready) > 10
        assert min(ready) >= 1, ready
        assert {pod.spec.node_name for pod in three.pods()} == {kept}
        assert till.failed == {}
        assert (
            len(till.acknowledged) > 0.9 * till.per_s * took_s > 30
        )  # all the while, however quick the drain
        account_for(three, shop, till)
    finally:
        three.run("kubectl", "uncordon", drained)


@contextmanager
def silent(node: str) -> Iterator[None]:
    """Nothing of the node runs, and none of its connections is closed: as when its power is gone."""
    subprocess.run(("docker", "pause", node), check=True, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        subprocess.run(("docker", "unpause", node), check=True, stdout=subprocess.DEVNULL)


@pytest.mark.proof(
    "scheduling",
    "a silent node's pods are replaced when the chart says, and payments go on; control: with 300 s one is not",
)
def test_a_silent_node_is_left_and_payments_go_on(three: Cluster, kept: str, shop: Merchant) -> None:
    (lost,) = set(workers(three)) - {kept}
    three.run(
        "kubectl", "patch", "deployment", f"platform-{WITHOUT}", "--type=json", f"--patch={NO_TOLERATIONS}"
    )
    three.run("kubectl", "cordon", kept)
    restart(three, WITHOUT, "payment-gateway-worker", "payment-gateway-relay")
    three.run("kubectl", "uncordon", kept)
    restart(three, *(f"{service}-api" for service in TWO))
    assert nodes_of(three, "payment-gateway-api") == workers(three)
    bound = [process for process in REPLACED if lost in nodes_of(three, process)]
    assert bound == REPLACED
    with Till(shop, "silent", per_s=3) as till:
        time.sleep(3)
        began = time.monotonic()
        with silent(lost):
            until(lambda: not is_ready(three, lost), MISSED_AFTER_S, "the node is missed")
            missed_s = time.monotonic() - began
            until(
                lambda: endpoints(three, "platform-payment-gateway") == 1, 20, "its gateway takes no traffic"
            )
            time.sleep(12)  # the last that were sent there have given up
            failed, paid = len(till.failed), len(till.acknowledged)
            until(
                lambda: all(set(nodes_of(three, process)) == {kept} for process in REPLACED),
                LEAVE_AFTER_S + 30 - 12,
                "its pods are given up",
            )
            left_s = time.monotonic() - began - missed_s
            assert left_s >= LEAVE_AFTER_S - 10
            until(lambda: endpoints(three, "platform-payment-gateway") == 2, START_S, "two gateways again")
            time.sleep(3)
            assert nodes_of(three, WITHOUT) == [lost], "the control was replaced too"
            meanwhile = len(till.acknowledged) - paid
            assert len(till.failed) == failed, till.failed
            assert meanwhile > 60
    three.seconds["a silent node is missed"] = round(missed_s, 1)
    three.seconds["from there until its pods are replaced"] = round(left_s, 1)
    till.resolve()
    until(lambda: is_ready(three, lost), 90, "the node is back")
    three.settle(180)
    account_for(three, shop, till)
