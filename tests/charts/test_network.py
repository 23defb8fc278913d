"""The NetworkPolicies as a graph: who can open a connection to whom, and nothing else can."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.charts.conftest import Helm, Object

# caller -> what it may call. Written by hand: the test's point is that the charts say the same.
DATA = {"postgres", "redis"}
EDGES: dict[str, set[str]] = {
    "payment-gateway-api": DATA | {"risk-engine-api", "channels"},
    "payment-gateway-worker": DATA | {"risk-engine-api", "channels"},
    "payment-gateway-relay": DATA,
    "channels": {"payment-gateway-api"},
    "risk-engine-api": DATA,
    "risk-engine-worker": DATA,
    "risk-engine-consumer": DATA | {"payment-gateway-api"},
    "risk-engine-relay": DATA,
    "data-pipeline-api": DATA | {"payment-gateway-api", "risk-engine-api", "channels"},
    "data-pipeline-worker": DATA | {"payment-gateway-api", "risk-engine-api", "channels"},
    "data-pipeline-consumer": DATA | {"payment-gateway-api", "risk-engine-api"},
    "payment-gateway-migrate": {"postgres"},
    "risk-engine-migrate": {"postgres"},
    "data-pipeline-migrate": {"postgres"},
    "first-payment": {"payment-gateway-api"},
    "backup": {"postgres"},
    "backup-first": {"postgres"},
    "backup-restore": {"postgres"},
    "backup-drill": set(),
    "postgres": set(),
    "redis": set(),
}
PUBLIC = {"payment-gateway-api", "data-pipeline-api"}
REACH_THE_INTERNET = {"payment-gateway-worker"}


class Graph:
    """What Kubernetes allows: both ends must have a rule, and a pod that any policy selects has only its rules."""

    def __init__(self, objects: list[Object]) -> None:
        self.policies = [thing["spec"] for thing in objects if thing["kind"] == "NetworkPolicy"]
        self.pods: dict[str, tuple[dict[str, str], dict[str, int]]] = {}
        for thing in objects:
            if thing["kind"] in ("Deployment", "StatefulSet", "Job", "CronJob", "Pod"):
                owner = thing["spec"]["jobTemplate"] if thing["kind"] == "CronJob" else thing
                template = thing if thing["kind"] == "Pod" else owner["spec"]["template"]
                name = re.sub(
                    r"^platform-|(?:(?<=-migrate)|(?<=-first))-\w{10}$", "", thing["metadata"]["name"]
                )
                ports = {
                    p["name"]: p["containerPort"]
                    for c in template["spec"]["containers"]
                    for p in c.get("ports", [])
                }
                self.pods[name] = (template["metadata"]["labels"], ports)

    def edges(self) -> set[tuple[str, str]]:
        return {
            (source, target)
            for source in self.pods
            for target, (_, ports) in self.pods.items()
            for port in ports.items()
            if port[0] != "ops" and source != target and self.allows(source, target, port)
        }

    def allows(self, source: str, target: str, port: tuple[str, int]) -> bool:
        return self._lets("Egress", "to", source, self.pods[target][0], port) and self._lets(
            "Ingress", "from", target, self.pods[source][0], port
        )

    def _lets(self, kind: str, end: str, name: str, peer: dict[str, str], port: tuple[str, int]) -> bool:
        labels = self.pods[name][0]
        selecting = [p for p in self.policies if p["podSelector"]["matchLabels"].items() <= labels.items()]
        assert selecting, f"{name} is isolated by no policy"
        rules = [rule for policy in selecting for rule in policy.get(kind.lower(), [])]
        return any(self._port_fits(rule, port) and self._peer_fits(rule.get(end), peer) for rule in rules)

    @staticmethod
    def _port_fits(rule: Any, port: tuple[str, int]) -> bool:
        return "ports" not in rule or any(allowed["port"] in port for allowed in rule["ports"])

    @staticmethod
    def _peer_fits(peers: Any, labels: dict[str, str]) -> bool:
        if peers is None:
            return True
        return any(
            "namespaceSelector" not in peer
            and "ipBlock" not in peer
            and peer["podSelector"]["matchLabels"].items() <= labels.items()
            for peer in peers
        )


def test_exactly_the_wanted_connections_are_open(helm: Helm) -> None:
    graph = Graph(helm.template())
    assert set(graph.pods) == set(EDGES)
    wanted = {(source, target) for source, targets in EDGES.items() for target in targets}
    public = {(source, target) for source, target in graph.edges() if target in PUBLIC}
    assert {edge for edge in graph.edges() if edge[1] not in PUBLIC} | {
        e for e in public if e in wanted
    } == wanted


def test_every_rule_that_opens_a_door_has_someone_on_the_other_side(helm: Helm) -> None:
    """An ingress rule for which no caller has the egress is a leftover, and the other way round."""
    graph = Graph(helm.template())
    for name, (labels, _) in graph.pods.items():
        callers = {source for source, target in graph.edges() if target == name}
        for policy in graph.policies:
            if policy["podSelector"]["matchLabels"].items() <= labels.items():
                for rule in policy.get("ingress", []):
                    for peer in rule.get("from", []):
                        wanted = peer["podSelector"]["matchLabels"].items()
                        assert any(wanted <= graph.pods[caller][0].items() for caller in callers), (
                            name,
                            peer,
                        )


def test_everyone_who_calls_resolves_names(helm: Helm) -> None:
    for thing in helm.template():
        if thing["kind"] == "NetworkPolicy" and thing["spec"].get("egress"):
            ports = [port for rule in thing["spec"]["egress"] for port in rule["ports"]]
            assert {"port": 53, "protocol": "UDP"} in ports, thing["metadata"]["name"]
            assert {"port": 53, "protocol": "TCP"} in ports, thing["metadata"]["name"]


def test_only_webhook_delivery_leaves_the_cluster_and_to_public_addresses_only(helm: Helm) -> None:
    """A URL that a merchant gives must not reach what is inside: private and link-local ranges are excluded."""
    leaving = {}
    for thing in helm.template():
        if thing["kind"] == "NetworkPolicy":
            for rule in thing["spec"].get("egress", []):
                for peer in rule.get("to", [{}]):
                    if "podSelector" not in peer:
                        leaving[thing["metadata"]["name"].removeprefix("platform-")] = peer
    assert set(leaving) == REACH_THE_INTERNET
    blocked = set(leaving["payment-gateway-worker"]["ipBlock"]["except"])
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8"} <= blocked


def test_the_release_denies_by_default_and_touches_no_other_workload(helm: Helm) -> None:
    objects = helm.template()
    deny = next(thing["spec"] for thing in objects if thing["metadata"]["name"] == "platform-default-deny")
    assert "ingress" not in deny
    assert "egress" not in deny
    graph = Graph(objects)
    assert deny["podSelector"]["matchLabels"]["app.kubernetes.io/instance"] == "platform"
    for name, (labels, _) in graph.pods.items():
        assert deny["podSelector"]["matchLabels"].items() <= labels.items(), name


def test_metrics_are_read_by_whom_the_values_name(helm: Helm) -> None:
    peer = "global.networkPolicy.scrapeFrom[0].namespaceSelector.matchLabels.team=monitoring"
    for thing in helm.template("--set", peer):
        name = thing["metadata"]["name"]
        if thing["kind"] == "NetworkPolicy" and re.search(r"-(api|worker|relay|consumer|channels)$", name):
            assert any(rule["ports"][0]["port"] == "ops" for rule in thing["spec"]["ingress"]), name


def test_policies_can_be_left_to_the_platform_team(helm: Helm) -> None:
    kinds = {thing["kind"] for thing in helm.template("--set", "global.networkPolicy.enabled=false")}
    assert "NetworkPolicy" not in kinds


def test_with_external_servers_their_ports_are_open(helm: Helm) -> None:
    outside = "global.database.host=db.example.com,global.database.port=6432,postgres.enabled=false"
    for thing in helm.template("--set", outside):
        if thing["kind"] == "NetworkPolicy" and thing["metadata"]["name"] == "platform-risk-engine-api":
            ports = [port["port"] for rule in thing["spec"]["egress"] for port in rule["ports"]]
            assert 6432 in ports
            assert 5432 not in ports


def _rules_of(objects: list[Object], name: str) -> list[dict[str, Any]]:
    (policy,) = (
        thing["spec"]
        for thing in objects
        if thing["kind"] == "NetworkPolicy" and thing["metadata"]["name"] == f"platform-{name}"
    )
    return list(policy["egress"])


def _simulators(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        rule
        for rule in rules
        for peer in rule.get("to", [])
        if peer.get("podSelector", {}).get("matchLabels", {}).get("app.kubernetes.io/component") == "channels"
    ]


REAL = (
    "--set=payment-gateway.simulators.enabled=false",
    "--set=payment-gateway.channels.cardUrl=https://cards.example:8443",
    "--set=payment-gateway.channels.walletUrl=https://wallets.example",
    "--set=data-pipeline.channels.url=http://files.example:8080",
)


def test_real_channels_are_reached_on_their_own_ports_at_public_addresses(helm: Helm) -> None:
    objects = helm.template(*REAL)
    for name, ports in (
        ("payment-gateway-api", [443, 8443]),
        ("data-pipeline-worker", [8080]),
        ("data-pipeline-api", [8080]),
    ):
        rules = _rules_of(objects, name)
        (open_,) = (rule for rule in rules if rule.get("to", [{}])[0].get("ipBlock"))
        assert [port["port"] for port in open_["ports"]] == ports
        assert "10.0.0.0/8" in open_["to"][0]["ipBlock"]["except"]
        assert not _simulators(rules), name


def test_real_channels_at_addresses_of_ours_are_named(helm: Helm) -> None:
    within = [{"ipBlock": {"cidr": "10.4.0.0/16"}}]
    objects = helm.template(
        *REAL,
        "--set-json",
        f"payment-gateway.channels.peers={json.dumps(within)}",
        "--set-json",
        f"data-pipeline.channels.peers={json.dumps(within)}",
    )
    for name in ("payment-gateway-api", "data-pipeline-worker"):
        blocks = [rule["to"] for rule in _rules_of(objects, name) if "ipBlock" in rule.get("to", [{}])[0]]
        assert blocks == [within], name


def test_one_real_channel_beside_the_simulators_opens_both_ways(helm: Helm) -> None:
    rules = _rules_of(
        helm.template("--set=payment-gateway.channels.bankUrl=https://bank.example"), "payment-gateway-api"
    )
    assert _simulators(rules)
    assert [rule["ports"] for rule in rules if rule.get("to", [{}])[0].get("ipBlock")] == [
        [{"port": 443, "protocol": "TCP"}]
    ]


def test_the_bucket_of_exports_and_archive_is_reached_by_those_who_use_it(helm: Helm) -> None:
    options = [
        f"--set=data-pipeline.files.{part}"
        for part in ("kind=s3", "s3.bucket=history", "s3.endpoint=http://minio.storage:9000")
    ]
    objects = helm.template(*options)
    for name, is_open in (
        ("data-pipeline-api", True),
        ("data-pipeline-worker", True),
        ("data-pipeline-consumer", False),
    ):
        ports = [port["port"] for rule in _rules_of(objects, name) for port in rule["ports"]]
        assert (9000 in ports) == is_open, name
