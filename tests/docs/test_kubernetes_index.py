"""docs/kubernetes/README.md has every proof that `make kind-test-full` runs, and no other."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INDEX = ROOT / "docs" / "kubernetes" / "README.md"
ROW = re.compile(
    r"^\| (?:\[([^\]]+)\]\([^)]+\)|([^|\[]+)) \| ([^|]+) \| ([^|]+) \| (\d+|–) \|$", re.MULTILINE
)


def claimed() -> set[tuple[str, str]]:
    spec = importlib.util.spec_from_file_location("kind_proofs", ROOT / "tests" / "kind" / "proofs.py")
    assert spec
    assert spec.loader
    proofs = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = proofs
    spec.loader.exec_module(proofs)
    return set(proofs.claimed(ROOT / "tests" / "kind"))


def test_the_index_has_every_proof_and_no_other() -> None:
    shown = {(linked or plain, shows) for linked, plain, shows, _, _ in ROW.findall(INDEX.read_text("utf-8"))}
    assert shown == claimed()


def test_every_proof_of_the_index_has_passed() -> None:
    results = {result for *_, result, _ in ROW.findall(INDEX.read_text("utf-8"))}
    assert results == {"passed"}
