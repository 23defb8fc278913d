"""Which claim about Kubernetes each test proves, how it went, and the table of them all.

    @pytest.mark.proof("rolling upgrades", "an upgrade under payments loses none")

The table is printed after `make kind-test-full` and stands in docs/kubernetes/README.md, which is its index.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

HEAD: Final = "| topic | proof | result | seconds |\n|---|---|---|---|\n"


@dataclass(frozen=True)
class Proof:
    topic: str
    shows: str
    result: str = ""
    seconds: float = 0.0

    def row(self) -> str:
        return f"| {self.topic} | {self.shows} | {self.result} | {self.seconds:.0f} |\n"


_found: dict[str, Proof] = {}
"""By test."""


def note(item: pytest.Item, report: pytest.TestReport) -> None:
    """Keep what a phase of a test says: its worst result, and the seconds of all phases."""
    marker = item.get_closest_marker("proof")
    if marker is None:
        return
    before = _found.get(item.nodeid, Proof(*marker.args))
    result = before.result if report.passed and before.result else report.outcome
    if report.when != "call" and report.passed:
        result = before.result
    _found[item.nodeid] = Proof(before.topic, before.shows, result, before.seconds + report.duration)


def table() -> str:
    """What was proven, by topic; empty when nothing was tried."""
    tried = sorted((proof for proof in _found.values() if proof.result), key=lambda proof: proof.topic)
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
