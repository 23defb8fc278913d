"""Write each service's OpenAPI document to its `contracts/openapi.json`, and the gateway's events beside it
(`make contracts`).

The files are committed: consumers read them, a review sees what changes, and a test fails when they are behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson
import typer

ROOT: Final = Path(__file__).resolve().parents[4]
FILES: Final = {
    name: ROOT / "services" / name / "contracts" / "openapi.json"
    for name in ("payment-gateway", "risk-engine", "data-pipeline")
}

EVENTS_FILE: Final = ROOT / "services" / "payment-gateway" / "contracts" / "events.json"


def events() -> Mapping[str, Any]:
    """What the gateway's events carry, as one JSON schema."""
    from payment_gateway.api.schemas.events import document

    return document()


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


def as_file(document: Mapping[str, Any]) -> bytes:
    """The same bytes for the same document, a line per member."""
    return orjson.dumps(
        document, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    )


def main() -> None:
    """Write all of them."""
    documents = {path: document_of(service) for service, path in FILES.items()} | {EVENTS_FILE: events()}
    for path, document in documents.items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(as_file(document))
        typer.echo(f"{path.relative_to(ROOT)}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
