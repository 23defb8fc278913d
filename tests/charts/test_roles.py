"""The Roles for people: what each may do, who is bound, and that the deployer's covers all that the charts render."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.charts.conftest import Helm, Object

RESOURCES = {
    "CronJob": "cronjobs",
    "ConfigMap": "configmaps",
    "Deployment": "deployments",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers",
    "HTTPRoute": "httproutes",
    "Job": "jobs",
    "NetworkPolicy": "networkpolicies",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "Pod": "pods",
    "PodDisruptionBudget": "poddisruptionbudgets",
    "PodMonitor": "podmonitors",
    "PrometheusRule": "prometheusrules",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "ScaledObject": "scaledobjects",
    "Service": "services",
    "ServiceMonitor": "servicemonitors",
    "ServiceAccount": "serviceaccounts",
    "StatefulSet": "statefulsets",
    "TriggerAuthentication": "triggerauthentications",
    "ExternalSecret": "externalsecrets",
    "PeerAuthentication": "peerauthentications",
    "AuthorizationPolicy": "authorizationpolicies",
    "VirtualService": "virtualservices",
    "DestinationRule": "destinationrules",
    "Server": "servers",
    "MeshTLSAuthentication": "meshtlsauthentications",
    "NetworkAuthentication": "networkauthentications",
}
MANAGE = {"get", "list", "watch", "create", "update", "patch", "delete"}


def allowed(role: Object) -> set[tuple[str, str, str]]:
    """(group, resource, verb) of every rule."""
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def roles(helm: Helm, *args: str) -> dict[str, set[tuple[str, str, str]]]:
    return {
        thing["metadata"]["name"].removeprefix("platform-"): allowed(thing)
        for thing in helm.template(*args)
        if thing["kind"] == "Role"
    }


def test_whoever_deploys_may_write_every_kind_that_is_rendered(objects: list[Object]) -> None:
    """Helm needs all of these verbs; a kind that a chart adds has to be added to the Role, too."""
    deployer = next(allowed(thing) for thing in objects if thing["metadata"]["name"] == "platform-deployer")
    for thing in objects:
        if thing["kind"] == "PriorityClass":
            continue  # cluster-scoped: an administrator's
        group = thing["apiVersion"].rpartition("/")[0]
        missing = {verb for verb in MANAGE if (group, RESOURCES[thing["kind"]], verb) not in deployer}
        assert missing == set(), f"{thing['kind']}: {missing}"
    assert {("", "secrets", verb) for verb in MANAGE} <= deployer, "Helm keeps its releases in Secrets"


def test_each_role_may_what_the_one_before_it_may(helm: Helm) -> None:
    """So a deployer may grant the two lower ones: Kubernetes lets nobody give what they do not have."""
    found = roles(helm)
    assert found["viewer"] < found["operator"] < found["deployer"]


def test_a_viewer_changes_nothing(helm: Helm) -> None:
    assert {verb for _, _, verb in roles(helm)["viewer"]} == {"get", "list", "watch"}


def test_an_operator_can_create_no_pod_and_change_none(helm: Helm) -> None:
    """Whoever creates or changes a pod mounts any Secret of the namespace into it."""
    for group, resource, verb in roles(helm)["operator"]:
        if verb in ("create", "update", "patch"):
            assert resource in {
                "pods/eviction",
                "pods/portforward",
                "deployments/scale",
                "statefulsets/scale",
            }, (
                group,
                resource,
                verb,
            )


@pytest.mark.parametrize("who", ["viewers", "operators", "deployers"])
def test_a_role_is_bound_to_whom_the_values_name(helm: Helm, who: str) -> None:
    assert "RoleBinding" not in {thing["kind"] for thing in helm.template()}
    role = f"rbac.{who}"
    subjects = f"{role}[0].kind=Group,{role}[0].name=team,{role}[1].kind=ServiceAccount,{role}[1].name=ci"
    bindings = [thing for thing in helm.template("--set", subjects) if thing["kind"] == "RoleBinding"]
    assert [binding["roleRef"]["name"] for binding in bindings] == [f"platform-{who.removesuffix('s')}"]
    assert bindings[0]["subjects"] == [
        {"kind": "Group", "name": "team", "apiGroup": "rbac.authorization.k8s.io"},
        {"kind": "ServiceAccount", "name": "ci", "namespace": "default"},
    ]


def test_roles_can_be_left_to_the_platform_team(helm: Helm) -> None:
    assert roles(helm, "--set", "rbac.enabled=false") == {}
