"""Which version runs: one value for all services or one for each, visible in the image, a label and the environment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from tests.charts.conftest import Helm, Object

ROOT = Path(__file__).resolve().parents[2]
DIGEST = "ab" * 32


def images(objects: list[Object]) -> dict[str, str]:
    """Image by name of each Deployment and Job of ours."""
    return {
        thing["metadata"]["name"]: thing["spec"]["template"]["spec"]["containers"][0]["image"]
        for thing in objects
        if thing["kind"] in ("Deployment", "Job") and "backup" not in thing["metadata"]["name"]
    }


def test_the_global_version_reaches_every_service(helm: Helm) -> None:
    found = images(helm.template("--set", "global.app.version=v2"))
    assert len(found) == 13
    assert {image.split(":")[1] for image in found.values()} == {"v2"}


def test_a_service_may_have_a_version_of_its_own(helm: Helm) -> None:
    found = images(helm.template("--set", "global.app.version=v2", "--set", "risk-engine.app.version=v3"))
    assert {image for name, image in found.items() if "risk-engine" in name} == {"risk-engine:v3"}
    assert {image for name, image in found.items() if "data-pipeline" in name} == {"data-pipeline:v2"}


def test_without_a_version_the_chart_says_which(helm: Helm) -> None:
    version = yaml.safe_load((ROOT / "umbrella-chart" / "charts" / "risk-engine" / "Chart.yaml").read_text())[
        "appVersion"
    ]
    assert f"risk-engine:{version}" in images(helm.template()).values()


def test_a_subchart_alone_takes_app_version(helm: Helm) -> None:
    objects = helm.template(
        "--set", "app.version=v2", chart=ROOT / "charts" / "payment-gateway", release="pg"
    )
    assert set(images(objects).values()) == {"payment-gateway:v2"}


def test_the_version_is_seen_on_the_pod_and_by_the_process(helm: Helm) -> None:
    for thing in helm.template("--set", "global.app.version=v2"):
        if thing["kind"] == "Deployment":
            pod = thing["spec"]["template"]
            assert pod["metadata"]["labels"]["app.kubernetes.io/version"] == "v2"
            assert {"name": "APP_VERSION", "value": "v2"} in pod["spec"]["containers"][0]["env"]


def test_a_digest_is_pinned_beside_its_version(helm: Helm) -> None:
    pinned = ("--set", f"risk-engine.app.digest.sha256={DIGEST},risk-engine.app.digest.version=v2")
    found = images(helm.template("--set", "global.app.version=v2", *pinned))
    assert f"risk-engine:v2@sha256:{DIGEST}" in found.values()


def test_a_digest_of_another_version_is_refused(helm: Helm) -> None:
    """A digest beats the tag: one left over would deploy the old code under the new name."""
    pinned = ("--set", f"risk-engine.app.digest.sha256={DIGEST},risk-engine.app.digest.version=v2")
    refusal = helm.refusal("--set", "global.app.version=v3", *pinned)
    assert "app.digest belongs to version" in refusal
    assert '"v3" is to be deployed' in refusal


def test_a_registry_prefixes_every_image(helm: Helm) -> None:
    for thing in helm.template("--set", "global.image.registry=registry.example.com/pay"):
        if thing["kind"] in ("Deployment", "Job", "StatefulSet"):
            for container in thing["spec"]["template"]["spec"]["containers"]:
                assert container["image"].startswith("registry.example.com/pay/")


# --- what Kubernetes refuses to change ---------------------------------------------------------------------------

IMMUTABLE = {
    "Deployment": (("selector",),),
    "StatefulSet": (("selector",), ("serviceName",), ("volumeClaimTemplates",)),
    "Job": (("template",),),
}


def immutable(objects: list[Object]) -> dict[tuple[str, str], list[object]]:
    return {
        (thing["kind"], thing["metadata"]["name"]): [
            thing["spec"][path[0]] for path in IMMUTABLE[thing["kind"]]
        ]
        for thing in objects
        if thing["kind"] in IMMUTABLE
    }


def test_another_chart_and_app_version_change_no_immutable_field(helm: Helm, umbrella_copy: Path) -> None:
    before = immutable(helm.template())
    for chart in umbrella_copy.rglob("Chart.yaml"):
        text = (
            chart.read_text()
            .replace("version: 0.1.0", "version: 0.2.0")
            .replace("appVersion: v1", "appVersion: v2")
        )
        chart.write_text(text)
    after = immutable(helm.template(chart=umbrella_copy))
    assert any("v2" in image for image in images(helm.template(chart=umbrella_copy)).values())
    for key in before.keys() & after.keys():
        assert before[key] == after[key], key


def test_a_new_version_brings_new_migration_jobs_and_the_same_one_keeps_them(helm: Helm) -> None:
    def jobs(version: str) -> set[str]:
        return {
            thing["metadata"]["name"]
            for thing in helm.template("--set", f"global.app.version={version}")
            if thing["kind"] == "Job" and "migrate" in thing["metadata"]["name"]
        }

    assert jobs("v1") == jobs("v1")
    assert len(jobs("v1")) == 3
    assert jobs("v1").isdisjoint(jobs("v2"))


def test_a_changed_setting_rolls_the_pods_and_an_unchanged_one_does_not(helm: Helm) -> None:
    def checksums(*args: str) -> dict[str, str]:
        return {
            thing["metadata"]["name"]: thing["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
            for thing in helm.template(*args)
            if thing["kind"] == "Deployment"
        }

    before, after = checksums(), checksums("--set", "risk-engine.config.DEADLINE_MS=80")
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {name for name in before if "risk-engine" in name}


def test_a_release_name_that_would_break_names_is_refused(helm: Helm) -> None:
    done = helm.run("template", "a-release-with-quite-a-long-name", str(ROOT / "umbrella-chart"))
    assert "longer than 28 characters" in done.stderr


@pytest.mark.parametrize("release", ["platform", "a", "exactly-twenty-eight-letters"])
def test_names_stay_within_what_kubernetes_takes(helm: Helm, release: str) -> None:
    for thing in helm.template(release=release):
        assert len(thing["metadata"]["name"]) <= 63, thing["metadata"]["name"]
