"""Where pods may run, which go first when there is no room, and that one pod never blocks a drain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.charts.conftest import Helm, Object

# Written by hand: what a payment waits for is critical, what catches up is ordinary, the rest is background.
TIERS = {
    "payment-gateway-api": "critical",
    "payment-gateway-worker": "ordinary",
    "payment-gateway-relay": "ordinary",
    "channels": "ordinary",
    "risk-engine-api": "critical",
    "risk-engine-worker": "background",
    "risk-engine-consumer": "ordinary",
    "risk-engine-relay": "ordinary",
    "data-pipeline-api": "background",
    "data-pipeline-worker": "background",
    "data-pipeline-consumer": "ordinary",
    "postgres": "critical",
    "redis": "critical",
}
STATEFUL = {"postgres", "redis"}


def pods(objects: list[Object]) -> dict[str, Any]:
    """Pod specs of what lasts, by short name."""
    return {
        thing["metadata"]["name"].removeprefix("platform-"): thing["spec"]["template"]["spec"]
        for thing in objects
        if thing["kind"] in ("Deployment", "StatefulSet")
    }


def test_no_class_is_named_unless_asked_for(helm: Helm) -> None:
    """A name that the cluster does not have would keep every pod from being made."""
    assert all("priorityClassName" not in pod for pod in pods(helm.template()).values())


def test_classes_of_the_release_order_the_processes(helm: Helm) -> None:
    objects = helm.template("--set", "global.priority.create=true")
    found = {name: pod["priorityClassName"] for name, pod in pods(objects).items()}
    assert found == {name: f"platform-{tier}" for name, tier in TIERS.items()}
    classes = {thing["metadata"]["name"]: thing for thing in objects if thing["kind"] == "PriorityClass"}
    assert set(classes) == set(found.values())
    values = [classes[f"platform-{tier}"]["value"] for tier in ("critical", "ordinary", "background")]
    assert values == sorted(values, reverse=True)
    assert classes["platform-background"]["preemptionPolicy"] == "Never"
    for thing in objects:
        if thing["kind"] == "CronJob":
            pod = thing["spec"]["jobTemplate"]["spec"]["template"]["spec"]
            assert pod["priorityClassName"] == "platform-background"


def test_classes_of_the_cluster_can_be_named(helm: Helm) -> None:
    objects = helm.template("--set", "global.priority.critical=gold,global.priority.create=true")
    assert pods(objects)["postgres"]["priorityClassName"] == "gold"
    assert pods(objects)["payment-gateway-api"]["priorityClassName"] == "gold"
    assert "platform-critical" not in {thing["metadata"]["name"] for thing in objects}


def test_pods_are_spread_by_generation_and_not_over_cordoned_nodes(objects: list[Object]) -> None:
    for name, pod in pods(objects).items():
        for rule in pod.get("topologySpreadConstraints", []):
            assert rule["matchLabelKeys"] == ["pod-template-hash"], name
            assert rule["nodeTaintsPolicy"] == "Honor", name


@pytest.mark.parametrize(
    ("zones", "keys"),
    [
        ("false", ["kubernetes.io/hostname"]),
        ("true", ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]),
    ],
)
def test_zones_are_a_rule_only_where_nodes_have_them(helm: Helm, zones: str, keys: list[str]) -> None:
    """The scheduler scores no node that lacks one of the keys: a rule over zones that aren't there undoes the rest."""
    found = pods(helm.template("--set", f"global.scheduling.spreadOverZones={zones}"))
    rules = found["payment-gateway-api"]["topologySpreadConstraints"]
    assert [rule["topologyKey"] for rule in rules] == keys


def test_a_stateless_pod_leaves_a_silent_node_sooner_and_a_database_does_not(helm: Helm) -> None:
    found = pods(helm.template("--set", "global.scheduling.leaveSilentNodeAfterSeconds=30"))
    for name, pod in found.items():
        seconds = {entry["key"]: entry["tolerationSeconds"] for entry in pod.get("tolerations", [])}
        wanted = {"node.kubernetes.io/not-ready": 30, "node.kubernetes.io/unreachable": 30}
        assert seconds == ({} if name in STATEFUL else wanted), name


def test_every_pod_can_be_sent_to_the_nodes_that_are_meant_for_it(helm: Helm) -> None:
    wanted = (
        "global.scheduling.nodeSelector.pool=payments,global.scheduling.tolerations[0].key=payments,"
        "global.scheduling.tolerations[0].operator=Exists"
    )
    objects = helm.template("--set", wanted)
    jobs = [thing for thing in objects if thing["kind"] in ("Job", "CronJob")]
    specs = [*pods(objects).values()]
    specs += [thing["spec"].get("jobTemplate", thing)["spec"]["template"]["spec"] for thing in jobs]
    assert len(specs) > len(TIERS)
    for spec in specs:
        assert spec["nodeSelector"] == {"pool": "payments"}
        assert {"key": "payments", "operator": "Exists"} in spec["tolerations"]


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_budget_is_there_only_where_it_leaves_one_pod_to_move(helm: Helm, replicas: int) -> None:
    objects = helm.template("--set", f"payment-gateway.processes.worker.replicas={replicas}")
    budgets = {
        thing["metadata"]["name"]: thing["spec"]
        for thing in objects
        if thing["kind"] == "PodDisruptionBudget"
    }
    if replicas == 1:
        assert "platform-payment-gateway-worker" not in budgets, "it would block every drain of its node"
    else:
        budget = budgets["platform-payment-gateway-worker"]
        assert budget["maxUnavailable"] == 1
        assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow", (
            "a pod that is not ready would block it, too"
        )


def test_a_service_keeps_to_the_zone_where_it_is_asked_to(
    helm: Helm, objects: list[Object], profile: str
) -> None:
    keeping = {
        thing["metadata"]["name"]
        for thing in objects
        if thing["kind"] == "Service" and thing["spec"].get("trafficDistribution") == "PreferClose"
    }
    services = {f"platform-{name}" for name in ("payment-gateway", "risk-engine", "data-pipeline")}
    assert keeping == (services if profile == "production" else set())
