"""The charts install from a clean clone: real directories, links back to them, nothing to fetch, nothing packaged."""

from __future__ import annotations

import base64
import gzip
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

if TYPE_CHECKING:
    from tests.charts.conftest import Helm, Object

ROOT = Path(__file__).resolve().parents[2]
UMBRELLA = ROOT / "umbrella-chart"
SUBCHARTS = ("payment-gateway", "risk-engine", "data-pipeline", "postgres", "redis", "backup", "loadgen")


@pytest.mark.parametrize("name", SUBCHARTS)
def test_a_subchart_is_a_real_directory_and_charts_links_to_it(name: str) -> None:
    real, link = UMBRELLA / "charts" / name, ROOT / "charts" / name
    assert real.is_dir()
    assert not real.is_symlink()
    assert link.is_symlink()
    assert link.resolve() == real.resolve()
    assert not link.readlink().is_absolute()


def test_nothing_below_the_umbrella_chart_is_a_link() -> None:
    assert [path for path in UMBRELLA.rglob("*") if path.is_symlink()] == []


def test_no_packaged_chart_lies_beside_a_directory() -> None:
    """With both, Helm picks one by map order: 5 of 40 runs used the stale package."""
    assert [*UMBRELLA.rglob("*.tgz"), *(ROOT / "charts").rglob("*.tgz")] == []


def test_dependencies_have_no_repository_and_no_lock() -> None:
    for chart in UMBRELLA.rglob("Chart.yaml"):
        for dependency in yaml.safe_load(chart.read_text()).get("dependencies", []):
            assert "repository" not in dependency, f"{chart}: {dependency}"
    assert list(UMBRELLA.rglob("Chart.lock")) == []


def test_declared_dependencies_are_the_directories(helm: Helm) -> None:
    listed = helm.run("dependency", "list", str(UMBRELLA))
    assert listed.returncode == 0, listed.stderr
    assert "WARNING" not in listed.stdout + listed.stderr
    assert listed.stdout.count("unpacked") == len(SUBCHARTS), listed.stdout


def test_copies_of_the_shared_parts_equal_their_source() -> None:
    """Definitions are global in a release: of two copies that differ, one is ignored without a word."""
    checked = subprocess.run(
        [sys.executable, ROOT / "tools" / "kind" / "sync_charts.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


def test_every_definition_of_the_library_carries_its_name() -> None:
    for template in (ROOT / "charts" / "platform-service" / "templates").glob("*.tpl"):
        for line in template.read_text().splitlines():
            if "define " in line:
                assert 'define "platform-service.' in line, f"{template.name}: {line}"


@pytest.mark.parametrize("name", SUBCHARTS)
def test_a_subchart_renders_alone(helm: Helm, name: str) -> None:
    assert helm.template(chart=ROOT / "charts" / name)


@pytest.mark.parametrize(
    "chart", [UMBRELLA, *(UMBRELLA / "charts" / name for name in SUBCHARTS)], ids=lambda p: p.name
)
def test_helm_lint_is_clean(helm: Helm, chart: Path) -> None:
    linted = helm.run("lint", "--strict", str(chart))
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_every_image_is_official_or_ours(objects: list[Object], profile: str) -> None:
    """Bitnami's images were withdrawn in 2025 and took many charts with them."""
    text = yaml.safe_dump_all(objects)
    assert "bitnami" not in text
    images = set(re.findall(r"\bimage: ([\w./-]+)", text))
    ours = {"payment-gateway", "risk-engine", "data-pipeline"}
    further = {
        "default": {"postgres", "redis"},
        "loadgen": {"postgres", "redis", "loadgen"},
        "production": {"postgres", "rclone/rclone"},
    }
    assert images == ours | further.get(profile, {"postgres", "redis"})


def test_a_chart_fits_into_a_release(helm: Helm) -> None:
    """Every file of a chart goes into the release's Secret, compressed and in base64; that holds 1 MiB, the rendered
    manifest too."""
    files = b"".join(path.read_bytes() for path in sorted(UMBRELLA.rglob("*")) if path.is_file())
    assert len(base64.b64encode(gzip.compress(files))) < 300_000
