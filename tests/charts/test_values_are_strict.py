"""A typo in a value is refused at install time, and the refusal names the key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from tests.charts.conftest import Helm

ROOT = Path(__file__).resolve().parents[2]
UMBRELLA = ROOT / "umbrella-chart"


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("app.version=v2", "'app'"),
        ("gloabl.app.version=v2", "'gloabl'"),
        ("global.app.verison=v2", "'verison'"),
        ("global.secrets.mode=rotate", "/global/secrets/mode"),
        ("global.database.port=none", "/global/database/port"),
        ("payment-gateway.processes.api.replica=2", "'replica'"),
        ("payment-gateway.processes.wroker.replicas=2", "'wroker'"),
        ("payment-gateway.processes.api.resources.requests.memroy=1Gi", "'memroy'"),
        (
            "payment-gateway.processes.api.resources.requests.memory=1GB",
            "/processes/api/resources/requests/memory",
        ),
        ("payment-gateway.simulators.enable=false", "'enable'"),
        ("payment-gateway.app.digest.sha256=abc", "/app/digest/sha256"),
        ("payment-gateway.config.log_level=DEBUG", "log_level"),
        ("risk-engine.simulators.enabled=false", "'simulators'"),
        ("risk-engine.processes.relay.reaches={postgress}", "/processes/relay/reaches"),
        ("data-pipeline.service.nodePort=8081", "/service/nodePort"),
        ("data-pipeline.database.shcema=x", "'shcema'"),
        ("postgres.storage.sise=1Gi", "'sise'"),
        ("postgres.image.tag=17", "'tag'"),
        ("global.database.version=latest", "/global/database/version"),
        ("backup.schedule=daily", "/schedule"),
        ("backup.target.kind=ftp", "/target/kind"),
        ("backup.target.s3.buckte=x", "'buckte'"),
        ("redis.maxmemory=64mb", "'maxmemory'"),
        ("rbac.viewer=x", "'viewer'"),
        ("rbac.viewers[0].kind=Team", "/rbac/viewers/0/kind"),
        ("notes.gatewayURL=x", "'gatewayURL'"),
        ("loadgen.enabled=true,loadgen.profil=spike", "'profil'"),
        ("loadgen.enabled=true,loadgen.profile=spkie", "/profile"),
    ],
)
def test_a_typo_is_refused_by_name(helm: Helm, value: str, named: str) -> None:
    assert named in helm.refusal("--set", value)


def test_a_switched_off_subchart_needs_no_values(helm: Helm) -> None:
    assert helm.template("--set", "postgres.enabled=false,redis.enabled=false")


CHARTS = [UMBRELLA, *sorted(path.parent for path in (UMBRELLA / "charts").glob("*/values.yaml"))]


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_schema_and_values_have_the_same_keys(chart: Path) -> None:
    """A key that is only in the schema is not documented; one that is only in the values would be refused."""
    schema = json.loads((chart / "values.schema.json").read_text())
    values = yaml.safe_load((chart / "values.yaml").read_text())
    given_by_helm = {
        "global",
        "enabled",
        "platform-service",
    }  # from the umbrella, its condition, the nested library
    if chart == UMBRELLA:
        given_by_helm = set()
    unlisted = sorted(_unlisted(schema, schema, values))
    assert unlisted == []
    assert set(schema["properties"]) - set(values) - given_by_helm == set()


@pytest.mark.parametrize("chart", CHARTS, ids=lambda chart: chart.name)
def test_every_object_in_the_schema_is_closed(chart: Path) -> None:
    schema = json.loads((chart / "values.schema.json").read_text())
    subcharts = {
        f"properties.{name}"
        for name in (
            "payment-gateway",
            "risk-engine",
            "data-pipeline",
            "postgres",
            "redis",
            "backup",
            "loadgen",
        )
    }
    free = {
        "properties.platform-service",
        *subcharts,
    }  # Helm's own, and what a subchart's own schema validates
    assert [path for path in _open_objects(schema) if path not in free] == []


def _unlisted(root: dict[str, Any], schema: dict[str, Any], value: Any, path: str = "") -> list[str]:
    schema = _resolved(root, schema)
    if not isinstance(value, dict) or "additionalProperties" not in schema:
        return []
    if schema["additionalProperties"] is not False:
        return []
    found = []
    for key, inner in value.items():
        if key not in schema["properties"]:
            found.append(f"{path}/{key}")
        else:
            found += _unlisted(root, schema["properties"][key], inner, f"{path}/{key}")
    return found


def _resolved(root: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref", "")
    return root["$defs"][reference.removeprefix("#/$defs/")] if reference else schema


def _open_objects(schema: Any, path: str = "") -> list[str]:
    """Paths of object schemas that take any key: neither closed nor with a rule for every key."""
    if isinstance(schema, list):
        return [
            found for number, item in enumerate(schema) for found in _open_objects(item, f"{path}.{number}")
        ]
    if not isinstance(schema, dict):
        return []
    found = []
    if schema.get("type") == "object" and "additionalProperties" not in schema and not path.endswith("items"):
        found.append(path)
    for key, inner in schema.items():
        found += _open_objects(inner, f"{path}.{key}" if path else key)
    return found
