"""`make check`: each requirements.txt satisfies its pyproject.toml, and all of them agree on versions.

A re-export would be no check: without the lock it picks up new releases and fails by itself one morning.
"""

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from platform_cli.stack.state import clone

SERVICES = ("payment-gateway", "risk-engine", "data-pipeline")
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)")
Pins = Mapping[str, Version]


def pins(file: Path) -> dict[str, Version]:
    """Name and version of each pinned line. A version may differ by platform marker: the newest counts."""
    found: dict[str, Version] = {}
    for match in filter(None, map(PIN.match, file.read_text().splitlines())):
        name, version = canonicalize_name(match[1]), Version(match[2])
        found[name] = max(version, found.get(name, version))
    return found


def dependencies(pyproject: Path, group: str | None = None) -> list[Requirement]:
    """What a member asks for, its development groups included, other members left out; or what one `group` does."""
    content = tomllib.loads(pyproject.read_text())
    own = {canonicalize_name(name) for name in content.get("tool", {}).get("uv", {}).get("sources", {})}
    groups = content.get("dependency-groups", {})
    if group is not None:
        lines = list(groups.get(group, []))
    else:
        # a group that another one includes is a table there; its lines come with the group itself
        inner = [line for lines in groups.values() for line in lines if isinstance(line, str)]
        lines = [*content["project"].get("dependencies", []), *inner]
    return [found for found in map(Requirement, lines) if canonicalize_name(found.name) not in own]


def complaints(root: Path) -> Iterator[str]:
    """One sentence per thing that does not fit."""
    everything = pins(root / "requirements" / "dev.txt")
    kit = root / "libs" / "platform-kit" / "pyproject.toml"
    for service in SERVICES:
        file = root / "services" / service / "requirements.txt"
        pinned = pins(file)
        yield from _unsatisfied(file, pinned, [kit, file.with_name("pyproject.toml")])
        yield from _other_versions(file, pinned, everything)
    generator = root / "loadtests" / "requirements.txt"
    if generator.exists():
        pinned = pins(generator)
        yield from _missing(
            generator, "its group `load`", pinned, dependencies(root / "pyproject.toml", "load")
        )
        yield from _other_versions(generator, pinned, everything)
    members = [
        root / "pyproject.toml",
        *root.glob("libs/*/pyproject.toml"),
        *root.glob("services/*/pyproject.toml"),
    ]
    members += root.glob("tools/*/pyproject.toml")
    yield from _unsatisfied(root / "requirements" / "dev.txt", everything, members)


def _unsatisfied(file: Path, pinned: Pins, pyprojects: list[Path]) -> Iterator[str]:
    for pyproject in pyprojects:
        yield from _missing(file, pyproject.parent.name, pinned, dependencies(pyproject))


def _missing(file: Path, who: str, pinned: Pins, requirements: list[Requirement]) -> Iterator[str]:
    for wanted in requirements:
        if wanted.marker and not wanted.marker.evaluate():
            continue
        version = pinned.get(canonicalize_name(wanted.name))
        if version is None or not wanted.specifier.contains(version, prereleases=True):
            yield f"{file}: {who} wants {wanted}, pinned is {version or 'nothing'}"


def _other_versions(file: Path, pinned: Pins, everything: Pins) -> Iterator[str]:
    for name, version in pinned.items():
        if everything.get(name) != version:
            yield f"{file}: {name} {version}, but requirements/dev.txt has {everything.get(name)}"


def main() -> int:
    """Print what does not fit; the exit status says whether anything did."""
    found = list(complaints(clone()))
    for complaint in found:
        print(complaint)
    print("run `make lock`" if found else "requirements: each file satisfies its pyproject, versions agree")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
