"""What the three doors of a pod mean: who takes traffic, who is restarted, who is waited for. Level: cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

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


HANGS = "payment-gateway relay"
"""Command line of what is stopped. SIGSTOP comes from the node: in its own pod it is PID 1, which ignores it."""
LIVENESS = "/spec/template/spec/containers/0/livenessProbe"
NOTICED_S, GRACE_S = 45, 50
"""Three failed probes 10 s apart, the last after its timeout; and what cannot hear SIGTERM has its whole grace."""


def signal_from_the_node(cluster: Cluster, signal: str) -> None:
    """To the one process that hangs, from outside of its pod. Fails when there is not exactly one."""
    (node,) = {pod.spec.node_name for pod in relays(cluster)}
    found = cluster.run("docker", "exec", node, "pgrep", "--full", HANGS).split()
    assert len(found) == 1, f"processes of {HANGS!r} on {node}: {found}"
    cluster.run("docker", "exec", node, "kill", f"-{signal}", *found)


def relays(cluster: Cluster) -> list[Any]:
    return [
        pod
        for pod in cluster.pods()
        if pod.metadata.labels["app.kubernetes.io/name"] == "payment-gateway"
        and pod.metadata.labels["app.kubernetes.io/component"] == "relay"
    ]


def restarts_of_the_relay(cluster: Cluster) -> int:
    (relay,) = relays(cluster)
    return int(relay.status.container_statuses[0].restart_count)


@pytest.mark.proof("pods and probes", "a process that hangs is restarted by its liveness probe")
def test_a_hung_process_is_restarted(release: Cluster) -> None:
    before = restarts_of_the_relay(release)
    signal_from_the_node(release, "STOP")
    began = time.monotonic()
    until(
        lambda: restarts_of_the_relay(release) == before + 1,
        NOTICED_S + GRACE_S + 45,
        "the relay is restarted",
    )
    release.seconds["a hung process is restarted"] = round(time.monotonic() - began, 1)
    release.settle()


@pytest.mark.proof("pods and probes", "control: without the liveness probe it hangs on")
def test_without_the_liveness_probe_it_hangs_on(release: Cluster) -> None:
    deployment = ("deployment", "platform-payment-gateway-relay")
    release.run(
        "kubectl", "patch", *deployment, "--type=json", f'--patch=[{{"op": "remove", "path": "{LIVENESS}"}}]'
    )
    try:
        release.run("kubectl", "rollout", "status", "/".join(deployment), "--timeout=180s")
        release.settle()
        signal_from_the_node(release, "STOP")
        time.sleep(NOTICED_S + GRACE_S + 45)
        assert restarts_of_the_relay(release) == 0
        signal_from_the_node(release, "CONT")
    finally:
        release.run("kubectl", "rollout", "undo", "/".join(deployment))
        release.run("kubectl", "rollout", "status", "/".join(deployment), "--timeout=180s")
        release.settle()
