"""What the producers may tell by their committed contracts, this service takes: every type, every word, every size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data_pipeline.domain.event_facts import facts_of
from data_pipeline.domain.events import (
    ENDPOINT_EVENTS,
    MERCHANT_EVENTS,
    PAYMENT_EVENTS,
    RISK_EVENTS,
    WEBHOOKS_ATTEMPTED,
)
from data_pipeline.domain.facts import Facts

SERVICES = Path(__file__).parents[3]
CONTRACTS = {
    path.name.removesuffix(".schema.json"): json.loads(path.read_text(encoding="utf-8"))
    for service in ("payment-gateway", "risk-engine")
    for path in sorted((SERVICES / service / "contracts/events").glob("*.schema.json"))
}
WORDS_MAX = 16  # of the longest list of words but for currencies


def an_event(kind: str, *, turn: int = 0, is_full: bool = True) -> dict[str, Any]:
    """An event as the contract allows it: its `turn`-th words, and all that may be left out or null, or none of it."""
    schema = CONTRACTS[kind]
    event: dict[str, Any] = _value(schema, "", schema.get("$defs", {}), turn, is_full)
    return event | {"position": 1}


def _value(schema: dict[str, Any], name: str, defs: dict[str, Any], turn: int, is_full: bool) -> Any:
    def inner(one: dict[str, Any], called: str) -> Any:
        return _value(one, called, defs, turn, is_full)

    if "$ref" in schema:
        return inner(defs[schema["$ref"].removeprefix("#/$defs/")], name)
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            found = schema[keyword]
            if {"type": "null"} in found:
                return inner(found[0], name) if is_full else None
            return inner(found[turn % len(found)], name)
    if "const" in schema:
        return schema["const"]
    if name == "currency":
        return "EUR"
    if "enum" in schema:
        return schema["enum"][turn % len(schema["enum"])]
    match schema.get("type"):
        case "object":
            members, required = schema.get("properties", {}), schema.get("required", ())
            return {n: inner(s, n) for n, s in members.items() if is_full or n in required}
        case "array":
            return [inner(schema["items"], name)] if is_full else []
        case "integer" | "number":
            return max(int(schema.get("minimum", 0)), 1)
        case "boolean":
            return True
    if schema.get("format") == "date-time":
        return "2026-11-26T12:00:00.000000Z"
    prefix = str(schema.get("pattern", "")).removeprefix("^").partition("[")[0]
    return f"{prefix}1" if prefix else f"some {name}"


def test_every_type_that_a_producer_may_tell_is_known_and_no_other() -> None:
    assert set(CONTRACTS) == PAYMENT_EVENTS | ENDPOINT_EVENTS | RISK_EVENTS | MERCHANT_EVENTS | {
        WEBHOOKS_ATTEMPTED
    }


@pytest.mark.parametrize("kind", CONTRACTS)
def test_whatever_the_contract_allows_gives_facts(kind: str) -> None:
    for turn in range(WORDS_MAX):
        for is_full in (True, False):
            event = an_event(kind, turn=turn, is_full=is_full)
            assert isinstance(facts_of(event), Facts), (facts_of(event), event)


def test_a_journal_as_long_as_the_contract_allows_gives_facts() -> None:
    event = an_event("ledger.transfer_posted.v1")
    longest = CONTRACTS["ledger.transfer_posted.v1"]["$defs"]["Journal"]["properties"]["transfers"][
        "maxItems"
    ]
    event["data"]["journal"]["transfers"] *= longest
    facts = facts_of(event)
    assert isinstance(facts, Facts)
    assert len(facts.transfers) == longest
