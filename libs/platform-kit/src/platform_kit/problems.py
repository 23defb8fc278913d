"""Refusals in words: RFC 9457 problem details, one class per refusal, never the offending value in the answer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import compile_path

from platform_kit.logging import redact_text

MEDIA_TYPE = "application/problem+json"


class Problem(HTTPException):
    """Base of every refusal. Subclasses set `status`, `code` (the slug that ends the type URI) and `title`.

    `detail` is one sentence that says what to do; `errors` name the members at fault by JSON pointer;
    `extra` members go beside the standard ones (for example `allowed` next states).
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Something went wrong on our side"

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(self.status, detail or self.title, dict(headers or {}))
        self.errors = list(errors)
        self.extra = extra

    def body(self, instance: str | None, request_id: str | None) -> dict[str, Any]:
        """The problem object, in the order in which a person reads it."""
        members: dict[str, Any] = {
            "type": f"/problems/{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            "request_id": request_id,
        }
        members = {name: value for name, value in members.items() if value is not None}
        if self.errors:
            members["errors"] = self.errors
        return members | self.extra


def problem_type(status: int, code: str, title: str) -> type[Problem]:
    """A Problem class made from data, for statuses that carry no behaviour of their own."""
    return type(code.title().replace("-", ""), (Problem,), {"status": status, "code": code, "title": title})


class MalformedJson(Problem):
    status, code, title = 400, "malformed-json", "The body is not valid JSON"


class DuplicateKey(Problem):
    status, code, title = 400, "duplicate-key", "A member appears twice in one JSON object"


class Unauthenticated(Problem):
    status, code, title = 401, "unauthenticated", "No valid API key was given"

    def __init__(self, detail: str = "Send a valid key as `Authorization: Bearer <key>`.") -> None:
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"})


class NotFound(Problem):
    status, code, title = 404, "not-found", "There is no such object"


class BodyTooLarge(Problem):
    status, code, title = 413, "body-too-large", "The body is larger than this endpoint accepts"


class UnsupportedMediaType(Problem):
    status, code, title = 415, "unsupported-media-type", "Send the body as application/json"


class EncodingNotSupported(Problem):
    status, code, title = 415, "encoding-not-supported", "Compressed request bodies are not accepted"


class InvalidRequest(Problem):
    status, code, title = 422, "invalid-request", "The request is understood and refused"


class Unavailable(Problem):
    status, code, title = 503, "unavailable", "The service cannot take this request now"

    def __init__(self, detail: str | None = None, retry_after_s: int = 1) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_s)})


_PLAIN: Mapping[int, type[Problem]] = {
    404: NotFound,
    405: problem_type(405, "method-not-allowed", "This path does not take this method"),
    413: BodyTooLarge,
}


def install_problem_handlers(app: FastAPI) -> None:
    """Render Problems, framework errors, validation errors and bugs alike as problem+json."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)


def render(problem: Problem, request: Request) -> Response:
    """The response of a Problem; `request_id` comes from the canonical log middleware. What a client put into the path
    is not sent back when it is a card number."""
    body = problem.body(redact_text(request.url.path), request.scope.get("request_id"))
    return Response(orjson.dumps(body), problem.status, problem.headers, MEDIA_TYPE)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return render(error, request)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known = _PLAIN.get(error.status_code)
    problem = known() if known else problem_type(error.status_code, "http-error", error.detail)()
    problem.headers = dict(error.headers or {})
    if error.status_code == 405:
        problem.headers["Allow"] = ", ".join(_methods_of(request)) or problem.headers.get("Allow", "")
    return render(problem, request)


def _methods_of(request: Request) -> Sequence[str]:
    """All methods of the path that was asked for (RFC 9110 10.2.1): each is a route of its own, and the router names
    those of the first one only. A fixed path is another resource than the parameter that would take its name."""
    found: dict[int, set[str]] = {}
    path = request.scope["path"]
    for route in iter_route_contexts(request.app.routes):
        methods, template = getattr(route, "methods", None), getattr(route, "path", None)
        if methods and template and (pattern := _pattern(template)).match(path):
            found.setdefault(pattern.groups, set()).update(methods)
    return sorted(found[min(found)]) if found else ()


@lru_cache(maxsize=1024)
def _pattern(template: str) -> re.Pattern[str]:
    return compile_path(template)[0]


async def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return render(from_validation_errors(error.errors()), request)


# What pydantic calls it -> what the field calls it. Types that models raise themselves (PydanticCustomError with a
# slug such as "invalid-amount") pass through unchanged.
_SLUGS = {"extra_forbidden": "unknown-field", "missing": "missing-field"}


def from_validation_errors(found: Sequence[Mapping[str, Any]]) -> Problem:
    """One Problem for all that is wrong with a payload; its code is that of the first error.

    Each error says where (`pointer`), what it is called (`code`) and what is allowed there (`detail`). Nothing of the
    input is repeated: names of members stand in pointers alone, of `ctx` the limits alone are told.
    """
    errors = [
        {"pointer": redact_text(_pointer(e["loc"])), "code": _slug(e["type"]), "detail": _detail(e)}
        for e in found
    ]
    code = errors[0]["code"] if errors else InvalidRequest.code
    title = _TITLES.get(code, InvalidRequest.title)
    return problem_type(422, code, title)(
        f"{errors[0]['pointer'] or 'The request'}: {errors[0]['detail']}" if errors else None, errors=errors
    )


_TITLES = {
    "unknown-field": "A member is not part of this request",
    "missing-field": "A required member is missing",
    "amount-exceeds-remaining": "More was asked than remains",
    "invalid-amount": "The amount is not acceptable",
    "unsupported-currency": "The currency is not supported",
    "invalid-text": "A text has characters or a length that are not accepted",
    "card-data-not-allowed": "Card numbers are not accepted here",
}


# What pydantic calls it -> what is allowed there, in our words. Types that models raise themselves bring their own.
_ALLOWED: Mapping[str, str] = {
    "missing": "is required",
    "extra_forbidden": "is not a member of this request",
    "none_required": "must be null",
    "string_type": "must be a text",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
    "string_unicode": "must be valid Unicode",
    "int_type": "must be an integer",
    "int_parsing": "must be an integer",
    "int_parsing_size": "must be an integer of at most 4,300 digits",
    "int_from_float": "must be an integer",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "decimal_type": "must be a decimal number",
    "decimal_parsing": "must be a decimal number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "literal_error": "must be one of {expected}",
    "enum": "must be one of {expected}",
    "union_tag_invalid": "must be one of {expected_tags}",
    "union_tag_not_found": "must have the member {discriminator}, which says what it is",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dataclass_type": "must be an object",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "date_type": "must be a date such as 2026-11-26",
    "date_parsing": "must be a date such as 2026-11-26",
    "date_from_datetime_parsing": "must be a date such as 2026-11-26",
    "date_from_datetime_inexact": "must be a date without a time, such as 2026-11-26",
    "datetime_type": "must be a time such as 2026-11-26T12:00:00Z",
    "datetime_parsing": "must be a time such as 2026-11-26T12:00:00Z",
    "datetime_from_date_parsing": "must be a time such as 2026-11-26T12:00:00Z",
    "datetime_object_invalid": "must be a time such as 2026-11-26T12:00:00Z",
    "timezone_aware": "must be a time with its offset, such as 2026-11-26T12:00:00Z",
    "bytes_type": "must be a text",
    "json_invalid": "must be valid JSON",
}


def _detail(error: Mapping[str, Any]) -> str:
    """What is allowed. A kind that we have no words for is told by pydantic's, which repeat no input but a tag."""
    allowed = _ALLOWED.get(error["type"])
    return allowed.format_map(error.get("ctx") or {}) if allowed else str(error["msg"])


def _slug(kind: str) -> str:
    return kind if "-" in kind else _SLUGS.get(kind, InvalidRequest.code)


def _pointer(loc: Sequence[str | int]) -> str:
    """JSON pointer into the body. Pydantic puts the tag of a union into the path; our tags are named like the member
    that they bring (`method: {type: card, card: {...}}`), so a repetition is the tag."""
    named = [str(part) for part in loc if part != "body"]
    parts = [part for before, part in zip(["", *named], named, strict=False) if part != before]
    return "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in parts)
