"""What a rollout costs those who pay meanwhile, with and without what protects them. Level: cluster."""

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

GATEWAY = "deployment/platform-payment-gateway-api"
ROLLOUTS = 3


def restart(cluster: Cluster, times: int = ROLLOUTS) -> None:
    for _ in range(times):
        cluster.run("kubectl", "rollout", "restart", GATEWAY)
        cluster.run("kubectl", "rollout", "status", GATEWAY, "--timeout=180s")
    cluster.settle()


@contextmanager
def unprotected(cluster: Cluster) -> Iterator[None]:
    """The gateway without its preStop wait: what a chart without one has."""
    shown = json.loads(cluster.run("kubectl", "get", GATEWAY, "--output", "json"))
    lifecycle = shown["spec"]["template"]["spec"]["containers"][0]["lifecycle"]
    path = "/spec/template/spec/containers/0/lifecycle"

    def patch(operation: dict[str, object]) -> None:
        cluster.run(
            "kubectl", "patch", GATEWAY, "--type=json", "--patch", json.dumps([operation | {"path": path}])
        )
        cluster.run("kubectl", "rollout", "status", GATEWAY, "--timeout=180s")
        cluster.settle()

    patch({"op": "remove"})
    try:
        yield
    finally:
        patch({"op": "add", "value": lifecycle})


@pytest.mark.proof("rolling upgrades", "three rollouts under open-loop payments lose no request")
def test_rollouts_lose_no_request(release: Cluster, merchant: Merchant) -> None:
    with Till(merchant, "rollouts", per_s=15) as till:
        restart(release)
        time.sleep(2)
    assert till.failed == {}
    assert len(till.acknowledged) > 100


@pytest.mark.proof("rolling upgrades", "control: without preStop the same rollouts lose requests")
def test_without_the_wait_before_stopping_the_same_rollouts_lose_requests(
    release: Cluster, merchant: Merchant
) -> None:
    """Otherwise the test before would pass whatever the chart did. No payment is lost even so: asked again, each is
    there."""
    with unprotected(release):
        with Till(merchant, "unprotected", per_s=25) as till:
            restart(release)
            time.sleep(2)
        lost = len(till.failed)
        till.resolve()
    assert lost > 0
    held = merchant.payments()
    assert set(till.acknowledged.values()) <= held.keys()
    assert len(set(till.acknowledged.values())) == len(till.keys)


@pytest.mark.proof("rolling upgrades", "a bad image never takes traffic, and `--rollback-on-failure` returns")
def test_a_bad_image_is_rolled_back_while_the_old_pods_pay(release: Cluster, merchant: Merchant) -> None:
    before = release.run("helm", "get", "manifest", "platform")
    with Till(merchant, "bad-image", per_s=5) as till:
        done = subprocess.run(
            ("helm", "upgrade", "platform", "./umbrella-chart", "--reset-then-reuse-values",
             "--set", "payment-gateway.app.version=nobody-built-this", "--rollback-on-failure", "--wait",
             "--timeout", "60s"),
            env=release.environment, capture_output=True, text=True, check=False, timeout=400,
        )  # fmt: skip
        time.sleep(2)
    assert done.returncode != 0
    assert till.failed == {}
    assert len(till.acknowledged) > 100
    history = json.loads(release.run("helm", "history", "platform", "--output", "json"))
    assert [(one["status"], one["description"][:8]) for one in history[-2:]] == [
        ("failed", "Upgrade "),
        ("deployed", "Rollback"),
    ]
    assert release.run("helm", "get", "manifest", "platform") == before
    release.settle()
