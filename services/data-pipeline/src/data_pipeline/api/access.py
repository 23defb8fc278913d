"""Who may do what, and how answers are written."""

from __future__ import annotations

import hmac
from dataclasses import asdict, is_dataclass
from typing import Any

import orjson
from fastapi import Header, Request

from data_pipeline.operations.deps import Deps
from platform_kit.app import JsonResponse
from platform_kit.problems import Unauthenticated


def deps_of(request: Request) -> Deps:
    """What `open_deps` yielded to this application."""
    deps: Deps = request.app.state.deps
    return deps


def require_internal(request: Request, authorization: str = Header(default="")) -> None:
    """Refuse whoever does not carry the service-to-service token. An empty token opens nothing."""
    token = deps_of(request).settings.internal_token.get_secret_value()
    scheme, _, given = authorization.partition(" ")
    known = bool(token) and scheme.lower() == "bearer" and hmac.compare_digest(given.encode(), token.encode())
    if not known:
        raise Unauthenticated("Send the internal token as `Authorization: Bearer <token>`.")


def answer(content: Any, status: int = 200) -> JsonResponse:
    """JSON with times as ISO 8601 in UTC with `Z`."""
    value = asdict(content) if is_dataclass(content) and not isinstance(content, type) else content
    return JsonResponse(orjson.dumps(value, option=orjson.OPT_UTC_Z), status)
