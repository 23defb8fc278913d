"""The mesh switch: who is in it, who may call what, no retry of money, and the canary's share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.charts.conftest import HAS_ALL

if TYPE_CHECKING:
    from tests.charts.conftest import Helm, Object

MESHES = ("linkerd", "istio-ambient", "istio-sidecar")
CLOSED = {
    "platform-risk-engine-api": {"platform-payment-gateway", "platform-data-pipeline"},
    "platform-payment-gateway-channels": {"platform-payment-gateway", "platform-data-pipeline"},
}
"""Doors that are not public, and the service accounts that may come in. Written by hand, as in test_network.py."""
CANARY = "risk-engine.canary.enabled=true,risk-engine.canary.version=v2,risk-engine.canary.weight=5"


def rendered(helm: Helm, mesh: str, *args: str) -> list[Object]:
    return helm.template(*HAS_ALL, "--set", f"global.mesh={mesh}", *args)


def of(objects: list[Object], kind: str) -> dict[str, Any]:
    return {thing["metadata"]["name"]: thing["spec"] for thing in objects if thing["kind"] == kind}


def pods(objects: list[Object]) -> dict[str, Object]:
    """Pod template metadata of what lasts and of Jobs, by the owner's name."""
    return {
        thing["metadata"]["name"]: (thing["spec"].get("jobTemplate") or thing)["spec"]["template"]["metadata"]
        for thing in objects
        if thing["kind"] in ("Deployment", "StatefulSet", "Job", "CronJob")
    }


def test_without_a_mesh_nothing_of_one_is_rendered(helm: Helm) -> None:
    objects = helm.template()
    assert not [
        thing for thing in objects if "istio" in thing["apiVersion"] or "linkerd" in thing["apiVersion"]
    ]
    assert "istio.io/dataplane-mode" not in str(objects)


@pytest.mark.parametrize("mesh", MESHES)
def test_the_processes_are_in_the_mesh(helm: Helm, mesh: str) -> None:
    for name, pod in pods(rendered(helm, mesh)).items():
        marks = {**pod.get("labels", {}), **pod.get("annotations", {})}
        inside = (
            marks.get("linkerd.io/inject") == "enabled"
            or marks.get("istio.io/dataplane-mode") == "ambient"
            or marks.get("sidecar.istio.io/inject") == "true"
        )
        # A sidecar would outlive a Job; Postgres and Redis stay outside where the mesh is made of sidecars.
        outside = any(word in name for word in ("migrate", "backup", "postgres", "redis"))
        assert inside == (mesh == "istio-ambient" or not outside), name


@pytest.mark.parametrize("mesh", ["istio-ambient", "istio-sidecar"])
def test_istio_asks_for_mutual_tls_and_names_the_callers(helm: Helm, mesh: str) -> None:
    objects = rendered(helm, mesh)
    peers = of(objects, "PeerAuthentication")
    assert set(peers) == set(CLOSED)
    assert {peer["mtls"]["mode"] for peer in peers.values()} == {"STRICT"}
    for name, policy in of(objects, "AuthorizationPolicy").items():
        assert policy["action"] == "ALLOW"
        calls, metrics = policy["rules"]
        principals = {p.rpartition("/")[2] for p in calls["from"][0]["source"]["principals"]}
        assert principals == CLOSED[name]
        assert metrics == {"to": [{"operation": {"ports": ["9000"]}}]}


def test_linkerd_names_the_callers(helm: Helm) -> None:
    objects = rendered(helm, "linkerd")
    assert set(of(objects, "Server")) == set(CLOSED)
    for name, authentication in of(objects, "MeshTLSAuthentication").items():
        callers = {identity.partition(".")[0] for identity in authentication["identities"]}
        assert callers == CLOSED[name]
        assert all(
            identity.endswith(".serviceaccount.identity.linkerd.cluster.local")
            for identity in authentication["identities"]
        )
    for name, policy in of(objects, "AuthorizationPolicy").items():
        assert policy["targetRef"] == {"group": "policy.linkerd.io", "kind": "Server", "name": name}
        assert [ref["name"] for ref in policy["requiredAuthenticationRefs"]] == [name]


@pytest.mark.parametrize("mesh", MESHES)
def test_a_named_caller_is_a_service_account_of_the_release(helm: Helm, mesh: str) -> None:
    accounts = {thing["metadata"]["name"] for thing in helm.template() if thing["kind"] == "ServiceAccount"}
    for callers in CLOSED.values():
        assert callers <= accounts
    assert rendered(helm, mesh)


@pytest.mark.parametrize("mesh", MESHES)
def test_nobody_in_between_repeats_a_request(helm: Helm, mesh: str) -> None:
    """Istio's sidecars retry unless told not to; Linkerd and ztunnel only when told to."""
    objects = rendered(helm, mesh, "--set", CANARY)
    routes = of(objects, "VirtualService")
    if mesh == "istio-sidecar":
        assert set(routes) == {
            f"platform-{name}" for name in ("payment-gateway", "risk-engine", "data-pipeline")
        }
        for route in routes.values():
            assert [http["retries"] for http in route["http"]] == [{"attempts": 0}]
    else:
        assert routes == {}
    assert "retry.linkerd.io" not in str(objects)
    assert not [
        rule for route in of(objects, "HTTPRoute").values() for rule in route["rules"] if "retry" in rule
    ]


@pytest.mark.parametrize("mesh", MESHES)
def test_a_canary_gets_its_share_and_nothing_by_accident(helm: Helm, mesh: str) -> None:
    objects = rendered(helm, mesh, "--set", CANARY)
    if mesh == "istio-sidecar":
        ways = of(objects, "VirtualService")["platform-risk-engine"]["http"][0]["route"]
        shares = {way["destination"]["host"]: way["weight"] for way in ways}
    else:
        route = of(objects, "HTTPRoute")["platform-risk-engine-split"]
        assert route["parentRefs"][0]["kind"] == "Service"
        shares = {backend["name"]: backend["weight"] for backend in route["rules"][0]["backendRefs"]}
    assert shares == {"platform-risk-engine": 95, "platform-risk-engine-canary": 5}
    canary = of(objects, "Deployment")["platform-risk-engine-api-canary"]
    container = canary["template"]["spec"]["containers"][0]
    assert container["image"] == "risk-engine:v2"
    assert container["readinessProbe"]["httpGet"]["port"] == "http"
    services = of(objects, "Service")
    labels = canary["template"]["metadata"]["labels"]
    assert services["platform-risk-engine-canary"]["selector"].items() <= labels.items()
    assert not services["platform-risk-engine"]["selector"].items() <= labels.items()
    guards = of(objects, "AuthorizationPolicy")
    assert "platform-risk-engine-api-canary" in guards, "the canary's door is as closed as the other"


def test_a_canary_without_anybody_who_splits_is_refused(helm: Helm) -> None:
    assert "global.mesh, or route.enabled" in helm.refusal("--set", CANARY)
    assert "canary.version must say" in helm.refusal("--set", "risk-engine.canary.enabled=true")


def test_callers_may_reach_the_canary(helm: Helm) -> None:
    """The policies' peers are labels: without the canary's among them its share of the requests would time out."""
    policies = of(rendered(helm, "linkerd", "--set", CANARY), "NetworkPolicy")
    to_risk = [
        peer["podSelector"]
        for rule in policies["platform-payment-gateway-api"]["egress"]
        for peer in rule.get("to", [])
        if "podSelector" in peer
        and peer["podSelector"]["matchLabels"].get("app.kubernetes.io/name") == "risk-engine"
    ]
    assert to_risk[0]["matchExpressions"][0]["values"] == ["api", "api-canary"]
    assert (
        policies["platform-risk-engine-api-canary"]["ingress"]
        == policies["platform-risk-engine-api"]["ingress"]
    )


def test_ambients_port_is_open_along_the_same_edges_and_no_other(helm: Helm) -> None:
    tunnel = {"port": 15008, "protocol": "TCP"}
    for name, policy in of(rendered(helm, "istio-ambient"), "NetworkPolicy").items():
        for rule in [*policy.get("ingress", []), *policy.get("egress", [])]:
            ports = {port["port"] for port in rule["ports"]}
            within = ports & {"http", "postgres", "redis", 8000, 8001, 8002, 8003, 5432, 6379}
            assert (tunnel in rule["ports"]) == bool(within), (name, rule)


@pytest.mark.parametrize(("mesh", "namespace"), [("linkerd", "linkerd"), ("istio-sidecar", "istio-system")])
def test_a_sidecar_reaches_its_control_plane(helm: Helm, mesh: str, namespace: str) -> None:
    policy = of(rendered(helm, mesh), "NetworkPolicy")["platform-risk-engine-relay"]
    wanted = {"kubernetes.io/metadata.name": namespace}
    assert any(
        peer.get("namespaceSelector", {}).get("matchLabels") == wanted
        for rule in policy["egress"]
        for peer in rule.get("to", [])
    )


@pytest.mark.parametrize("mesh", MESHES)
def test_a_mesh_that_is_not_installed_is_an_error_with_the_command(helm: Helm, mesh: str) -> None:
    refusal = helm.refusal("--set", f"global.mesh={mesh}")
    assert "but this cluster does not have" in refusal
    assert "install" in refusal


def test_a_mesh_that_nobody_knows_is_refused_by_name(helm: Helm) -> None:
    assert "/global/mesh" in helm.refusal("--set", "global.mesh=consul")


# --- the way in, and queues ------------------------------------------------------------------------------------------

ROUTE = "payment-gateway.route.enabled=true,payment-gateway.route.gateway.name=public"


def test_a_route_attaches_to_the_clusters_gateway(helm: Helm) -> None:
    more = "payment-gateway.route.hostnames={pay.example},payment-gateway.route.gateway.namespace=edge"
    route = of(helm.template(*HAS_ALL, "--set", f"{ROUTE},{more}"), "HTTPRoute")["platform-payment-gateway"]
    assert route["parentRefs"] == [{"name": "public", "namespace": "edge"}]
    assert route["hostnames"] == ["pay.example"]
    assert route["rules"][0]["backendRefs"] == [
        {"name": "platform-payment-gateway", "port": 8000, "weight": 100}
    ]
    assert "must name the Gateway" in helm.refusal(*HAS_ALL, "--set", "payment-gateway.route.enabled=true")
    assert "gateway.networking.k8s.io/v1" in helm.refusal("--set", ROUTE)


def test_a_route_splits_without_a_mesh(helm: Helm) -> None:
    canary = "payment-gateway.canary.enabled=true,payment-gateway.canary.version=v2"
    route = of(helm.template(*HAS_ALL, "--set", f"{ROUTE},{canary}"), "HTTPRoute")["platform-payment-gateway"]
    shares = {backend["name"]: backend["weight"] for backend in route["rules"][0]["backendRefs"]}
    assert shares == {"platform-payment-gateway": 90, "platform-payment-gateway-canary": 10}


KEDA = (*HAS_ALL, "--set", "global.keda.enabled=true")


def test_workers_are_scaled_by_their_celery_queue(helm: Helm) -> None:
    objects = helm.template(*KEDA)
    scalers = of(objects, "ScaledObject")
    assert set(scalers) == {
        f"platform-{name}-worker" for name in ("payment-gateway", "risk-engine", "data-pipeline")
    }
    for name, scaler in scalers.items():
        (trigger,) = scaler["triggers"]
        assert trigger["metadata"]["listName"] == name.removeprefix("platform-").removesuffix("-worker")
        assert trigger["metadata"]["address"] == "platform-redis.default.svc:6379"
        assert scaler["minReplicaCount"] >= 1, "the worker also runs the schedule"
        assert "replicas" not in of(objects, "Deployment")[name]
        login = of(objects, "TriggerAuthentication")[trigger["authenticationRef"]["name"]]
        assert login["secretTargetRef"] == [
            {"parameter": "password", "name": "platform-credentials", "key": "redis_password"}
        ]


def test_the_queue_is_the_one_that_the_worker_reads(helm: Helm) -> None:
    from data_pipeline.settings import Settings as PipelineSettings
    from data_pipeline.worker import celery_app as pipeline
    from payment_gateway.settings import Settings as GatewaySettings
    from payment_gateway.worker import celery_app as gateway
    from risk_engine.settings import Settings as RiskSettings
    from risk_engine.worker import create_worker as risk

    named = {
        "platform-payment-gateway-worker": gateway(GatewaySettings()).conf.task_default_queue,
        "platform-risk-engine-worker": risk(RiskSettings()).conf.task_default_queue,
        "platform-data-pipeline-worker": pipeline(PipelineSettings()).conf.task_default_queue,
    }
    asked = {
        name: scaler["triggers"][0]["metadata"]["listName"]
        for name, scaler in of(helm.template(*KEDA), "ScaledObject").items()
    }
    assert asked == named


def test_keda_may_read_redis_and_nothing_else(helm: Helm) -> None:
    policies = of(helm.template(*KEDA), "NetworkPolicy")
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "keda"}}}
    admitting = [name for name, policy in policies.items() if peer in str_peers(policy)]
    assert admitting == ["platform-redis"]


def str_peers(policy: Any) -> list[Any]:
    return [peer for rule in policy.get("ingress", []) for peer in rule.get("from", [])]


def test_two_autoscalers_for_one_process_are_refused(helm: Helm) -> None:
    both = "payment-gateway.processes.worker.autoscaling.enabled=true"
    more = ",".join(
        f"payment-gateway.processes.worker.autoscaling.{key}"
        for key in (
            "minReplicas=1",
            "maxReplicas=2",
            "cpuUtilization=50",
            "memory=1Gi",
            "scaleDownAfterSeconds=60",
        )
    )
    assert "two would pull at one Deployment" in helm.refusal(*KEDA, "--set", f"{both},{more}")


def test_without_keda_the_workers_have_their_number(helm: Helm) -> None:
    assert of(helm.template(), "Deployment")["platform-risk-engine-worker"]["replicas"] == 1
    assert "does not have keda.sh/v1alpha1" in helm.refusal("--set", "global.keda.enabled=true")
