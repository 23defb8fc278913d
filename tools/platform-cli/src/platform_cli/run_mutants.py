"""`make mutants`: take each guard away in a copy of the tree, and see that its tests turn red.

    python -m platform_cli.run_mutants                 # all of services/payment-gateway/tests/mutants/*.toml
    python -m platform_cli.run_mutants refund capture  # those whose names contain one of these words

A mutant is a table of such a file:

    [[mutant]]
    name = "payment-row-lock"
    guard = "what it keeps, in words"
    change = [{ file = "path from the root", old = "text that occurs once", new = "text" }]
    sql = ["statements that the schema's owner runs after the last migration"]
    red = ["tests that must fail: path::name from services/payment-gateway/tests"]
    green = ["tests that must still pass, because a second guard holds"]

Exit code 1 when a mutant survives, when what must hold does not, or when a change no longer applies.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from platform_cli.stack.state import clone

SERVICE: Final = Path("services/payment-gateway")
MUTANTS: Final = SERVICE / "tests/mutants"
VERSIONS: Final = SERVICE / "src/payment_gateway/store/migrations/versions"
COPIED: Final = (
    "libs", "services", "tools", "umbrella-chart/charts/postgres/files", "pyproject.toml", "conftest.py",
)  # fmt: skip
PARALLEL: Final = 2  # each has a Postgres of its own
DEADLINE_S: Final = 120
KILLED, SURVIVED, STALE, BROKEN = "killed", "SURVIVED", "DOES NOT APPLY", "SECOND GUARD GONE"


@dataclass(frozen=True, slots=True)
class Mutant:
    """One guard less."""

    name: str
    guard: str
    red: tuple[str, ...]
    green: tuple[str, ...] = ()
    change: tuple[dict[str, str], ...] = ()
    sql: tuple[str, ...] = ()
    quick: bool = False
    """Also runs in `make test`."""


@dataclass(frozen=True, slots=True)
class Verdict:
    mutant: Mutant
    result: str
    seconds: float
    detail: str = ""


def mutants(root: Path) -> list[Mutant]:
    """All of them, in the order of their files."""
    tables = [
        table
        for file in sorted((root / MUTANTS).glob("*.toml"))
        for table in tomllib.loads(file.read_text())["mutant"]
    ]
    return [Mutant(**{name: _frozen(value) for name, value in table.items()}) for table in tables]


def misfits(root: Path, mutant: Mutant) -> list[str]:
    """The changes whose old text does not occur exactly once in its file."""
    return [
        f"{change['file']}: {change['old'][:60]!r}"
        for change in mutant.change
        if not (root / change["file"]).is_file()
        or (root / change["file"]).read_text().count(change["old"]) != 1
    ]


def judge(root: Path, mutant: Mutant) -> Verdict:
    """Make the mutant in a directory of its own and run its tests there."""
    started = time.monotonic()

    def verdict(result: str, detail: str = "") -> Verdict:
        return Verdict(mutant, result, time.monotonic() - started, detail)

    if wrong := misfits(root, mutant):
        return verdict(STALE, "; ".join(wrong))
    with tempfile.TemporaryDirectory(prefix="mutant-") as directory:
        copy = Path(directory)
        _copy(root, copy)
        _apply(copy, mutant)
        if green := _failed(_run(copy, mutant.green), mutant.green):
            return verdict(BROKEN, ", ".join(green))
        run = _run(copy, mutant.red)
        if survived := set(mutant.red) - set(_failed(run, mutant.red)):
            said_nothing = run.returncode not in (0, 1)  # no such test, or the copy cannot even be imported
            return (
                verdict(STALE, run.stdout[-600:]) if said_nothing else verdict(SURVIVED, ", ".join(survived))
            )
    return verdict(KILLED)


def judge_all(root: Path, chosen: Sequence[Mutant]) -> Iterator[Verdict]:
    """Two at a time; in the order of the files."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        yield from pool.map(lambda mutant: judge(root, mutant), chosen)


def main(words: Sequence[str]) -> int:
    root, started = clone(), time.monotonic()
    chosen = [m for m in mutants(root) if not words or any(word in m.name for word in words)]
    failed = 0
    print(f"{'mutant':<44} {'verdict':<18} {'s':>5}  guard")
    for found in judge_all(root, chosen):
        failed += found.result != KILLED
        print(
            f"{found.mutant.name:<44} {found.result:<18} {found.seconds:>5.1f}  {found.mutant.guard}",
            flush=True,
        )
        if found.detail:
            print(f"    {found.detail}")
    print(f"{len(chosen) - failed} of {len(chosen)} killed in {time.monotonic() - started:.0f} s")
    return 1 if failed or not chosen else 0


def _copy(root: Path, copy: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__", ".*_cache", "node_modules", "mutants", "*.parquet")
    for name in COPIED:
        if (root / name).is_dir():
            shutil.copytree(root / name, copy / name, ignore=ignored)
        else:
            shutil.copy(root / name, copy / name)


def _apply(copy: Path, mutant: Mutant) -> None:
    for change in mutant.change:
        file = copy / change["file"]
        file.write_text(file.read_text().replace(change["old"], change["new"]))
    if mutant.sql:
        lines = "".join(f"    op.execute({statement!r})\n" for statement in mutant.sql)
        (copy / VERSIONS / "99990101_mutant.py").write_text(
            f'from alembic import op\n\nrevision = "mutant"\ndown_revision = "{_head(copy)}"\n\n\n'
            f"def upgrade() -> None:\n{lines}"
        )


def _head(copy: Path) -> str:
    """The revision that no other one comes after."""
    texts = [file.read_text() for file in (copy / VERSIONS).glob("[0-9]*.py")]
    revisions = {found for text in texts for found in re.findall(r'^revision\b.*= "(\w+)"', text, re.M)}
    before = {found for text in texts for found in re.findall(r'^down_revision\b.*= "(\w+)"', text, re.M)}
    (head,) = revisions - before
    return str(head)


def _run(copy: Path, tests: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """These tests in the copy; the sources of the copy come before those that are installed."""
    paths = [str(SERVICE / "tests" / test) for test in tests]
    sources = os.pathsep.join(str(path) for path in sorted(copy.glob("*/*/src")))
    return subprocess.run(
        [sys.executable, "-m", "pytest", *(paths or ["--version"]), "-q", "-rfE", "--tb=no", "--durations=0",
         "-p", "no:cacheprovider", "-p", "no:randomly", f"--timeout={DEADLINE_S}"],
        cwd=copy, env=os.environ | {"PYTHONPATH": sources, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def _failed(run: subprocess.CompletedProcess[str], tests: Sequence[str]) -> list[str]:
    """Which of these tests (or files) the run calls failed."""
    failures = [line.split(" ")[1] for line in run.stdout.splitlines() if line.startswith("FAILED ")]
    return [test for test in tests if any(str(SERVICE / "tests" / test) in failed for failed in failures)]


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
