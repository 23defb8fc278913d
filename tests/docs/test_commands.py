"""What the documents tell people to type, and where they send them, exists."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer.main

from platform_cli.app import main as platform
from platform_cli.stack.state import clone

ROOT = clone()
SKIPPED = {".venv", ".platform", "node_modules", ".git"}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
SHELL = {"sh", "bash", "shell", "console"}
ANSI = re.compile(r"\x1b\[[0-9;]*m")
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
WORDS = {"make": r"\bmake ([a-z][a-z0-9-]*)", "platform": r"(?<![\w/.-])platform ([a-z][a-z0-9-]*)"}


def documents() -> list[Path]:
    return sorted(file for file in ROOT.rglob("*.md") if not SKIPPED & set(file.relative_to(ROOT).parts))


def code(file: Path) -> Iterator[str]:
    """Shell blocks and inline code: what a reader would copy."""
    text = file.read_text(encoding="utf-8")
    yield from (block for language, block in FENCE.findall(text) if language in SHELL)
    yield from INLINE.findall(FENCE.sub("", text))


def mentioned(tool: str) -> list[tuple[str, str]]:
    """(document, command) for each `make x` or `platform x` in code."""
    pattern = re.compile(rf"(?m)(?:^|[;&|(]\s*|^\$ |\s)(?:\.venv/bin/)?{WORDS[tool]}")
    return sorted(
        {
            (str(file.relative_to(ROOT)), found)
            for file in documents()
            for piece in code(file)
            if piece.lstrip("$ ").startswith(
                (tool, f".venv/bin/{tool}", "source", "PLATFORM_STATE", "git", "cd")
            )
            or f"&& {tool}" in piece
            or f"\n{tool}" in piece
            for found in pattern.findall(piece)
        }
    )


@pytest.fixture(scope="module")
def targets() -> set[str]:
    make = shutil.which("make")
    assert make, "make is needed to read the Makefile's targets"
    known = subprocess.run(
        [make, "-pRrq", "-C", str(ROOT)], capture_output=True, text=True, check=False
    ).stdout
    return set(re.findall(r"(?m)^([a-z][a-z0-9-]*):", known))


def test_there_are_documents_with_commands() -> None:
    assert len(mentioned("make")) > 5
    assert ("docs/quickstart-local.md", "demo") in mentioned("make")


def test_every_make_target_in_the_documents_exists(targets: set[str]) -> None:
    missing = [f"{where}: make {target}" for where, target in mentioned("make") if target not in targets]
    assert missing == []


def test_every_platform_command_in_the_documents_exists() -> None:
    group = typer.main.get_command(platform)
    assert isinstance(group, click.Group) or hasattr(group, "commands")
    known = set(group.commands)
    missing = [f"{where}: platform {name}" for where, name in mentioned("platform") if name not in known]
    assert missing == []


def test_every_target_that_people_use_says_what_it_does(targets: set[str]) -> None:
    command = ["make", "-C", str(ROOT), "help"]
    listed = ANSI.sub("", subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    for target in (
        "demo",
        "up",
        "down",
        "reset",
        "ps",
        "logs",
        "test",
        "check",
        "e2e",
        "load",
        "lock",
        "kind-up",
    ):
        assert re.search(rf"\b{target}\b.* \S", listed), target
        assert target in targets


@pytest.mark.parametrize("file", documents(), ids=lambda file: str(file.relative_to(ROOT)))
def test_links_inside_the_repository_lead_somewhere(file: Path) -> None:
    text = re.sub(r"```.*?```", "", file.read_text(encoding="utf-8"), flags=re.S)
    broken = []
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target) or target.startswith("#"):
            continue
        path = target.partition("#")[0]
        place = ROOT / path.lstrip("/") if path.startswith("/") else file.parent / path
        if not place.exists():
            broken.append(target)
    assert broken == []
