"""Generate a Python client of the gateway from its committed OpenAPI document (`make client`).

What is generated is typed, sync and async, and depends on httpx and attrs only. It is not committed: the document is.
The generator wants older libraries than we do, so uv runs it in an environment of its own, kept in uv's cache.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer

from platform_cli.write_contracts import FILES, ROOT

PACKAGE: Final = "payment_gateway_client"
GENERATOR: Final = "openapi-python-client==0.29.1"
# Strings with a list of words stay strings for the type checker; Transfer is one of two shapes.
SETTINGS: Final = b"literal_enums: true\npost_hooks: []\n"
_CONDITIONS: Final = ("anyOf", "oneOf", "allOf", "not")


def unconditional(node: Any) -> Any:
    """The document without what a schema asks beside its members (`method` or `payment_method`, not both): a generator
    takes such conditions for types of their own. The gateway still holds every request to them."""
    if isinstance(node, dict):
        has_members = node.get("type") == "object" and "properties" in node
        return {
            name: unconditional(value)
            for name, value in node.items()
            if not (has_members and name in _CONDITIONS)
        }
    return [unconditional(one) for one in node] if isinstance(node, list) else node


def write_client(into: Path) -> Path:
    """The package, in this directory. Raises when the generator cannot make all of it."""
    target = into / PACKAGE
    with tempfile.TemporaryDirectory() as directory:
        document, settings = Path(directory, "openapi.json"), Path(directory, "settings.yaml")
        document.write_bytes(orjson.dumps(unconditional(orjson.loads(FILES["payment-gateway"].read_bytes()))))
        settings.write_bytes(SETTINGS)
        subprocess.run(
            (sys.executable, "-m", "uv", "tool", "run", "--from", GENERATOR, "openapi-python-client", "generate",
             "--fail-on-warning", "--overwrite", "--meta", "none", "--path", document, "--config", settings,
             "--output-path", target),
            check=True, capture_output=True, text=True,
        )  # fmt: skip
    return target


def main(into: Annotated[Path, typer.Argument(file_okay=False)] = ROOT / ".platform" / "client") -> None:
    """Write it."""
    into.mkdir(parents=True, exist_ok=True)
    try:
        written = write_client(into)
    except subprocess.CalledProcessError as error:
        typer.echo(error.stdout + error.stderr, err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{written}: put {into} on PYTHONPATH (docs/api.md)")


if __name__ == "__main__":
    typer.run(main)
