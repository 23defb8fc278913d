"""`platform k8s doctor` against a release that is broken on purpose, one way after the other. Level: cluster."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.kind.conftest import Cluster

pytestmark = [pytest.mark.kind, pytest.mark.timeout(600)]

RELAY = "deployment/platform-risk-engine-relay"
PLATFORM = Path(sys.executable).with_name("platform")
Findings = list[dict[str, Any]]


@dataclass(frozen=True)
class Break:
    """A JSON patch of the relay's pod template, and what the doctor has to say of it."""

    patch: list[dict[str, Any]]
    says: tuple[str, ...]
    severity: str = "critical"


CONTAINER = "/spec/template/spec/containers/0"
BREAKS = {
    "an image that nobody loaded": Break(
        [{"op": "replace", "path": f"{CONTAINER}/image", "value": "risk-engine:v404"}],
        ("risk-engine:v404", "cannot be pulled", "make kind-load VERSION=v404"),
    ),
    "100 CPUs": Break(
        [{"op": "replace", "path": f"{CONTAINER}/resources/requests/cpu", "value": "100"}],
        ("cannot be scheduled", "enough cpu left", "cpu 100"),
    ),
    "a Secret that is not there": Break(
        [
            {
                "op": "add",
                "path": "/spec/template/spec/volumes/-",
                "value": {"name": "more", "secret": {"secretName": "nobody-made-it"}},
            },
            {
                "op": "add",
                "path": f"{CONTAINER}/volumeMounts/-",
                "value": {"name": "more", "mountPath": "/more"},
            },
        ],
        ("Secret nobody-made-it", "does not exist", "get secret nobody-made-it"),
    ),
    "a ConfigMap without the key": Break(
        [
            {
                "op": "add",
                "path": f"{CONTAINER}/env/-",
                "value": {
                    "name": "NOT_THERE",
                    "valueFrom": {"configMapKeyRef": {"name": "platform-risk-engine", "key": "NOT_THERE"}},
                },
            }
        ],
        ("CreateContainerConfigError", "no key NOT_THERE", "configmap platform-risk-engine"),
    ),
    "a process that gives up": Break(
        [
            {"op": "add", "path": f"{CONTAINER}/command", "value": ["python", "-c"]},
            {"op": "add", "path": f"{CONTAINER}/args", "value": ["raise SystemExit('out of coffee')"]},
        ],
        ("exit code 1", "out of coffee", "--previous"),
    ),
    "a pod that asks for root": Break(
        [{"op": "replace", "path": "/spec/template/spec/securityContext/runAsNonRoot", "value": False}],
        ("refuses its pods", "violates PodSecurity", "runAsNonRoot"),
    ),
}


def asked(cluster: Cluster, *options: str, kubeconfig: str | None = None) -> tuple[int, dict[str, Any]]:
    """Exit code and JSON of the doctor."""
    environment = cluster.environment | ({"KUBECONFIG": kubeconfig} if kubeconfig else {})
    done = subprocess.run(
        [PLATFORM, "k8s", "doctor", "--json", *options],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, json.loads(done.stdout)


def words(finding: dict[str, Any]) -> str:
    return " ".join(str(finding[part]) for part in ("object", "problem", "cause", "command"))


def wait_for(
    ask: Callable[[], Findings], wanted: Callable[[Findings], bool], within_s: float = 90
) -> Findings:
    give_up = time.monotonic() + within_s
    while not wanted(findings := ask()):
        assert time.monotonic() < give_up, json.dumps(findings, indent=1)
        time.sleep(2)
    return findings


@contextmanager
def broken(cluster: Cluster, thing: str, patch: list[dict[str, Any]]) -> Iterator[None]:
    """The patch is applied, and taken back at the end by putting the pod template back."""
    before = json.loads(cluster.run("kubectl", "get", thing, "--output", "json"))["spec"]["template"]
    back = [{"op": "replace", "path": "/spec/template", "value": before}]
    cluster.run("kubectl", "patch", thing, "--type", "json", "--patch", json.dumps(patch))
    try:
        yield
    finally:
        cluster.run("kubectl", "patch", thing, "--type", "json", "--patch", json.dumps(back))
        kind, _, name = thing.partition("/")
        if kind == "statefulset":  # it waits for the broken pod, as the doctor says
            cluster.run("kubectl", "delete", "pod", f"{name}-0", "--wait=false")
        cluster.run("kubectl", "rollout", "status", thing, "--timeout", "180s")
        cluster.settle(180)


@pytest.mark.proof("doctor", "a healthy release is called healthy")
def test_a_healthy_release_is_healthy(release: Cluster) -> None:
    code, told = asked(release)
    assert (code, told["healthy"], told["unread"]) == (0, True, []), told


@pytest.mark.proof("doctor", "six ways to break one process: each is named, and nothing else")
@pytest.mark.parametrize("way", BREAKS)
def test_each_break_is_named(release: Cluster, way: str) -> None:
    wrong = BREAKS[way]

    def is_named(findings: Findings) -> bool:
        return any(
            finding["object"] == RELAY
            and finding["severity"] == wrong.severity
            and all(word in words(finding) for word in wrong.says)
            for finding in findings
        )

    assert not is_named(asked(release)[1]["findings"])
    with broken(release, RELAY, wrong.patch):
        wait_for(lambda: asked(release)[1]["findings"], is_named)
        code, told = asked(release)
        assert (code, told["healthy"]) == (1, False)
        # One thing is broken, so one thing is to be mended.
        assert [f["object"] for f in told["findings"] if f["severity"] == "critical"] == [RELAY]
    code, told = asked(release)
    assert (code, told["healthy"]) == (0, True), told


@pytest.mark.proof("doctor", "without Postgres everything is broken, and one thing is to be mended")
def test_a_missing_postgres_explains_the_rest(release: Cluster) -> None:
    postgres = "statefulset/platform-postgres"
    patch = BREAKS["100 CPUs"].patch
    with broken(release, postgres, patch):

        def explains(findings: Findings) -> bool:
            found = [finding for finding in findings if finding["object"] == postgres]
            below = {child["object"] for finding in found for child in finding["leads_to"]}
            return {"service/platform-postgres", "deployment/platform-payment-gateway-api"} <= below

        findings = wait_for(lambda: asked(release)[1]["findings"], explains, 150)
        (critical,) = [finding for finding in findings if finding["severity"] == "critical"]
        assert critical["object"] == postgres
        assert "delete pod platform-postgres-0" in critical["command"]
    assert asked(release)[0] == 0


@pytest.mark.proof("doctor", "a viewer may ask; a stranger is told that he may not")
def test_the_viewer_role_is_enough(release: Cluster, tmp_path: Path) -> None:
    release.run("kubectl", "create", "serviceaccount", "onlooker")
    try:
        release.run(
            *("kubectl", "create", "rolebinding", "onlooker", "--role", "platform-viewer"),
            *("--serviceaccount", "default:onlooker"),
        )
        token = release.run("kubectl", "create", "token", "onlooker").strip()
        own = json.loads(release.run("kubectl", "config", "view", "--raw", "--minify", "--output", "json"))
        own["users"][0]["user"] = {"token": token}
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(json.dumps(own))
        code, told = asked(release, kubeconfig=str(kubeconfig))
        assert (code, told["healthy"]) == (0, True), told
        assert [note.partition(":")[0] for note in told["unread"]] == ["secrets (Helm's own record)", "nodes"]
        release.run("kubectl", "delete", "rolebinding", "onlooker")
        code, told = asked(release, kubeconfig=str(kubeconfig))
        assert code == 3
        assert "Too few rights" in told["error"]
    finally:
        release.run(
            "kubectl", "delete", "rolebinding/onlooker", "serviceaccount/onlooker", "--ignore-not-found"
        )


def test_who_asks_in_the_wrong_place_is_told_so(release: Cluster, tmp_path: Path) -> None:
    code, told = asked(release, "--namespace", "kube-system")
    assert code == 3
    assert "--namespace default" in told["error"]
    code, told = asked(release, "--release", "platfrom")
    assert code == 3
    assert "Releases in it: platform" in told["error"]
    own = json.loads(release.run("kubectl", "config", "view", "--raw", "--minify", "--output", "json"))
    own["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    nowhere = tmp_path / "kubeconfig"
    nowhere.write_text(json.dumps(own))
    code, told = asked(release, kubeconfig=str(nowhere))
    assert code == 3
    assert "No answer from the cluster at https://127.0.0.1:1" in told["error"]
