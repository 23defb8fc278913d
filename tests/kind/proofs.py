"""Which claim about Kubernetes each test proves, how it went, and the table of them all.

    @pytest.mark.proof("rolling upgrades", "an upgrade under payments loses none")

The table is printed after `make kind-test-full`, kept in `.platform/kind/proofs.md`, and stands in
docs/kubernetes/README.md as the index of its pages.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

HEAD: Final = "| topic | proof | result | seconds |\n|---|---|---|---|\n"


@dataclass
class Proof:
    """One claim, and how each test that bears it went."""

    topic: str
    shows: str
    results: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def row(self) -> str:
        passed = sum(result == "passed" for result in self.results.values())
        tests = len(self.results)
        words = "passed" if passed == tests else f"{tests - passed} of {tests} failed"
        return f"| {self.topic} | {self.shows} | {words} | {self.seconds:.0f} |\n"


_found: dict[tuple[str, str], Proof] = {}


def note(item: pytest.Item, report: pytest.TestReport) -> None:
    """Keep what a phase of a test says: the worst result counts, and the seconds of all phases."""
    marker = item.get_closest_marker("proof")
    if marker is None:
        return
    proof = _found.setdefault(marker.args, Proof(*marker.args))
    proof.seconds += report.duration
    if report.when == "call" or not report.passed:
        before = proof.results.get(item.nodeid, "passed")
        proof.results[item.nodeid] = report.outcome if before == "passed" else before


def table() -> str:
    """What was proven, by topic; empty when nothing was tried."""
    tried = sorted((proof for proof in _found.values() if proof.results), key=lambda proof: proof.topic)
    return HEAD + "".join(proof.row() for proof in tried) if tried else ""


def keep(root: Path, found: str) -> None:
    directory = root / ".platform" / "kind"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "proofs.md").write_text(found, encoding="utf-8")


def claimed(directory: Path) -> Iterator[tuple[str, str]]:
    """Topic and claim of every proof that the tests in this directory are marked with, without running them."""
    for path in sorted(directory.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "proof"
            ):
                topic, shows = (ast.literal_eval(argument) for argument in node.args)
                yield topic, shows
