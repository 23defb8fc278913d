"""Backup, drill and restore on a real cluster, told in order, in their own namespace. Level: cluster (one node)."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.kind.conftest import Merchant, free_port

if TYPE_CHECKING:
    from tests.kind.conftest import Cluster

pytestmark = [pytest.mark.kind, pytest.mark.timeout(600)]

NAMESPACE = "backups"
PLATFORM = str(Path(sys.executable).with_name("platform"))
SEEN: dict[str, object] = {}


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[str]:
    """The release in a restricted namespace; everything goes with it."""
    cluster.run("kubectl", "create", "namespace", NAMESPACE)
    cluster.run("kubectl", "label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    doors = ("payment-gateway", "data-pipeline")
    inside = ",".join(f"{door}.service.type=ClusterIP,{door}.service.nodePort=0" for door in doors)
    try:
        cluster.timed(
            "helm install with backups",
            *("helm", "install", "platform", "./umbrella-chart", "--namespace", NAMESPACE),
            *("--wait", "--wait-for-jobs", "--timeout", "5m", "--set", inside),
        )
        yield NAMESPACE
    finally:
        cluster.run("kubectl", "delete", "namespace", NAMESPACE, "--wait=false")


def platform(cluster: Cluster, *args: str) -> str:
    return cluster.timed(
        f"platform {' '.join(args)}", PLATFORM, *args, "--cluster", "--namespace", NAMESPACE, within_s=500
    )


@contextmanager
def gateway(cluster: Cluster) -> Iterator[Merchant]:
    """The administrator at the gateway's port, forwarded."""
    port = free_port()
    forward = subprocess.Popen(
        ["kubectl", "-n", NAMESPACE, "port-forward", "service/platform-payment-gateway", f"{port}:8000"],
        env=cluster.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    secret = cluster.core.read_namespaced_secret("platform-credentials", NAMESPACE).data
    admin = Merchant(f"http://127.0.0.1:{port}", base64.b64decode(secret["admin_api_key"]).decode())
    try:
        give_up = time.monotonic() + 20
        while True:
            try:
                admin.call("GET", "/version")
                break
            except OSError:
                assert time.monotonic() < give_up
                time.sleep(0.2)
        yield admin
    finally:
        forward.terminate()
        forward.wait(10)


@contextmanager
def shop(cluster: Cluster) -> Iterator[Merchant]:
    """One merchant, made at the first use."""
    with gateway(cluster) as admin:
        if "key" not in SEEN:
            status, made, _ = admin.call("POST", "/v1/merchants", {"name": "Backup Shop", "country": "NL"})
            assert status == 201, made
            SEEN["key"] = made["api_key"]
        yield Merchant(admin.gateway_url, str(SEEN["key"]))


def pay(merchant: Merchant, name: str, times: int) -> None:
    for number in range(times):
        status, payment, _ = merchant.pay(f"{name}-{number}")
        assert (status, payment["status"]) == (201, "captured")


@pytest.mark.proof("backup and restore", "an install takes its first backup")
def test_an_install_takes_its_first_backup(cluster: Cluster, namespace: str) -> None:
    jobs = json.loads(cluster.run("kubectl", "-n", namespace, "get", "jobs", "--output", "json"))["items"]
    first = [job for job in jobs if "backup-first" in job["metadata"]["name"]]
    assert [job["status"].get("succeeded") for job in first] == [1]


@pytest.mark.proof("backup and restore", "a backup by hand counts as the schedule's own")
def test_a_backup_by_hand_counts_as_the_schedules_own(cluster: Cluster, namespace: str) -> None:
    with shop(cluster) as merchant:
        pay(merchant, "before", 5)
        SEEN["before"] = merchant.payments()
    assert "bytes" in platform(cluster, "backup")
    shown = cluster.run("kubectl", "-n", namespace, "get", "cronjob", "platform-backup", "--output", "json")
    assert json.loads(shown)["status"]["lastSuccessfulTime"]


@pytest.mark.proof(
    "backup and restore", "the drill restores into a server of its own and finds the same ledger"
)
def test_the_drill_restores_into_a_server_of_its_own_and_finds_the_same_ledger(
    cluster: Cluster, namespace: str
) -> None:
    with shop(cluster) as merchant:
        pay(merchant, "after", 3)
    said = platform(cluster, "restore", "--drill")
    assert "the ledger is the same" in said
    with shop(cluster) as merchant:
        assert len(merchant.payments()) == 8, "the live database is as it was"


@pytest.mark.proof("backup and restore", "a restore brings the payments back, and the platform goes on")
def test_a_restore_brings_the_payments_of_the_backup_back_and_the_platform_goes_on(
    cluster: Cluster, namespace: str
) -> None:
    said = platform(cluster, "restore", "--yes")
    assert "the ledger is the same" in said
    assert "closed to connections" in said
    with shop(cluster) as merchant:
        assert merchant.payments() == SEEN["before"]
        pay(merchant, "again", 2)
    with gateway(cluster) as admin:
        status, verification, _ = admin.call("GET", "/v1/ledger/verification")
        assert (status, verification["balanced"]) == (200, True)


@pytest.mark.proof("backup and restore", "control: a dump with one byte changed fails the drill")
def test_a_backup_that_was_changed_fails_the_drill(cluster: Cluster, namespace: str) -> None:
    """The control: a drill that cannot fail proves nothing. One byte of the newest dump is overwritten."""
    job = json.loads(
        cluster.run("kubectl", "-n", namespace, "get", "cronjob", "platform-backup", "-o", "json")
    )
    spec = job["spec"]["jobTemplate"]["spec"]
    spec["template"]["spec"]["containers"][0]["command"] = [
        "sh",
        "-euc",
        'dump=$(ls -d /backups/20* | tail -n 1)/platform.dump; printf x | dd of="$dump" bs=1 seek=5000 conv=notrunc',
    ]
    body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "damage"}, "spec": spec}
    subprocess.run(
        ["kubectl", "-n", namespace, "create", "--filename", "-"],
        input=json.dumps(body),
        text=True,
        env=cluster.environment,
        check=True,
    )
    cluster.run("kubectl", "-n", namespace, "wait", "--for=condition=complete", "job/damage", "--timeout=60s")
    drill = subprocess.run(
        [PLATFORM, "restore", "--drill", "--cluster", "--namespace", namespace],
        env=cluster.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert drill.returncode == 1
    assert "is damaged" in drill.stderr
