"""Other people's kinds, checked against their own schemas (tools/kind/fetch_crds.py)."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

ROOT = Path(__file__).resolve().parents[2]


class Loader(yaml.CSafeLoader):
    """One enumeration has the value `=`, which YAML 1.1 reads as a type of its own."""


Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: loader.construct_scalar(node))


@cache
def schemas() -> dict[tuple[str, str], dict[str, Any]] | str:
    """(apiVersion, kind) to its schema, closed; or the reason why there are none."""
    finder = ROOT / "tools" / "kind" / "fetch_crds.py"
    found = subprocess.run([sys.executable, finder], capture_output=True, text=True, check=False, timeout=600)
    if found.returncode != 0:
        return found.stderr.strip()
    known = {}
    for file in sorted(Path(found.stdout.strip()).rglob("*.yaml")):
        for thing in yaml.load_all(file.read_text(), Loader=Loader):
            if thing and thing["kind"] == "CustomResourceDefinition":
                spec = thing["spec"]
                for version in spec["versions"]:
                    key = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
                    known[key] = closed(version["schema"]["openAPIV3Schema"])
    return known


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """As the API server's field validation reads it: a field that is not listed is an error."""
    result = dict(schema)
    if "properties" in schema:
        result["properties"] = {name: closed(inner) for name, inner in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields") and "additionalProperties" not in schema:
            result["additionalProperties"] = False
    if isinstance(schema.get("additionalProperties"), dict):
        result["additionalProperties"] = closed(schema["additionalProperties"])
    if isinstance(schema.get("items"), dict):
        result["items"] = closed(schema["items"])
    if schema.get("x-kubernetes-int-or-string"):
        result = {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    if schema.get("nullable"):
        result = {"anyOf": [result, {"type": "null"}]}
    return result


def problems(thing: dict[str, Any]) -> list[str]:
    """What is wrong with an object, by its own kind's schema. Raises KeyError for a kind that is not known."""
    known = schemas()
    assert isinstance(known, dict)
    schema = known[thing["apiVersion"], thing["kind"]]
    properties = {"apiVersion": {}, "kind": {}, **schema["properties"], "metadata": {}}
    validator = jsonschema.Draft202012Validator({**schema, "properties": properties})
    return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(thing)]
