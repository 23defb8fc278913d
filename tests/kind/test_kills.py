"""Pods that are killed while merchants pay: nothing lost, nothing doubled, nothing stuck. Level: cluster.

A forced deletion is not the loss of a node: the volume stays where it is.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from tests.kind.till import Till

if TYPE_CHECKING:
    from tests.kind.conftest import Cluster, Merchant

pytestmark = [pytest.mark.kind, pytest.mark.timeout(600)]

VICTIMS = {
    "gateway": ("payment-gateway", "api"),
    "worker": ("payment-gateway", "worker"),
    "relay": ("payment-gateway", "relay"),
    "risk engine": ("risk-engine", "api"),
    "consumer": ("data-pipeline", "consumer"),
    "Redis": ("redis", "redis"),
    "Postgres": ("postgres", "postgres"),
}


def charges(cluster: Cluster) -> Counter[str]:
    """How often the card channel has charged for each of our keys, by its own journal."""
    headers = {"Authorization": f"Bearer {cluster.secret()['internal_token']}"}
    found: Counter[str] = Counter()
    with cluster.port_forward("platform-channels", 8003) as channels:
        after = 0
        while True:
            url = f"{channels}/journal?channel=card_sim&limit=1000&after={after}"
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:  # noqa: S310
                page = json.load(answer)
            found.update(line["key"] for line in page["data"] if line.get("charged_minor"))
            if not page["data"]:
                return found
            after = page["data"][-1]["seq"]


@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.proof("state", "killed under payments: 0 lost, 0 doubled, 0 stuck; the ledger balances")
def test_a_killed_pod_loses_and_doubles_nothing(release: Cluster, merchant: Merchant, victim: str) -> None:
    service, component = VICTIMS[victim]
    pods = [
        pod.metadata.name
        for pod in release.pods()
        if pod.metadata.labels["app.kubernetes.io/name"] == service
        and pod.metadata.labels["app.kubernetes.io/component"] == component
    ]
    assert pods, f"no pod of {service} {component}"
    with Till(merchant, f"kill-{component}-{service}", per_s=6) as till:
        time.sleep(2)
        release.run("kubectl", "delete", "pod", "--force", "--grace-period=0", *pods)
        time.sleep(8)
        release.settle()
        time.sleep(2)
    assert len(till.keys) > 50
    till.resolve()
    held = merchant.payments()
    by_key = till.acknowledged
    assert {payment for payment in by_key.values() if held.get(payment) != "captured"} == set(), "lost"
    assert len(set(by_key.values())) == len(by_key), "two keys became one payment"
    stuck = {payment: status for payment, status in held.items() if status in ("processing", "unknown")}
    assert stuck == {}
    doubled = {key: times for key, times in charges(release).items() if times > 1}
    assert doubled == {}
    admin = type(merchant)(merchant.gateway_url, release.secret()["admin_api_key"])
    status, verification, _ = admin.call("GET", "/v1/ledger/verification")
    assert (status, verification["balanced"]) == (200, True)
