"""Every object of an operator's kind, of every profile, against that operator's own schema.

The schemas come out of Go modules at test time (tools/kind/fetch_crds.py). Linkerd publishes none in such a form: its
three kinds are checked by shape in test_mesh.py.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from tests.charts.conftest import OPTIONS
from tests.charts.custom_resources import problems, schemas
from tests.charts.test_renders import is_custom

if TYPE_CHECKING:
    from tests.charts.conftest import Helm, Object

WITHOUT_SCHEMA = "policy.linkerd.io/"
KINDS = {
    "ExternalSecret",
    "HTTPRoute",
    "ScaledObject",
    "TriggerAuthentication",
    "ServiceMonitor",
    "PrometheusRule",
    "PeerAuthentication",
    "AuthorizationPolicy",
    "VirtualService",
}


@pytest.fixture(scope="module", autouse=True)
def _schemas_are_there() -> None:
    if isinstance(reason := schemas(), str):
        pytest.skip(f"CUSTOM RESOURCES NOT VALIDATED: {reason}")


def custom(objects: list[Object]) -> list[Object]:
    return [t for t in objects if is_custom(t) and not t["apiVersion"].startswith(WITHOUT_SCHEMA)]


def test_every_object_fits_its_operators_schema(objects: list[Object]) -> None:
    for thing in custom(objects):
        assert problems(thing) == [], f"{thing['kind']} {thing['metadata']['name']}"


def test_every_kind_that_the_charts_can_render_is_among_them(helm: Helm) -> None:
    found = {
        thing["kind"]
        for mesh in ("istio-ambient", "istio-sidecar")
        for thing in custom(helm.template(*OPTIONS, "--set", f"global.mesh={mesh}"))
    }
    assert found == KINDS


def _somewhere(thing: Any, key: str) -> bool:
    """Rename the first field called `key`, wherever it is."""
    if isinstance(thing, dict):
        if key in thing:
            thing[f"{key}x"] = thing.pop(key)
            return True
        return any(_somewhere(inner, key) for inner in thing.values())
    return isinstance(thing, list) and any(_somewhere(inner, key) for inner in thing)


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        ("ExternalSecret", "secretKey"),
        ("HTTPRoute", "backendRefs"),
        ("ScaledObject", "maxReplicaCount"),
        ("TriggerAuthentication", "parameter"),
        ("ServiceMonitor", "endpoints"),
        ("PrometheusRule", "expr"),
        ("PeerAuthentication", "mtls"),
        ("AuthorizationPolicy", "principals"),
        ("VirtualService", "retries"),
    ],
)
def test_a_misspelt_field_would_be_found(helm: Helm, kind: str, field: str) -> None:
    objects = custom(helm.template(*OPTIONS, "--set", "global.mesh=istio-sidecar"))
    broken = copy.deepcopy(next(thing for thing in objects if thing["kind"] == kind))
    assert _somewhere(broken["spec"], field)
    assert problems(broken)
