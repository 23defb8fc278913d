"""What lists and changes look like is the same everywhere: docs/api.md, held to the document of the API."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

CONTRACT: Final = Path(__file__).parents[2] / "contracts/openapi.json"
DOCUMENT: Final = json.loads(CONTRACT.read_text(encoding="utf-8"))
OPERATIONS: Final = [
    (method.upper(), path, operation)
    for path, methods in DOCUMENT["paths"].items()
    if path.startswith("/v1/")
    for method, operation in methods.items()
]
KEYED_CHANGES: Final = ("/v1/payments/{", "/v1/customers/{", "/v1/payment-methods/{")
SETTINGS: Final = ("/v1/merchant", "/v1/merchants/{", "/v1/webhook-endpoints/{")
WHOLE: Final = {"/v1/payments/{payment_id}/refunds", "/v1/merchants/{merchant_id}/api-keys", "/v1/api-keys"}
"""Lists of few things, which come whole."""
OF_VALUES: Final = {"/v1/webhook-endpoints/{endpoint_id}/public-keys"}


def answered(operation: dict[str, Any]) -> dict[str, Any]:
    schema = (
        operation["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema", {})
    )
    found: dict[str, Any] = DOCUMENT["components"]["schemas"].get(
        schema.get("$ref", "").rpartition("/")[2], {}
    )
    return found.get("properties", {})


def test_every_list_takes_limit_and_cursor_and_answers_data_and_next_cursor() -> None:
    lists = {
        path: operation
        for method, path, operation in OPERATIONS
        if method == "GET" and answered(operation).get("data", {}).get("type") == "array"
    }
    assert len(lists) > 15, "the walk has lost the lists"
    assert lists.keys() >= WHOLE | OF_VALUES
    for path in lists.keys() - WHOLE - OF_VALUES:
        parameters = {one["name"] for one in lists[path].get("parameters", ())}
        assert {"limit", "cursor"} <= parameters, path
        assert "next_cursor" in answered(lists[path]), path


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
def test_every_change_is_made_by_the_method_that_the_page_names(
    method: str, path: str, operation: dict[str, Any]
) -> None:
    is_keyed = any(one["name"] == "Idempotency-Key" for one in operation.get("parameters", ()))
    of_one = path.endswith("}")
    match method:
        case "POST" if of_one:
            assert path.startswith(KEYED_CHANGES), "a setting is changed by PATCH"
            assert is_keyed
        case "POST":
            assert not re.search(r"/(update|change|set|edit)\b", path), "changes are named by their method"
        case "PATCH":
            assert path.startswith(SETTINGS)
            assert not is_keyed
        case "PUT":
            assert path == "/v1/merchants/{merchant_id}/terms"
        case _:
            assert method in ("GET", "DELETE")
