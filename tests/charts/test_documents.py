"""The pages about Kubernetes show what the charts and scripts really say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.charts.conftest import Helm

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = (ROOT / "docs" / "quickstart-kind.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "kubernetes" / "README.md").read_text(encoding="utf-8")


def test_the_first_payment_is_the_one_of_the_notes() -> None:
    notes = (ROOT / "umbrella-chart" / "templates" / "NOTES.txt").read_text(encoding="utf-8")
    for line in re.search(r"^API_KEY=.*?; echo$", QUICKSTART, re.M | re.S)[0].splitlines():  # type: ignore[index]
        assert line.strip() in notes


def test_every_pod_is_in_the_recorded_list(helm: Helm) -> None:
    for thing in helm.template():
        if thing["kind"] in ("Deployment", "StatefulSet"):
            assert f"\n{thing['metadata']['name']}-" in QUICKSTART


def test_every_setting_of_the_scripts_is_told() -> None:
    scripts = "".join(file.read_text() for file in (ROOT / "tools" / "kind").glob("*.sh"))
    for variable in set(re.findall(r"\$\{([A-Z_]+):[-+]", scripts)):
        assert f"`{variable}`" in QUICKSTART, variable


def test_the_number_of_policy_rules_is_right() -> None:
    source = (ROOT / "tests" / "charts" / "test_policies.py").read_text(encoding="utf-8")
    rules = len(re.findall(r"^@(?:check|each_pod|each_container)\(", source, re.M))
    assert f"{rules} policy rules" in PAGE


def test_every_decision_of_this_area_is_linked() -> None:
    for decision in (ROOT / "docs" / "adr").glob("001*.md"):
        assert f"adr/{decision.name}" in PAGE


def test_no_place_of_the_machine_where_it_was_recorded_is_in_it() -> None:
    assert not re.search(r"/(root|home|work|tmp)/", QUICKSTART + PAGE)
