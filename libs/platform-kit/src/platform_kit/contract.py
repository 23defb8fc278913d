"""The OpenAPI document of a service: what FastAPI reads off the routes, and what it cannot know.

FastAPI knows bodies and parameters. Here the rest is added once for all routes, from what really runs: who may call (by
the dependencies that guard a route), what the front door refuses, the shape of a refusal, the shapes of answers, and
links from an object to what can be done with it. Nothing of it is used to serve a request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts

from platform_kit.idempotency import HEADER, KEY_LENGTH_MAX, REPLAY_HEADER
from platform_kit.money import CURRENCIES
from platform_kit.problems import MEDIA_TYPE

Schema = dict[str, Any]
Responses = dict[int | str, dict[str, Any]]
Links = Mapping[str, Mapping[str, tuple[str, str]]]

TEXT: Final[Schema] = {"type": "string"}
FLAG: Final[Schema] = {"type": "boolean"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
TIME: Final[Schema] = {"type": "string", "format": "date-time"}
ANYTHING: Final[Schema] = {"type": "object"}
_DOORS: Final = "operations"  # the tag of health and version: they are open, and say 503 in their own words


@dataclass(frozen=True, slots=True)
class Guard:
    """Who passes a dependency: the name and description of a bearer scheme, and what else it refuses, by status."""

    scheme: str
    description: str
    refusals: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AllRoutes:
    """An optional header that all routes below a prefix take and name again in their answers."""

    prefix: str
    header: str
    description: str
    schema: Schema
    refusals: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Contract:
    """What a service says of itself. `links` go from the schema of an answer to the operations that take a part of it:
    operation id -> (name of its path parameter, JSON pointer into the answer)."""

    guards: Mapping[Callable[..., Any], Guard] = field(default_factory=dict)
    schemas: Mapping[str, Schema] = field(default_factory=dict)
    links: Links = field(default_factory=dict)
    everywhere: AllRoutes | None = None


def answer(schema: str, *statuses: int) -> Responses:
    """Responses whose body is the named schema. 202 says that it is not final."""
    body = {"content": {"application/json": {"schema": ref(schema)}}}
    return {status: {"description": _MEANING[status]} | body for status in statuses or (200,)}


def problems(refusals: Mapping[int, str]) -> Responses:
    """Responses that are problem details, by status: their slugs, and what they mean."""
    made: Responses = {}
    for status, text in refusals.items():
        made[status] = {"description": text, "content": {MEDIA_TYPE: {"schema": ref("Problem")}}}
        if status in (429, 503):
            made[status]["headers"] = {"Retry-After": {"schema": COUNT, "description": "seconds"}}
        if status == 401:
            made[status]["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return made


def ref(schema: str) -> Schema:
    """A schema of the document by its name."""
    return {"$ref": f"#/components/schemas/{schema}"}


def nullable(schema: Schema) -> Schema:
    """What `schema` describes, or null. The member is there all the same."""
    return {"anyOf": [schema, {"type": "null"}]}


def items(schema: Schema) -> Schema:
    """A list of any length."""
    return {"type": "array", "items": schema}


def shape(members: Mapping[str, Schema], *, optional: Iterable[str] = ()) -> Schema:
    """An object whose members are all there, but for the optional ones. Clients must bear new ones."""
    left_out = set(optional)
    return {
        "type": "object",
        "required": [name for name in members if name not in left_out],
        "properties": dict(members),
    }


def thing(name: str, members: Mapping[str, Schema], *, optional: Iterable[str] = ()) -> Schema:
    """A `shape` that says what it is in `object`."""
    return shape({"object": {"type": "string", "const": name}, **members}, optional=optional)


KEYED: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": HEADER,
            "in": "header",
            "required": True,
            "description": "Unique for what you want done: repeat it when you repeat the request. 1 to "
            f"{KEY_LENGTH_MAX} printable ASCII characters, bare or as a quoted string.",
            "schema": {
                "type": "string",
                "minLength": 1,
                "maxLength": KEY_LENGTH_MAX,
                "pattern": "^[!-~]([ -~]*[!-~])?$",
                "not": {"const": '""'},
            },
            "example": "order-1001",
        }
    ]
}
"""`openapi_extra` of a route that acts under an idempotency key."""

_MEANING: Final = {
    200: "done",
    201: "made",
    202: "not final yet: poll the object, or repeat the request with the same key",
}
_BODY_REFUSALS: Final = {
    400: "malformed-json, duplicate-key: the body is not one JSON text of one meaning",
    413: "body-too-large",
    415: "unsupported-media-type, encoding-not-supported: send plain application/json",
}
_PARAMETER_REFUSAL: Final = {
    422: "a member or parameter is not acceptable; `errors` name them by JSON pointer"
}
_DATABASE_REFUSAL: Final = {503: "database-unavailable: nothing was done, send it again shortly"}

PROBLEM: Final[Schema] = {
    "type": "object",
    "description": "RFC 9457 problem details. `type` ends in a slug that is stable; sentences may change.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {
            "type": "string",
            "pattern": "^/problems/[a-z0-9-]+$",
            "examples": ["/problems/invalid-amount"],
        },
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "one sentence that says what to do"},
        "instance": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON pointer to the member at fault"},
                    "rule": {"type": "string", "description": "of a rule set: the rule at fault"},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
        "allowed": {"type": "array", "items": {"type": "string"}, "description": "what the state does admit"},
    },
}

_CURRENCIES: Final = sorted(CURRENCIES)
SHARED: Final[Mapping[str, Schema]] = {
    "Problem": PROBLEM,
    "Currency": {
        "type": "string",
        "description": "An active ISO 4217 code.",
        "enum": _CURRENCIES,
        "examples": ["EUR"],
    },
    "Health": {
        "type": "object",
        "required": ["status"],
        "properties": {
            "status": {"enum": ["live", "ready", "started", "draining", "not ready"]},
            "failing": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    },
    "Version": {
        "type": "object",
        "required": ["service", "version"],
        "properties": {"service": {"type": "string"}, "version": {"type": "string"}},
    },
    "OutboxPage": {
        "type": "object",
        "required": ["data", "head"],
        "properties": {
            "data": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": [
                        "id",
                        "type",
                        "position",
                        "occurred_at",
                        "aggregate_id",
                        "merchant_id",
                        "data",
                    ],
                    "properties": {
                        "id": {"type": "string"},
                        "type": {"type": "string"},
                        "position": COUNT,
                        "occurred_at": {"type": "string", "format": "date-time"},
                        "aggregate_id": {"type": "string"},
                        "merchant_id": {"type": ["string", "null"]},
                        "traceparent": {"type": ["string", "null"]},
                        "data": {"type": "object"},
                    },
                },
            },
            "head": COUNT | {"description": "the highest position that exists"},
        },
    },
}


def describe(app: FastAPI, contract: Contract) -> dict[str, Any]:
    """The complete OpenAPI document of an application."""
    document = get_openapi(
        title=app.title, version="1", openapi_version="3.1.0", description=app.description, routes=app.routes
    )
    _tidy(document)
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):  # FastAPI's own refusals; ours are Problems
        schemas.pop(unused, None)
    schemas |= {**SHARED, **contract.schemas}
    components["securitySchemes"] = {
        guard.scheme: {"type": "http", "scheme": "bearer", "description": guard.description}
        for guard in contract.guards.values()
    }
    guarded = _guards_by_route(app, contract)
    for path, method, operation in _operations(document):
        guards = guarded[path, method]
        operation["security"] = [{guard.scheme: []} for guard in guards]
        operation["responses"] = _responses(path, operation, guards)
        for response in operation["responses"].values():
            _link(response, contract.links)
        if contract.everywhere and path.startswith(contract.everywhere.prefix):
            _take_everywhere(operation, contract.everywhere)
    document["components"] = dict(sorted(components.items()))
    components["schemas"] = dict(sorted(schemas.items()))
    return document


def operation_id(route: Any) -> str:
    """`payments_capture`: the module of a route and the function's name."""
    module = str(route.endpoint.__module__).rpartition(".")[2]
    return f"{module}_{route.name}"


def _tidy(node: Any) -> None:
    """In place: the list of currencies once; names of members checked by `propertyNames`, where pydantic's
    `patternProperties` lets all others pass."""
    if isinstance(node, list):
        for one in node:
            _tidy(one)
    elif isinstance(node, dict):
        if node.get("enum") == _CURRENCIES:
            node.clear()
            node |= ref("Currency")
        patterns = node.get("patternProperties")
        if isinstance(patterns, dict) and len(patterns) == 1 and "additionalProperties" not in node:
            ((pattern, value),) = node.pop("patternProperties").items()
            node["propertyNames"] = node.get("propertyNames", {}) | {"pattern": pattern}
            node["additionalProperties"] = value
        for one in node.values():
            _tidy(one)


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def _guards_by_route(app: FastAPI, contract: Contract) -> dict[tuple[str, str], list[Guard]]:
    found: dict[tuple[str, str], list[Guard]] = {}
    for route in iter_route_contexts(app.routes):
        dependant = getattr(route, "dependant", None)
        if dependant is None:
            continue
        calls = [sub.call for sub in _all_dependencies(dependant)]
        guards = [guard for call, guard in contract.guards.items() if call in calls]
        for method in route.methods or ():
            found[str(route.path_format), method] = guards
    return found


def _all_dependencies(dependant: Dependant) -> Iterator[Dependant]:
    for sub in dependant.dependencies:
        yield sub
        yield from _all_dependencies(sub)


def _responses(path: str, operation: dict[str, Any], guards: list[Guard]) -> dict[str, Any]:
    """The route's own words come first; what the front door and the guards refuse is added where it is missing."""
    refusals: dict[int, str] = {}
    if _DOORS not in operation.get("tags", ()):
        refusals |= _DATABASE_REFUSAL
    if "{" in path:
        refusals |= {404: "not-found"}
    if operation.get("parameters") or "requestBody" in operation:
        refusals |= _PARAMETER_REFUSAL
    if "requestBody" in operation:
        refusals |= _BODY_REFUSALS
    for guard in guards:
        refusals |= {401: "unauthenticated: no valid key or token was sent"} | dict(guard.refusals)
    given = dict(operation["responses"])
    if (given.get("422", {}).get("content", {}).keys()) == {"application/json"}:
        del given["422"]  # FastAPI's
    if operation.get("parameters") and any(p["name"] == HEADER for p in operation["parameters"]):
        for status, response in given.items():
            if status.startswith("2"):
                response["headers"] = {
                    REPLAY_HEADER: {
                        "schema": {"type": "string", "const": "true"},
                        "description": "only on the repetition of a stored answer",
                    }
                }
    made = {str(status): response for status, response in problems(refusals).items()} | given
    return dict(sorted(made.items()))


def _take_everywhere(operation: dict[str, Any], shared: AllRoutes) -> None:
    """The header that all these routes take, what is refused of it, and that a success names it."""
    parameter = {"name": shared.header, "in": "header", "required": False, "schema": shared.schema}
    operation["parameters"] = [
        *operation.get("parameters", ()),
        parameter | {"description": shared.description},
    ]
    responses = operation["responses"]
    for status, response in responses.items():
        if status.startswith("2"):
            response.setdefault("headers", {})[shared.header] = {"schema": shared.schema}
    for status, response in problems(shared.refusals).items():
        told = responses.setdefault(str(status), response)
        if told is not response:
            told["description"] = f"{told['description']}; {response['description']}"
    operation["responses"] = dict(sorted(responses.items()))


def _link(response: dict[str, Any], links: Links) -> None:
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    targets = links.get(str(schema.get("$ref", "")).rpartition("/")[2])
    if targets:
        response["links"] = {
            target: {"operationId": target, "parameters": {name: f"$response.body#{pointer}"}}
            for target, (name, pointer) in targets.items()
        }
