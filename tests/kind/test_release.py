"""The life of a release on a real cluster, told in order: each step starts where the one before ended.

Level: cluster (one node, laptop profile). Run by `make kind-test`, without random order.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.kind.till import Till

if TYPE_CHECKING:
    from tests.kind.conftest import Cluster, Merchant

pytestmark = [pytest.mark.kind, pytest.mark.timeout(420)]

ROOT = Path(__file__).resolve().parents[2]
BEFORE: dict[str, object] = {}
"""What one step saw and a later one compares with."""


@pytest.mark.proof("charts", "`helm install` from a clean clone brings every process up")
def test_install_brings_every_pod_up(cluster: Cluster) -> None:
    gateway = f"notes.gatewayUrl={cluster.gateway_url},notes.consoleUrl={cluster.pipeline_url}"
    BEFORE["notes"] = cluster.timed(
        "helm install --wait",
        *("helm", "install", "platform", "./umbrella-chart", "--wait", "--timeout", "4m", "--set", gateway),
    )
    cluster.settle()
    processes = {
        (pod.metadata.labels["app.kubernetes.io/name"], pod.metadata.labels["app.kubernetes.io/component"])
        for pod in cluster.pods()
    }
    assert len(processes) == 13, processes


@pytest.mark.proof("pods", "no pod is restarted while the platform starts")
def test_no_pod_had_to_be_restarted(cluster: Cluster) -> None:
    restarts = {
        pod.metadata.name: pod.status.container_statuses[0].restart_count
        for pod in cluster.pods(finished=True)
        if pod.status.container_statuses[0].restart_count
    }
    assert restarts == {}


@pytest.mark.proof("pod security", "every pod runs where the restricted level is enforced")
def test_the_namespace_enforces_the_restricted_level(cluster: Cluster) -> None:
    """Otherwise the pods' being admitted would show nothing."""
    labels = cluster.core.read_namespace("default").metadata.labels
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.proof("charts", "the command in the notes makes the first payment")
def test_the_command_in_the_notes_makes_the_first_payment(cluster: Cluster) -> None:
    notes = str(BEFORE["notes"])
    block = notes[notes.index("GATEWAY_URL=") : notes.index("Or let the release test itself")]
    answer = cluster.run("bash", "-euc", block)
    assert json.loads(answer)["status"] == "captured"


@pytest.mark.proof("releases", "`helm test` pays, repeats a key, refunds, verifies the ledger")
def test_helm_test_pays_replays_refunds_and_verifies_the_ledger(cluster: Cluster) -> None:
    cluster.timed("helm test", "helm", "test", "platform", "--timeout", "3m")


@pytest.mark.proof("service discovery", "the HTTP suite passes through the Services")
def test_the_e2e_suite_passes_through_the_node_ports(cluster: Cluster) -> None:
    secret, password = cluster.secret(), secrets.token_hex(12)
    # As docs/console.md says: an operator is made in the pod of the console, whose password comes by standard input.
    add = "kubectl exec -i deployment/platform-data-pipeline-api -- data-pipeline operator add e2e --role operator"
    cluster.run("bash", "-euc", f'echo "$PASSWORD" | {add}', PASSWORD=password)
    with (
        cluster.port_forward("platform-channels", 8003) as channels,
        cluster.port_forward("platform-risk-engine", 8001) as risk,
    ):
        cluster.timed(
            "e2e",
            *(sys.executable, "-m", "pytest", "tests/e2e", "-q"),
            within_s=400,
            GATEWAY_URL=cluster.gateway_url,
            PIPELINE_URL=cluster.pipeline_url,
            CONSOLE_URL=f"{cluster.pipeline_url}/console",
            CHANNELS_URL=channels,
            RISK_URL=risk,
            ADMIN_API_KEY=secret["admin_api_key"],
            INTERNAL_TOKEN=secret["internal_token"],
            CONSOLE_OPERATOR="e2e",
            CONSOLE_PASSWORD=password,
            # Webhooks go to public addresses only (settings and NetworkPolicy): this machine is not one.
            E2E_WEBHOOK_HOST="none",
        )


STRANGER = """
import socket
def reach(host, port):
    try:
        socket.create_connection((host, port), 3).close()
        return True
    except OSError:
        return False
print({name: reach(name, port) for name, port in [
    ("platform-payment-gateway", 8000), ("platform-data-pipeline", 8002),
    ("platform-postgres", 5432), ("platform-redis", 6379),
    ("platform-risk-engine", 8001), ("platform-channels", 8003)]})
"""


@pytest.mark.proof("network policy", "a stranger in the namespace reaches the public doors only")
def test_a_stranger_in_the_namespace_reaches_the_public_doors_only(cluster: Cluster) -> None:
    """The two that answer are the control: were nothing reachable, refusals would show nothing."""
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True}
    container = {
        "name": "stranger",
        "image": "payment-gateway:v1",
        "command": ["python", "-c", STRANGER],
        "securityContext": security | {"runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"}},
    }
    overrides = json.dumps({"spec": {"containers": [container]}})
    said = cluster.run(
        *(
            "kubectl",
            "run",
            "stranger",
            "--image=payment-gateway:v1",
            "--restart=Never",
            "--rm",
            "--attach",
            "--quiet",
        ),
        f"--overrides={overrides}",
    )
    reached = eval(said[said.index("{") : said.index("}") + 1])  # noqa: S307 - our own program's answer
    assert {name for name, open_ in reached.items() if open_} == {
        "platform-payment-gateway",
        "platform-data-pipeline",
    }


@pytest.mark.proof("autoscaling", "the autoscalers read their metrics")
def test_an_autoscaler_reads_its_metrics(cluster: Cluster) -> None:
    for _ in range(60):
        scalers = json.loads(cluster.run("kubectl", "get", "hpa", "--output", "json"))["items"]
        active = {
            condition["status"]
            for scaler in scalers
            for condition in scaler.get("status", {}).get("conditions", [])
            if condition["type"] == "ScalingActive"
        }
        if active == {"True"}:
            return
        time.sleep(2)
    pytest.fail(f"no metrics for the autoscalers: {scalers}")


@pytest.mark.proof("rolling upgrades", "an upgrade under payments loses none; both versions answer")
def test_an_upgrade_rolls_without_losing_a_payment(cluster: Cluster, merchant: Merchant) -> None:
    """Payments go on through the whole rollout, each on a connection of its own, no retry."""
    BEFORE["secret"] = cluster.secret()
    cluster.timed("make kind-load VERSION=v2", "tools/kind/load.sh", VERSION="v2")
    with Till(merchant, "rolling") as till:
        cluster.timed(
            "helm upgrade --wait",
            *("helm", "upgrade", "platform", "./umbrella-chart", "--reset-then-reuse-values"),
            *("--set", "global.app.version=v2", "--wait", "--timeout", "4m"),
        )
        cluster.settle()
        time.sleep(3)
    assert till.failed == {}
    assert len(till.acknowledged) > 50
    assert till.versions == {"v1", "v2"}, "both must have answered, or nothing was shown"
    images = {pod.spec.containers[0].image for pod in cluster.pods()}
    ours = {image for image in images if not image.startswith(("postgres", "redis"))}
    assert (
        ours
        == {
            *(f"{service}:v2" for service in ("payment-gateway", "risk-engine", "data-pipeline")),
            "payment-gateway:v1",  # the channel simulators: the outside world is not restarted by an upgrade of ours
        }
    )
    assert cluster.secret() == BEFORE["secret"]
    held = merchant.payments()
    assert set(till.acknowledged.values()) == held.keys()
    BEFORE["payments"] = set(held)


@pytest.mark.proof("releases", "`helm rollback` returns the old version with all data")
def test_a_rollback_returns_the_old_version_with_all_data(cluster: Cluster, merchant: Merchant) -> None:
    cluster.timed("helm rollback --wait", "helm", "rollback", "platform", "1", "--wait", "--timeout", "4m")
    cluster.settle()
    assert {pod.spec.containers[0].image for pod in cluster.pods() if "api" in pod.metadata.name} == {
        "payment-gateway:v1",
        "risk-engine:v1",
        "data-pipeline:v1",
    }
    assert cluster.secret() == BEFORE["secret"]
    assert merchant.pay("after-rollback")[0] == 201
    assert len(merchant.payments()) == len(BEFORE["payments"]) + 1  # type: ignore[arg-type]


@pytest.mark.proof("state", "killed Postgres and Redis pods come back with all data")
def test_killed_servers_come_back_with_all_data(cluster: Cluster, merchant: Merchant) -> None:
    before = merchant.payments()
    cluster.run(
        "kubectl", "delete", "pod", "--force", "--grace-period=0", "platform-postgres-0", "platform-redis-0"
    )
    cluster.settle()
    for attempt in range(30):
        if merchant.pay(f"after-kill-{attempt}")[0] == 201:
            break
        time.sleep(1)
    assert before.items() <= merchant.payments().items()
    cluster.run("helm", "test", "platform", "--timeout", "3m")


@pytest.mark.proof("releases", "`helm uninstall` leaves the volumes and the Secret, and nothing else")
def test_uninstall_leaves_the_volumes_and_the_secret_and_nothing_else(
    cluster: Cluster, merchant: Merchant
) -> None:
    BEFORE["payments"] = merchant.payments()
    cluster.timed("helm uninstall", "helm", "uninstall", "platform", "--wait", "--timeout", "3m")
    kinds = "pods,deployments,statefulsets,jobs,services,configmaps,serviceaccounts,hpa,pdb,networkpolicies,secrets,pvc"
    for _ in range(60):
        listed = json.loads(cluster.run("kubectl", "get", kinds, "--output", "json"))["items"]
        left = {
            (thing["kind"], thing["metadata"]["name"])
            for thing in listed
            if "platform" in thing["metadata"]["name"]
        }
        if not any(kind == "Pod" for kind, _ in left):
            break
        time.sleep(1)
    assert left == {
        ("Secret", "platform-credentials"),
        ("PersistentVolumeClaim", "data-platform-postgres-0"),
        ("PersistentVolumeClaim", "data-platform-redis-0"),
        ("PersistentVolumeClaim", "journal-platform-channels-0"),
        ("PersistentVolumeClaim", "platform-backup"),
        ("PersistentVolumeClaim", "platform-data-pipeline-files"),
    }


@pytest.mark.proof("state", "the next install takes up the data")
def test_the_next_install_takes_up_the_data(cluster: Cluster, merchant: Merchant) -> None:
    cluster.timed(
        "helm install again", "helm", "install", "platform", "./umbrella-chart", "--wait", "--timeout", "4m"
    )
    cluster.settle()
    assert cluster.secret() == BEFORE["secret"]
    assert merchant.payments() == BEFORE["payments"]
