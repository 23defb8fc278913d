"""Settings that reach running pods: files in a folder, no part of the checksum, and what the gateway makes of them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from payment_gateway.domain.routing_rules import parse_rules

if TYPE_CHECKING:
    from tests.charts.conftest import Helm, Object

ROOT = Path(__file__).resolve().parents[2]
PACKAGED = ROOT / "services" / "payment-gateway" / "src" / "payment_gateway" / "routing.toml"
EVERYTHING: dict[str, Any] = {
    "epsilon": 0.1,
    "retry": {"budget": 2, "soft_declines": ["processing_error"]},
    "channels": {
        "card_sim": {
            "methods": ["card"],
            "currencies": ["EUR", "USD"],
            "holds": False,
            "fee": {"basis_points": 140, "fixed_minor": {"0": 30, "2": 25}},
        },
        "card_sim_2": {"methods": ["card"]},
    },
    "rules": [
        {
            "name": 'large "ones" & others <>',
            "when": {
                "methods": ["card"],
                "currencies": ["EUR"],
                "merchants": ["mer_1"],
                "amount_from": 5_000_000_000,
            },
            "channels": ["card_sim", "card_sim_2"],
            "by": "split",
            "split": {"card_sim": 80, "card_sim_2": 20},
        },
        {"name": "rest", "when": {"amount_to": 100}, "channels": ["card_sim"]},
    ],
}


def rendered(helm: Helm, tmp_path: Path, routing: dict[str, Any]) -> list[Object]:
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump({"payment-gateway": {"routing": routing}}))
    return helm.template("--values", str(values))


def live_file(objects: list[Object]) -> dict[str, Any]:
    text = next(thing for thing in objects if thing["metadata"]["name"] == "platform-payment-gateway-live")
    return tomllib.loads(text["data"]["routing.toml"])


def test_the_file_says_what_the_values_say_and_the_gateway_takes_it(helm: Helm, tmp_path: Path) -> None:
    found = live_file(rendered(helm, tmp_path, EVERYTHING))
    assert found == EVERYTHING
    assert parse_rules(found).rules[0].amount_from == 5_000_000_000


def test_the_packages_rules_as_values_are_the_packages_rules(helm: Helm, tmp_path: Path) -> None:
    packaged = tomllib.loads(PACKAGED.read_text())
    found = live_file(rendered(helm, tmp_path, packaged))
    assert parse_rules(found).digest == parse_rules(packaged).digest


def test_a_changed_rule_rolls_no_pod(helm: Helm, tmp_path: Path) -> None:
    other = {**EVERYTHING, "epsilon": 0.2}
    before, after = (
        {
            thing["metadata"]["name"]: thing
            for thing in rendered(helm, tmp_path, routing)
            if thing["kind"] == "Deployment"
        }
        for routing in (EVERYTHING, other)
    )
    assert before == after


def test_the_file_is_mounted_as_a_folder(helm: Helm, tmp_path: Path) -> None:
    """A ConfigMap that is mounted by subPath never changes in a running pod."""
    for thing in rendered(helm, tmp_path, EVERYTHING):
        name = thing["metadata"]["name"]
        if thing["kind"] == "Deployment":
            container = thing["spec"]["template"]["spec"]["containers"][0]
            live = [mount for mount in container["volumeMounts"] if mount["name"] == "live"]
            assert [mount["mountPath"] for mount in live] == (
                ["/etc/platform/live"] if "payment-gateway" in name else []
            ), name
            assert all("subPath" not in mount for mount in container["volumeMounts"])


def test_without_rules_there_is_no_file(helm: Helm) -> None:
    objects = helm.template()
    assert not [thing for thing in objects if thing["metadata"]["name"].endswith("-live")]
    settings = next(
        thing
        for thing in objects
        if thing["metadata"]["name"] == "platform-payment-gateway" and thing["kind"] == "ConfigMap"
    )
    assert "ROUTING_FILE" not in settings["data"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"epsilom": 0.1}, "epsilom"),
        ({"retry": {"budget": 1.5}}, "/routing/retry/budget"),
        ({"channels": {"Card": {"methods": ["card"]}}}, "'Card' does not match"),
        ({"channels": {"card": {"methods": ["cash"]}}}, "/routing/channels/card/methods"),
        ({"rules": [{"name": "x", "channels": ["card"], "by": "price"}]}, "/routing/rules/0/by"),
        ({"rules": []}, "/routing/rules"),
    ],
    ids=lambda change: str(change)[:40],
)
def test_a_wrong_rule_is_refused_by_name(
    helm: Helm, tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump({"payment-gateway": {"routing": EVERYTHING | change}}))
    assert named in helm.refusal("--values", str(values))
