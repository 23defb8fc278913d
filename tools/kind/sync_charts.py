#!/usr/bin/env python3
"""Copy what the charts share to where Helm needs it: `make charts-sync`.

Helm installs a subchart alone, and the umbrella from a clean clone, only when everything is a real file below the
chart. So the library chart charts/platform-service is copied into each service's chart, and the shared definitions of
the values schemas into each values.schema.json, and roles.sql into the chart that restores. tests/charts/ fails when a
copy differs from its source.

    sync_charts.py           write the copies
    sync_charts.py --check   change nothing, name what differs, exit 1
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "charts" / "platform-service"
DEFINITIONS = LIBRARY / "schema-definitions.json"
ROLES = ROOT / "umbrella-chart" / "charts" / "postgres" / "files" / "roles.sql"
SERVICES = ("payment-gateway", "risk-engine", "data-pipeline")


def wanted() -> dict[Path, bytes]:
    """Every copied file and its content."""
    umbrella = ROOT / "umbrella-chart"
    files: dict[Path, bytes] = {}
    for service in SERVICES:
        copy = umbrella / "charts" / service / "charts" / LIBRARY.name
        for source in sorted(LIBRARY.rglob("*")):
            if source.is_file() and source != DEFINITIONS:
                files[copy / source.relative_to(LIBRARY)] = source.read_bytes()
    # A restore makes the roles where they are not there yet; the chart's own files are all that a chart can read.
    files[umbrella / "charts" / "backup" / "files" / ROLES.name] = ROLES.read_bytes()
    for schema in [umbrella / "values.schema.json", *sorted(umbrella.glob("charts/*/values.schema.json"))]:
        files[schema] = with_definitions(json.loads(schema.read_text()))
    return files


def with_definitions(schema: dict[str, object]) -> bytes:
    """The schema with `$defs` set to the shared definitions that it uses, and no others."""
    definitions = json.loads(DEFINITIONS.read_text())
    body = {key: value for key, value in schema.items() if key != "$defs"}
    used: set[str] = set()
    todo = references(body)
    while todo:
        name = todo.pop()
        used.add(name)
        todo |= references(definitions[name]) - used
    body["$defs"] = {name: definitions[name] for name in definitions if name in used}
    return (json.dumps(body, indent=2) + "\n").encode()


def references(schema: object) -> set[str]:
    return set(re.findall(r'"#/\$defs/(\w+)"', json.dumps(schema)))


def stray() -> list[Path]:
    """Files in a copy of the library that its source does not have."""
    copies = [ROOT / "umbrella-chart" / "charts" / service / "charts" / LIBRARY.name for service in SERVICES]
    return [path for copy in copies for path in copy.rglob("*") if path.is_file() and path not in wanted()]


def main() -> int:
    different = [
        path for path, content in wanted().items() if not path.is_file() or path.read_bytes() != content
    ]
    if "--check" in sys.argv:
        for path in [*different, *stray()]:
            print(f"differs from its source: {path.relative_to(ROOT)}  (make charts-sync)")
        return 1 if different or stray() else 0
    for path in stray():
        path.unlink()
    for path in different:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wanted()[path])
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
