"""Settings and secrets that change while payments go on. Level: cluster (one node), in a namespace of its own."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.kind.conftest import Merchant
from tests.kind.till import Till

if TYPE_CHECKING:
    from tests.kind.conftest import Cluster

pytestmark = [pytest.mark.kind, pytest.mark.timeout(420)]

NAMESPACE = "settings"
# Ports of its own on the node, which is reached by its address: another release may have the usual ones.
GATEWAY_PORT, CONSOLE_PORT = 30090, 30091
VALUES = (
    f"backup.enabled=false,payment-gateway.service.nodePort={GATEWAY_PORT},"
    f"data-pipeline.service.nodePort={CONSOLE_PORT}"
)
HELM = ("./umbrella-chart", "--namespace", NAMESPACE, "--wait", "--timeout", "4m", "--set", VALUES)
METRICS = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9000/metrics').read().decode())"
KEY = "payments_app_password"


def to(channel: str) -> dict[str, Any]:
    """Routing rules that send every card to one channel."""
    return {
        "payment-gateway": {
            "routing": {
                "channels": {"card_sim": {"methods": ["card"]}, "card_sim_2": {"methods": ["card"]}},
                "rules": [{"name": f"all to {channel}", "channels": [channel]}],
            }
        }
    }


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """A values file for the rules that send every card to `channel`."""

    def write(channel: str) -> str:
        file = tmp_path_factory.mktemp("values") / f"{channel}.yaml"
        file.write_text(yaml.safe_dump(to(channel)))
        return str(file)

    return write


@pytest.fixture(scope="module")
def shop(cluster: Cluster, values: Callable[[str], str]) -> Iterator[Merchant]:
    """A merchant of a release whose gateway is at the node port."""
    cluster.run("kubectl", "create", "namespace", NAMESPACE)
    try:
        cluster.run("helm", "install", "platform", *HELM, "--values", values("card_sim"))
        secret = cluster.core.read_namespaced_secret("platform-credentials", NAMESPACE).data
        addresses = cluster.core.list_node().items[0].status.addresses
        node = next(address.address for address in addresses if address.type == "InternalIP")
        admin = Merchant(f"http://{node}:{GATEWAY_PORT}", base64.b64decode(secret["admin_api_key"]).decode())
        until("the node port leads to the gateway", lambda: _answers(admin))
        status, made, _ = admin.call("POST", "/v1/merchants", {"name": "Settings Shop", "country": "NL"})
        assert status == 201, made
        yield Merchant(admin.gateway_url, made["api_key"])
    finally:
        cluster.run(
            "helm", "uninstall", "platform", "--namespace", NAMESPACE, "--wait"
        )  # frees the node ports
        cluster.run("kubectl", "delete", "namespace", NAMESPACE, "--wait=false")


def kubectl(cluster: Cluster, *args: str) -> str:
    return cluster.run("kubectl", "--namespace", NAMESPACE, *args)


def pods(cluster: Cluster) -> set[str]:
    found = json.loads(kubectl(cluster, "get", "pods", "--output", "json"))["items"]
    return {
        pod["metadata"]["uid"]
        for pod in found
        if pod["metadata"]["labels"].get("app.kubernetes.io/component") != "migrate"
    }


def until(what: str, reached: Callable[[], bool], within_s: float = 150) -> float:
    """Seconds until it is so."""
    began = time.monotonic()
    while not reached():
        assert time.monotonic() - began < within_s, f"not within {within_s} s: {what}"
        time.sleep(1)
    return time.monotonic() - began


def channel_of(shop: Merchant, key: str) -> str:
    status, payment, _ = shop.pay(key)
    assert status == 201, payment
    return str(payment["channel"])


@pytest.mark.proof("configuration", "a changed routing rule reaches the running pods and restarts none")
def test_a_changed_rule_reaches_the_running_pods_and_restarts_none(
    cluster: Cluster, shop: Merchant, values: Callable[[str], str]
) -> None:
    assert channel_of(shop, "first") == "card_sim"
    before = pods(cluster)
    cluster.run("helm", "upgrade", "platform", *HELM, "--values", values("card_sim_2"))
    numbers = iter(range(1000))
    seconds = until(
        "card_sim_2 takes cards", lambda: channel_of(shop, f"wait-{next(numbers)}") == "card_sim_2"
    )
    cluster.seconds["routing rules: helm upgrade to the first payment by them"] = round(seconds, 1)
    assert pods(cluster) == before


@pytest.mark.proof("configuration", "a wrong routing file changes nothing and says so")
def test_a_wrong_file_changes_nothing_and_says_so(cluster: Cluster, shop: Merchant) -> None:
    wrong = json.dumps({"data": {"routing.toml": "rules = 'none'\n"}})
    kubectl(
        cluster,
        *("patch", "configmap", "platform-payment-gateway-live", "--type=merge"),
        f"--patch={wrong}",
    )

    def refused() -> bool:
        metrics = kubectl(
            cluster, "exec", "deployment/platform-payment-gateway-api", "--", "python", "-c", METRICS
        )
        return "routing_rules_refused 1.0" in metrics

    until("the gauge says that the file is refused", refused)
    assert channel_of(shop, "after-the-wrong-file") == "card_sim_2"


@pytest.mark.proof("configuration", "a setting of the environment rolls its service and no other")
def test_a_setting_of_the_environment_rolls_its_service_and_no_other(
    cluster: Cluster, shop: Merchant
) -> None:
    def names() -> set[str]:
        found = json.loads(kubectl(cluster, "get", "pods", "--output", "json"))["items"]
        return {pod["metadata"]["name"] for pod in found if "risk-engine" not in pod["metadata"]["name"]}

    before = names()
    # The hand's edit of the test before is a conflict under server-side apply; the chart's word counts.
    setting = (
        "--reset-then-reuse-values",
        "--force-conflicts",
        "--set",
        "risk-engine.config.LOG_LEVEL=DEBUG",
    )
    cluster.run("helm", "upgrade", "platform", *HELM, *setting)
    shown = kubectl(cluster, "exec", "deployment/platform-risk-engine-api", "--", "printenv", "LOG_LEVEL")
    assert shown.strip() == "DEBUG"
    assert names() == before


def test_a_database_password_is_rotated_while_payments_go_on(cluster: Cluster, shop: Merchant) -> None:
    """The steps of docs/kubernetes/secrets.md. Sessions that are open live on; new ones come with the new password."""
    old = base64.b64decode(
        cluster.core.read_namespaced_secret("platform-credentials", NAMESPACE).data[KEY]
    ).decode()
    new = secrets.token_hex(20)
    with Till(shop, "rotation") as till:
        patch = json.dumps({"stringData": {KEY: new}})
        kubectl(cluster, "patch", "secret", "platform-credentials", "--type=merge", f"--patch={patch}")
        mounted = ("exec", "platform-postgres-0", "--", "cat", f"/run/secrets/platform/{KEY}")
        cluster.seconds["a patched Secret in the pods"] = round(
            until("the file in the pod is new", lambda: kubectl(cluster, *mounted) == new), 1
        )
        kubectl(cluster, "exec", "platform-postgres-0", "--", "sh", "/etc/platform/apply-roles.sh")
        kubectl(
            cluster,
            "rollout",
            "restart",
            "deployment",
            "--selector",
            "app.kubernetes.io/name=payment-gateway",
        )
        for process in ("api", "worker", "relay"):
            kubectl(
                cluster,
                "rollout",
                "status",
                f"deployment/platform-payment-gateway-{process}",
                "--timeout=120s",
            )
        time.sleep(2)
    assert till.failed == {}
    assert len(till.acknowledged) > 50
    assert _logs_in(cluster, new)
    assert not _logs_in(cluster, old), "the old password must be worth nothing"


def _answers(admin: Merchant) -> bool:
    try:
        return admin.call("GET", "/version")[0] == 200
    except OSError:
        return False


LOG_IN = """
import asyncio, asyncpg, sys
async def main():
    try:
        await asyncpg.connect(host="platform-postgres", user="payments_app", password=sys.argv[1], database="platform")
        print("in")
    except asyncpg.InvalidPasswordError:
        print("refused")
asyncio.run(main())
"""


def _logs_in(cluster: Cluster, password: str) -> bool:
    """Over the network, from a pod that may: on the server's own loopback nobody is asked for a password."""
    pod = ("exec", "deployment/platform-payment-gateway-relay", "--", "python", "-c", LOG_IN, password)
    return kubectl(cluster, *pod).strip() == "in"
