"""docs/proof.md shows the tests and mutants that there are. UPDATE_DOCS=1 writes its tables anew."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from platform_cli.run_mutants import SERVICE, Mutant, misfits, mutants
from platform_cli.stack.state import clone

ROOT = clone()
TESTS = ROOT / SERVICE / "tests"
PAGE = ROOT / "docs/proof.md"
THREAD = re.compile(r"Thread (\d+), (.+?): ", re.S)


@dataclass(frozen=True, slots=True)
class Proof:
    thread: int
    reference: str
    file: str
    test: str

    @property
    def sentence(self) -> str:
        return self.test.removeprefix("test_").replace("_", " ")

    def mutants(self) -> list[Mutant]:
        """Those that this test must kill."""
        own = f"{self.file}::{self.test}"
        return [mutant for mutant in mutants(ROOT) if any(red in (self.file, own) for red in mutant.red)]


def proofs() -> Iterator[Proof]:
    """Tests whose docstring names a thread."""
    for file in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef):
                continue
            if found := THREAD.match(ast.get_docstring(node) or ""):
                reference = " ".join(found[2].split())
                yield Proof(int(found[1]), reference, str(file.relative_to(TESTS)), node.name)


def table_of_threads() -> str:
    rows = ["| # | thread | test | mutants that it kills |", "|---|---|---|---|"]
    for proof in sorted(proofs(), key=lambda proof: proof.thread):
        link = f"[{proof.sentence}](../{SERVICE}/tests/{proof.file})"
        killed = ", ".join(f"`{mutant.name}`" for mutant in proof.mutants())
        rows.append(f"| {proof.thread} | {proof.reference} | {link} | {killed} |")
    return "\n".join(rows)


def table_of_mutants() -> str:
    rows = ["| mutant | the guard that it takes away |", "|---|---|"]
    rows += [f"| `{mutant.name}` | {mutant.guard} |" for mutant in mutants(ROOT)]
    return "\n".join(rows)


def test_the_page_shows_the_threads_and_mutants_that_there_are() -> None:
    page = PAGE.read_text()
    for name, table in (("threads", table_of_threads()), ("mutants", table_of_mutants())):
        start, end = f"<!-- {name}: generated -->\n", f"\n<!-- {name}: end -->"
        before, rest = page.split(start)
        page = f"{before}{start}{table}{end}{rest.split(end)[1]}"
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(page)
    assert PAGE.read_text() == page, "run it with UPDATE_DOCS=1 and read the difference"


def test_every_thread_of_the_design_has_its_test() -> None:
    assert {proof.thread for proof in proofs()} == set(range(1, 31))


def test_every_test_of_a_thread_kills_a_mutant() -> None:
    idle = {proof.thread for proof in proofs()} - {proof.thread for proof in proofs() if proof.mutants()}
    assert not idle, "a guard counts when a test fails without it"


def test_every_mutant_still_applies_and_names_tests_that_exist() -> None:
    found = mutants(ROOT)
    assert len({mutant.name for mutant in found}) == len(found)
    for mutant in found:
        assert misfits(ROOT, mutant) == [], mutant.name
        assert mutant.red, mutant.name
        for test in (*mutant.red, *mutant.green):
            file, _, name = test.partition("::")
            assert f"def {name}" in (TESTS / file).read_text(), test
