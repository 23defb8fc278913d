"""The contract of an event type: one JSON schema for the whole event, and what a later schema may not do to it.

A producer names the shape of `data` per type; the document made here is complete by itself, so that a consumer needs
one file only. Readers must bear members that they do not know: the schema leaves objects open.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

Schema = dict[str, Any]
Definitions = Mapping[str, Schema]

_COMPONENT, _DEFINITION = "#/components/schemas/", "#/$defs/"
_SAYS_NOTHING: Final = frozenset({"description", "examples", "title", "$schema", "$id", "$ref", "$defs"})
_COMPARED: Final = frozenset(
    {"properties", "required", "enum", "items", "additionalProperties", "anyOf", "oneOf"}
)


def document_of(kind: str, data: Schema, definitions: Definitions) -> Schema:
    """The schema of an event of type `kind`, as streams, events APIs and webhooks carry it.

    `definitions` are the shapes that `data` refers to as `platform_kit.contract.ref` does; only those are taken along.
    """
    envelope = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:platform:event:{kind}",
        "title": kind,
        "type": "object",
        "required": ["id", "type", "occurred_at", "aggregate_id", "merchant_id", "data"],
        "properties": {
            "id": {"type": "string", "pattern": "^evt_[0-9a-z]{1,60}$"},
            "type": {"type": "string", "const": kind},
            "occurred_at": {"type": "string", "format": "date-time"},
            "aggregate_id": {
                "type": "string",
                "description": "what it is about; order is promised within it",
            },
            "merchant_id": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "data": data,
            "position": {
                "type": "integer",
                "minimum": 1,
                "description": "dense within its stream; between our services only",
            },
            "traceparent": {
                "anyOf": [{"type": "string"}, {"type": "null"}],
                "description": "W3C trace context; between our services only",
            },
        },
    }
    used: Schema = {}
    _take_along(data, definitions, used)
    if used:
        envelope["$defs"] = dict(sorted(used.items()))
    local: Schema = _local(envelope)
    return local


def breaks(old: Schema, new: Schema) -> list[str]:
    """What `new` does that `old` promised would not happen, each with its JSON pointer; empty when `new` only adds.

    Both ways: a reader that was written for `old` must bear every new event, and events that are stored already must
    fit `new`, for they are read again. So no member goes, changes its type or its limits, or stops being always there,
    and none that is new is required. A word may be added to a list of words, none taken away.
    """
    return list(_breaks(old, new, old.get("$defs", {}), new.get("$defs", {}), ""))


def _breaks(
    old: Schema, new: Schema, old_defs: Definitions, new_defs: Definitions, where: str
) -> Iterator[str]:
    olds, news = _alternatives(old, old_defs), _alternatives(new, new_defs)
    if set(olds) != set(news):
        yield f"{where or '/'}: retyped, {_named(olds)} became {_named(news)}"
        return
    for key, before in olds.items():
        yield from _breaks_of_one(before, news[key], old_defs, new_defs, where)


def _breaks_of_one(
    old: Schema, new: Schema, old_defs: Definitions, new_defs: Definitions, where: str
) -> Iterator[str]:
    here = where or "/"
    for keyword in sorted((old.keys() | new.keys()) - _SAYS_NOTHING - _COMPARED):
        if old.get(keyword) != new.get(keyword):
            yield f"{here}: {keyword} was {old.get(keyword)!r}, is {new.get(keyword)!r}"
    if ("enum" in old) != ("enum" in new):
        yield f"{here}: retyped, a list of words is one side only"
    elif gone := sorted(set(old.get("enum", ())) - set(new.get("enum", ()))):
        yield f"{here}: words are gone: {', '.join(map(str, gone))}"
    members, later = old.get("properties", {}), new.get("properties", {})
    for name in members:
        if name not in later:
            yield f"{where}/{name}: removed"
        else:
            yield from _breaks(members[name], later[name], old_defs, new_defs, f"{where}/{name}")
    required, now_required = set(old.get("required", ())), set(new.get("required", ()))
    for name in sorted(now_required - required):
        yield f"{where}/{name}: required, and was not"
    for name in sorted((required - now_required) & later.keys()):
        yield f"{where}/{name}: not always there any more"
    for keyword in ("items", "additionalProperties"):
        if isinstance(old.get(keyword), dict) and isinstance(new.get(keyword), dict):
            yield from _breaks(old[keyword], new[keyword], old_defs, new_defs, f"{where}/*")
        elif old.get(keyword) != new.get(keyword):
            yield f"{here}: {keyword} changed"


def _alternatives(schema: Schema, defs: Definitions) -> dict[tuple[str, ...], Schema]:
    """What a value may be, by its type and the words that tell such objects apart."""
    if "$ref" in schema:
        return _alternatives(defs[str(schema["$ref"]).removeprefix(_DEFINITION)], defs)
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            found: dict[tuple[str, ...], Schema] = {}
            for one in schema[keyword]:
                found |= _alternatives(one, defs)
            return found
    told_by = (f"{n}={m['const']}" for n, m in sorted(schema.get("properties", {}).items()) if "const" in m)
    return {(str(schema.get("type", "anything")), *told_by): schema}


def _named(alternatives: Mapping[tuple[str, ...], Schema]) -> str:
    return " or ".join(sorted(" ".join(key) for key in alternatives))


def _take_along(node: Any, definitions: Definitions, used: Schema) -> None:
    for name in _references(node):
        if name not in used:
            used[name] = definitions[name]
            _take_along(definitions[name], definitions, used)


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"].removeprefix(_COMPONENT)
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _local(node: Any) -> Any:
    """The same with references into the document itself."""
    if isinstance(node, dict):
        return {
            name: value.replace(_COMPONENT, _DEFINITION) if name == "$ref" else _local(value)
            for name, value in node.items()
        }
    return [_local(value) for value in node] if isinstance(node, list) else node
