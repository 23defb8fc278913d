"""Write each service's `contracts/openapi.json`, and the schema of each event type that it tells to `contracts/events/`
(`make contracts`).

The files are committed: consumers read them, a review sees what changes, and a test fails when they are behind. An
event schema is written over an older one only when it keeps what that promised.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson
import typer

from platform_kit.event_contract import breaks

ROOT: Final = Path(__file__).resolve().parents[4]
FILES: Final = {
    name: ROOT / "services" / name / "contracts" / "openapi.json"
    for name in ("payment-gateway", "risk-engine", "data-pipeline")
}
SUFFIX: Final = ".schema.json"


def document_of(service: str) -> Mapping[str, Any]:
    """What `GET /openapi.json` of this service answers; nothing is started for it."""
    # Imported here: one service's document must not need the others to load.
    match service:
        case "payment-gateway":
            from payment_gateway.app import create_gateway
            from payment_gateway.settings import Settings as GatewaySettings

            return create_gateway(GatewaySettings()).openapi()
        case "risk-engine":
            from risk_engine.app import build_app
            from risk_engine.settings import Settings as RiskSettings

            return build_app(RiskSettings()).openapi()
        case _:
            from data_pipeline.app import create_pipeline
            from data_pipeline.settings import Settings as PipelineSettings

            return create_pipeline(PipelineSettings()).openapi()


def event_schemas_of(service: str) -> Mapping[str, Mapping[str, Any]]:
    """The schema of each event type that this service tells."""
    match service:
        case "payment-gateway":
            from payment_gateway.api.schemas.events import event_schemas as of_gateway

            return of_gateway()
        case "risk-engine":
            from risk_engine.api.event_schemas import event_schemas as of_risk

            return of_risk()
        case _:
            return {}


def event_files(service: str) -> dict[str, Path]:
    """The committed schemas, by event type."""
    folder = FILES[service].parent / "events"
    return {path.name.removesuffix(SUFFIX): path for path in sorted(folder.glob(f"*{SUFFIX}"))}


def broken_promises(service: str) -> list[str]:
    """What the code's event schemas do that the committed ones promised would not happen."""
    schemas = event_schemas_of(service)
    found = []
    for kind, path in event_files(service).items():
        if kind not in schemas:
            found.append(f"{kind}: no schema any more; events of this type are stored, and are read again")
        else:
            old = orjson.loads(path.read_bytes())
            found += [f"{kind} {broken}" for broken in breaks(old, dict(schemas[kind]))]
    return found


def as_file(document: Mapping[str, Any]) -> bytes:
    """The same bytes for the same document, a line per member."""
    return orjson.dumps(
        document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    )


def main() -> None:
    """Write all of them, or nothing when an event type would break its promise."""
    if broken := [promise for service in FILES for promise in broken_promises(service)]:
        typer.echo("not backward compatible, so nothing was written (docs/webhooks.md):", err=True)
        for promise in broken:
            typer.echo(f"  {promise}", err=True)
        raise typer.Exit(1)
    for service, path in FILES.items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(as_file(document_of(service)))
        typer.echo(f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes")
        schemas = event_schemas_of(service)
        for kind, schema in schemas.items():
            one = path.parent / "events" / f"{kind}{SUFFIX}"
            one.parent.mkdir(exist_ok=True)
            one.write_bytes(as_file(schema))
        if schemas:
            typer.echo(f"{(path.parent / 'events').relative_to(ROOT)}: {len(schemas)} event types")


if __name__ == "__main__":
    typer.run(main)
