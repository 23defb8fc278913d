"""Helm 3 renders the same objects as Helm 4, takes and refuses the same values, and finds nothing to complain about.

So whatever the other tests say of the objects holds for both. `make charts-helm3` runs all of them with Helm 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.charts.conftest import PROFILES, UMBRELLA, Helm, found_helm

if TYPE_CHECKING:
    from tests.charts.conftest import Object


@pytest.fixture(scope="module")
def helm_3() -> Helm:
    return found_helm("3")


@pytest.fixture(scope="module")
def helm_4() -> Helm:
    return found_helm("4")


def by_name(objects: list[Object]) -> dict[tuple[str, str], Any]:
    return {(thing["kind"], thing["metadata"]["name"]): thing for thing in objects}


def test_the_two_are_two(helm_3: Helm, helm_4: Helm) -> None:
    assert helm_3.run("version", "--short").stdout.startswith("v3.")
    assert helm_4.run("version", "--short").stdout.startswith("v4.")


@pytest.mark.parametrize("profile", PROFILES)
def test_both_render_the_same_objects(helm_3: Helm, helm_4: Helm, profile: str) -> None:
    assert by_name(helm_3.template(*PROFILES[profile])) == by_name(helm_4.template(*PROFILES[profile]))


def test_helm_3_finds_nothing_to_complain_about(helm_3: Helm) -> None:
    linted = helm_3.run("lint", "--strict", str(UMBRELLA))
    assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("app.version=v2", "app"),
        ("payment-gateway.processes.api.replica=2", "replica"),
        ("global.mesh=consul", "mesh"),
        ("payment-gateway.routing.epsilon=2", "epsilon"),
    ],
)
def test_helm_3_refuses_a_typo_by_name(helm_3: Helm, value: str, named: str) -> None:
    assert named in helm_3.refusal("--set", value)


def test_a_clean_clone_needs_no_dependency_build_with_helm_3_either(helm_3: Helm) -> None:
    listed = helm_3.run("dependency", "list", str(UMBRELLA))
    assert "WARNING" not in listed.stdout + listed.stderr
    assert "missing" not in listed.stdout
