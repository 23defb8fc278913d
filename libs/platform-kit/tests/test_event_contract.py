"""An event type keeps what it promised: what breaks a reader or an old event is named, what only adds is not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from platform_kit.contract import ref
from platform_kit.event_contract import breaks, document_of

Schema = dict[str, Any]

THING: Schema = {
    "type": "object",
    "required": ["id", "status", "note"],
    "properties": {
        "id": {"type": "string", "pattern": "^th_"},
        "status": {"type": "string", "enum": ["new", "old"]},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "size_mm": {"type": "integer", "minimum": 0},
        "lines": {"type": "array", "items": ref("Line"), "maxItems": 5},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
LINE: Schema = {"type": "object", "required": ["amount"], "properties": {"amount": {"type": "integer"}}}
DATA: Schema = {"type": "object", "required": ["thing"], "properties": {"thing": ref("Thing")}}


def schema_of(thing: Schema, line: Schema = LINE) -> Schema:
    return document_of("thing.made.v1", DATA, {"Thing": thing, "Line": line, "Unused": {"type": "string"}})


def changed(change: Callable[[Schema], Any], of: Schema = THING) -> Schema:
    copied = copy.deepcopy(of)
    change(copied)
    return copied


def test_a_document_is_complete_by_itself_and_takes_nothing_along_that_it_does_not_use() -> None:
    schema = schema_of(THING)
    assert set(schema["$defs"]) == {"Thing", "Line"}
    Draft202012Validator.check_schema(schema)
    event = {
        "id": "evt_1", "type": "thing.made.v1", "occurred_at": "2026-11-26T12:00:00Z", "aggregate_id": "th_1",
        "merchant_id": None, "data": {"thing": {"id": "th_1", "status": "new", "note": None, "lines": [{}]}},
    }  # fmt: skip
    (fault,) = Draft202012Validator(schema).iter_errors(event)
    assert list(fault.absolute_path) == ["data", "thing", "lines", 0]


@pytest.mark.parametrize(
    "change",
    [
        lambda thing: thing["properties"].update(colour={"type": "string"}),
        lambda thing: thing["properties"]["status"]["enum"].append("ancient"),
        lambda thing: thing["properties"]["id"].update(description="what it is called", examples=["th_9"]),
        lambda thing: thing.update(description="a thing"),
    ],
    ids=["member", "word", "note", "title"],
)
def test_what_only_adds_is_allowed(change: Callable[[Schema], Any]) -> None:
    assert breaks(schema_of(THING), schema_of(changed(change))) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t["properties"].pop("size_mm"), "/data/thing/size_mm: removed"),
        (lambda t: t["properties"]["size_mm"].update(type="string"), "/data/thing/size_mm: retyped"),
        (lambda t: t["properties"].update(note={"type": "string"}), "/data/thing/note: retyped"),
        (
            lambda t: t["properties"].update(id={"anyOf": [t["properties"]["id"], {"type": "null"}]}),
            "/data/thing/id: retyped",
        ),
        (lambda t: t["properties"]["size_mm"].update(minimum=1), "/data/thing/size_mm: minimum"),
        (lambda t: t["properties"]["size_mm"].update(maximum=9), "/data/thing/size_mm: maximum"),
        (lambda t: t["properties"]["id"].update(pattern="^thing_"), "/data/thing/id: pattern"),
        (lambda t: t["properties"]["id"].pop("pattern"), "/data/thing/id: pattern"),
        (lambda t: t["properties"]["lines"].update(maxItems=4), "/data/thing/lines: maxItems"),
        (
            lambda t: t["properties"]["status"]["enum"].remove("old"),
            "/data/thing/status: words are gone: old",
        ),
        (lambda t: t["properties"]["status"].pop("enum"), "/data/thing/status: retyped"),
        (lambda t: t["required"].append("size_mm"), "/data/thing/size_mm: required, and was not"),
        (lambda t: t["required"].remove("note"), "/data/thing/note: not always there"),
        (lambda t: t["properties"]["labels"].pop("additionalProperties"), "/data/thing/labels: additional"),
        (
            lambda t: t["properties"]["labels"]["additionalProperties"].update(type="integer"),
            "/data/thing/labels/*: retyped",
        ),
        (
            lambda t: (t["properties"].update(colour={"type": "string"}), t["required"].append("colour")),
            "/data/thing/colour: required, and was not",
        ),
    ],
    ids=[*"abcdefghijklmnop"],
)
def test_what_breaks_a_reader_or_an_old_event_is_named(change: Callable[[Schema], Any], told: str) -> None:
    (found,) = breaks(schema_of(THING), schema_of(changed(change)))
    assert found.startswith(told)


def test_a_shape_that_is_shared_is_looked_into_wherever_it_is_used() -> None:
    without = changed(lambda line: (line["properties"].clear(), line["required"].clear()), LINE)
    assert breaks(schema_of(THING), schema_of(THING, without)) == ["/data/thing/lines/*/amount: removed"]


def test_one_of_two_kinds_of_object_may_not_go() -> None:
    def kind(name: str) -> Schema:
        return {"type": "object", "properties": {"object": {"const": name}}}

    both = schema_of({"oneOf": [kind("transfer"), kind("journal")]})
    (found,) = breaks(both, schema_of(kind("journal")))
    assert (
        found
        == "/data/thing: retyped, object object=journal or object object=transfer became object object=journal"
    )
