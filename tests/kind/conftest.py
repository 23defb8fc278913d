"""A kind cluster of the tests' own: its own name, kubeconfig and ports, deleted at the end (KIND_KEEP=1 keeps it)."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from kubernetes import client, config
from tests.kind import proofs

ROOT = Path(__file__).resolve().parents[2]
RELEASE = "platform"
GATEWAY_NODE_PORT, CONSOLE_NODE_PORT = 30080, 30081
_ALL_RELEASES = (
    *("helm", "list", "--all-namespaces", "--output", "json"),
    *("--deployed", "--failed", "--pending"),  # Helm 4 knows no --all
)
_standing: list[Cluster] = []  # the cluster of this session, once a test has asked for it
NEEDED = ("docker", "kind", "kubectl", "helm")


@dataclass(frozen=True)
class Cluster:
    """The cluster, and the programs that a user would run against it."""

    environment: dict[str, str]
    gateway_url: str
    pipeline_url: str
    core: Any
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self, *command: str, within_s: float = 300, **more: str) -> str:
        """Standard output of a program that must succeed."""
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self.environment | more,
            capture_output=True,
            text=True,
            check=False,
            timeout=within_s,
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    def timed(self, what: str, *command: str, **more: Any) -> str:
        began = time.monotonic()
        try:
            return self.run(*command, **more)
        finally:
            self.seconds[what] = round(time.monotonic() - began, 1)

    def pods(self, *, finished: bool = False) -> list[Any]:
        """Pods of the release; without Jobs' and tests' finished ones, and without those that are going."""
        found = self.core.list_namespaced_pod(
            "default", label_selector=f"app.kubernetes.io/instance={RELEASE}"
        ).items
        return [
            pod
            for pod in found
            if finished or (pod.status.phase != "Succeeded" and not pod.metadata.deletion_timestamp)
        ]

    def secret(self, name: str = f"{RELEASE}-credentials") -> dict[str, str]:
        data = self.core.read_namespaced_secret(name, "default").data
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def settle(self, within_s: float = 120) -> None:
        """Wait until every pod that is to stay is Ready, and none is going."""
        give_up = time.monotonic() + within_s
        while True:
            everyone = self.core.list_namespaced_pod(
                "default", label_selector=f"app.kubernetes.io/instance={RELEASE}"
            ).items
            waiting = [
                pod.metadata.name for pod in everyone if pod.metadata.deletion_timestamp or not _ready(pod)
            ]
            if everyone and not waiting:
                return
            assert time.monotonic() < give_up, f"not settled after {within_s} s: {waiting}"
            time.sleep(1)

    @contextmanager
    def port_forward(self, service: str, port: int) -> Iterator[str]:
        """URL of a Service that has no NodePort, while the context is open."""
        local = free_port()
        forward = subprocess.Popen(
            ["kubectl", "port-forward", f"service/{service}", f"{local}:{port}"],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            for _ in range(50):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", local)) == 0:
                        break
                time.sleep(0.1)
            yield f"http://127.0.0.1:{local}"
        finally:
            forward.terminate()
            forward.wait(10)


@dataclass(frozen=True)
class Merchant:
    """One merchant over HTTP, without retries."""

    gateway_url: str
    api_key: str

    def call(self, method: str, path: str, body: object = None, key: str = "") -> tuple[int, Any, str]:
        """Status, JSON and the version that answered."""
        headers = {"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.gateway_url + path, data, headers, method=method)  # noqa: S310 - ours
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                return answer.status, json.load(answer), answer.headers.get("X-App-Version", "")
        except urllib.error.HTTPError as refusal:
            with refusal:
                return (
                    refusal.code,
                    refusal.read().decode(errors="replace"),
                    refusal.headers.get("X-App-Version", ""),
                )

    def pay(self, key: str) -> tuple[int, Any, str]:
        card = {"type": "card", "card": {"token": f"tok_visa_{re.sub(r'[^a-z0-9]', '_', key)}"}}
        return self.call(
            "POST", "/v1/payments", {"amount_minor": 1250, "currency": "EUR", "method": card}, key
        )

    def payments(self) -> dict[str, str]:
        """Status by id of every payment that the platform has of this merchant."""
        found: dict[str, str] = {}
        cursor = ""
        while True:
            status, page, _ = self.call("GET", f"/v1/payments?limit=100{cursor}")
            assert status == 200, page
            found |= {payment["id"]: payment["status"] for payment in page["data"]}
            if not page["next_cursor"]:
                return found
            cursor = f"&cursor={page['next_cursor']}"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    ports = {door: os.environ.get(f"KIND_{door}_PORT", "") for door in ("GATEWAY", "CONSOLE")}
    with cluster_of("kind-config.yaml", "", tmp_path_factory.mktemp("kind"), ports) as made:
        empty(made)  # with KIND_KEEP it has stood before
        _standing.append(made)
        yield made
        _standing.clear()


@contextmanager
def cluster_of(
    configuration: str, suffix: str, directory: Path, ports: Mapping[str, str] = MappingProxyType({})
) -> Iterator[Cluster]:
    """A cluster of one of our configurations with images v1 in it, while the context is open.

    Its name is KIND_CLUSTER with `suffix`; its ports on this machine are free ones where `ports` has none.
    """
    missing = [program for program in NEEDED if not shutil.which(program)]
    if missing:
        pytest.fail(f"kind tests need {', '.join(missing)} on PATH")
    kubeconfig = directory / "kubeconfig"
    gateway, console = (ports.get(door) or str(free_port()) for door in ("GATEWAY", "CONSOLE"))
    environment = os.environ | {
        "KUBECONFIG": str(kubeconfig),
        "KIND_CLUSTER": os.environ.get("KIND_CLUSTER", "platform-test") + suffix,
        "KIND_CONFIG": configuration,
        "KIND_GATEWAY_PORT": gateway,
        "KIND_CONSOLE_PORT": console,
        "VERSION": "v1",
    }
    with ExitStack() as stack:
        if not os.environ.get("KIND_KEEP"):
            stack.callback(subprocess.run, [ROOT / "tools/kind/down.sh"], env=environment, check=False)
        began = time.monotonic()
        subprocess.run([ROOT / "tools/kind/up.sh"], cwd=ROOT, env=environment, check=True, timeout=600)
        core = client.CoreV1Api(config.new_client_from_config(str(kubeconfig)))  # type: ignore[no-untyped-call]
        doors = [
            published(environment["KIND_CLUSTER"], port) for port in (GATEWAY_NODE_PORT, CONSOLE_NODE_PORT)
        ]
        made = Cluster(environment, *doors, core)
        made.seconds["make kind-up"] = round(time.monotonic() - began, 1)
        yield made
        print("\nkind, seconds:", json.dumps(made.seconds))  # noqa: T201 - the evidence of this run


@pytest.fixture(scope="module", autouse=True)
def emptied() -> None:
    """Each file begins with nothing in the cluster: neither a release nor what another file patched by hand, which
    Helm's next apply would meet as a conflict, and whose pods would have taken the two cores."""
    if _standing:
        empty(_standing[0])


def empty(cluster: Cluster) -> None:
    for found in json.loads(cluster.run(*_ALL_RELEASES)):
        cluster.run("helm", "uninstall", found["name"], "--namespace", found["namespace"], "--wait")
    for namespace in cluster.core.list_namespace().items:
        if not namespace.metadata.name.startswith(("default", "kube-", "local-path-storage")):
            cluster.run("kubectl", "delete", "namespace", namespace.metadata.name, "--ignore-not-found")
    # What an uninstall keeps on purpose, and pods that tests started by themselves.
    kept = "persistentvolumeclaims,secrets,jobs,pods"
    cluster.run("kubectl", "delete", kept, "--all", "--namespace", "default")


@pytest.fixture(scope="module")
def release(cluster: Cluster) -> Cluster:
    """The cluster with a new release in it."""
    if RELEASE not in cluster.run("helm", "list", "--short").split():
        cluster.run("helm", "install", RELEASE, "./umbrella-chart", "--wait", "--timeout", "5m")
    cluster.settle()
    return cluster


@pytest.fixture(scope="module")
def merchant(cluster: Cluster) -> Merchant:
    """A merchant made at first use, whose payments every later step of the file counts."""
    return new_merchant(cluster)


def new_merchant(cluster: Cluster) -> Merchant:
    admin = Merchant(cluster.gateway_url, cluster.secret()["admin_api_key"])
    status, made, _ = admin.call("POST", "/v1/merchants", {"name": "Kind Shop", "country": "NL"})
    assert status == 201, made
    return Merchant(cluster.gateway_url, made["api_key"])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    proofs.note(item, report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of what was proven, printed and kept."""
    if table := proofs.table():
        terminalreporter.write_sep("=", "what was proven on the cluster")
        terminalreporter.write(table)
        proofs.keep(ROOT, table)


def published(cluster: str, port: int) -> str:
    """URL of a node port on this machine; of a cluster that was there before, other ones than would be chosen now."""
    said = subprocess.run(
        ("docker", "port", f"{cluster}-control-plane", f"{port}/tcp"),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return f"http://{said.stdout.split()[0]}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ready(pod: Any) -> bool:
    if "job-name" in pod.metadata.labels:
        return bool(pod.status.phase == "Succeeded")
    conditions = {condition.type: condition.status for condition in pod.status.conditions or []}
    return conditions.get("Ready") == "True"
