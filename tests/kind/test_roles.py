"""What each Role may on a real cluster, asked of the API server itself. Level: cluster."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kind.conftest import Cluster

pytestmark = [pytest.mark.kind, pytest.mark.timeout(420)]

NAMESPACE = "roles"
# what, and which of viewer, operator, deployer and a stranger may
ANSWERS = {
    ("get", "pods"): "yes yes yes no",
    ("get", "pods/log"): "yes yes yes no",
    ("watch", "horizontalpodautoscalers.autoscaling"): "yes yes yes no",
    ("get", "secrets"): "no no yes no",
    ("list", "secrets"): "no no yes no",
    ("create", "pods/exec"): "no no no no",
    ("delete", "pods"): "no yes yes no",
    ("create", "pods/eviction"): "no yes yes no",
    ("create", "pods/portforward"): "no yes yes no",
    ("patch", "deployments.apps/scale"): "no yes yes no",
    ("patch", "deployments.apps"): "no no yes no",
    ("create", "jobs.batch"): "no no yes no",
    ("create", "pods"): "no no yes no",
    ("delete", "statefulsets.apps"): "no no yes no",
    ("create", "clusterroles.rbac.authorization.k8s.io"): "no no no no",
    ("delete", "namespaces"): "no no no no",
}
GROUPS = ("viewers", "operators", "deployers", "strangers")
SUBJECTS = ",".join(f"rbac.{group}[0].kind=Group,rbac.{group}[0].name={group}" for group in GROUPS[:3])
# Nothing has to run for this: the roles, and what a deployer's `helm upgrade` writes.
SMALL = (
    "postgres.enabled=false,redis.enabled=false,backup.enabled=false,risk-engine.enabled=false,"
    "data-pipeline.enabled=false,payment-gateway.service.type=ClusterIP,payment-gateway.service.nodePort=0"
)


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[str]:
    cluster.run("kubectl", "create", "namespace", NAMESPACE)
    try:
        release = ("helm", "install", "platform", "./umbrella-chart", "--namespace", NAMESPACE)
        cluster.run(*release, "--set", f"{SMALL},{SUBJECTS}")
        yield NAMESPACE
    finally:
        cluster.run("kubectl", "delete", "namespace", NAMESPACE, "--wait=false")


def may(cluster: Cluster, group: str, verb: str, resource: str, namespace: str) -> str:
    """The API server's own answer, as `kubectl auth can-i` gives it."""
    resource, _, subresource = resource.partition("/")
    asked = subprocess.run(
        [
            "kubectl",
            "auth",
            "can-i",
            verb,
            resource,
            "--namespace",
            namespace,
            "--as=somebody",
            f"--as-group={group}",
        ]
        + ([f"--subresource={subresource}"] if subresource else []),
        env=cluster.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.strip()


@pytest.mark.proof(
    "roles (RBAC)", "the API server says of viewer, operator, deployer and a stranger who may what"
)
@pytest.mark.parametrize(("verb", "resource"), ANSWERS)
def test_the_api_server_says_who_may(cluster: Cluster, namespace: str, verb: str, resource: str) -> None:
    said = " ".join(may(cluster, group, verb, resource, namespace) for group in GROUPS)
    assert said == ANSWERS[verb, resource]


@pytest.mark.proof("roles (RBAC)", "nobody may anything in another namespace")
def test_nobody_may_in_another_namespace(cluster: Cluster, namespace: str) -> None:
    assert {may(cluster, group, "get", "pods", "kube-system") for group in GROUPS} == {"no"}


@pytest.mark.proof("roles (RBAC)", "a deployer upgrades the release, an operator cannot")
def test_a_deployer_upgrades_the_release_and_an_operator_cannot(cluster: Cluster, namespace: str) -> None:
    upgrade = (
        *(
            "helm",
            "upgrade",
            "platform",
            "./umbrella-chart",
            "--namespace",
            namespace,
            "--reset-then-reuse-values",
        ),
        *("--set", "global.logLevel=DEBUG", "--kube-as-user", "somebody", "--kube-as-group"),
    )
    cluster.run(*upgrade, "deployers")
    with pytest.raises(AssertionError, match="forbidden"):
        cluster.run(*upgrade, "operators")


@pytest.mark.proof("roles (RBAC)", "no pod has a token of the API server")
def test_no_pod_of_the_platform_has_a_token(cluster: Cluster, namespace: str) -> None:
    pods = json.loads(cluster.run("kubectl", "-n", namespace, "get", "pods", "--output", "json"))["items"]
    assert pods
    for pod in pods:
        mounts = [mount["mountPath"] for c in pod["spec"]["containers"] for mount in c["volumeMounts"]]
        assert "/var/run/secrets/kubernetes.io/serviceaccount" not in mounts
