"""The committed OpenAPI documents are those of the code, and leave nothing of a route unsaid."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import typer

from platform_cli import write_contracts
from platform_cli.write_contracts import (
    FILES,
    SUFFIX,
    as_file,
    broken_promises,
    document_of,
    event_files,
    event_schemas_of,
)


@pytest.fixture(scope="module", params=FILES)
def service(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def operations(service: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document_of(service)["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_the_committed_document_is_the_one_that_is_served(service: str) -> None:
    assert FILES[service].read_bytes() == as_file(document_of(service)), "run `make contracts`"


def test_no_event_type_breaks_what_its_committed_schema_promised(service: str) -> None:
    assert broken_promises(service) == [], "docs/webhooks.md says what a change may do"


def test_the_committed_event_schemas_are_those_of_the_code(service: str) -> None:
    written = {kind: path.read_bytes() for kind, path in event_files(service).items()}
    assert written == {k: as_file(s) for k, s in event_schemas_of(service).items()}, "run `make contracts`"


def test_a_schema_that_breaks_its_promise_is_not_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in FILES:
        monkeypatch.setitem(write_contracts.FILES, name, tmp_path / name / "openapi.json")
    folder = tmp_path / "payment-gateway/events"
    folder.mkdir(parents=True)
    older = orjson.loads(as_file(event_schemas_of("payment-gateway")["payment.captured.v1"]))
    older["properties"]["data"]["properties"]["gone"] = {"type": "string"}
    (folder / f"payment.captured.v1{SUFFIX}").write_bytes(as_file(older))
    (folder / f"payment.teleported.v1{SUFFIX}").write_bytes(as_file(older))
    assert broken_promises("payment-gateway") == [
        "payment.captured.v1 /data/gone: removed",
        "payment.teleported.v1: no schema any more; events of this type are stored, and are read again",
    ]
    with pytest.raises(typer.Exit):
        write_contracts.main()
    assert not list(tmp_path.rglob("openapi.json"))


DOWNLOADS = {  # their answer is a file of one of several kinds
    "GET /v1/exports/{export_id}/file",
    "GET /v1/settlements/{settlement_id}/statement.{format}",
}


def test_every_answer_has_a_named_shape(service: str) -> None:
    for name, operation in operations(service):
        for status, response in operation["responses"].items():
            content = response.get("content", {})
            if name in DOWNLOADS and status == "200":
                assert {kind["schema"]["format"] for kind in content.values()} == {"binary"}, name
                continue
            kind = (
                "application/json"
                if status < "400" or name.startswith("GET /health")
                else "application/problem+json"
            )
            assert status == "204" or "$ref" in content[kind]["schema"], (name, status)
            assert status == "204" or len(content) == 1, (name, status)


def test_every_operation_has_a_name_of_its_own_and_links_lead_to_one(service: str) -> None:
    named = [operation["operationId"] for _, operation in operations(service)]
    assert len(named) == len(set(named))
    for _, operation in operations(service):
        for response in operation["responses"].values():
            assert {link["operationId"] for link in response.get("links", {}).values()} <= set(named)


def test_every_shape_that_is_named_exists(service: str) -> None:
    document = document_of(service)
    schemas = document["components"]["schemas"]
    assert {f"#/components/schemas/{name}" for name in schemas} >= set(_references(document))


def test_what_acts_with_money_needs_a_key_and_names_its_header() -> None:
    for name, operation in operations("payment-gateway"):
        if "409" in operation["responses"] and name.startswith("POST /v1/payments"):
            assert operation["security"] == [{"merchantKey": []}], name
            assert "Idempotency-Key" in {parameter["name"] for parameter in operation["parameters"]}, name


def test_the_facade_stays_out_of_it() -> None:
    assert not [name for name, _ in operations("payment-gateway") if "/stripe" in name]


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)
