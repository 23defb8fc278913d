"""Every route of the facade: refusals of whatever origin in Stripe's envelope, its headers, and what is expanded."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from payment_gateway.api.personal_data import opened
from payment_gateway.api.stripe.errors import InvalidParameter, envelope
from payment_gateway.api.stripe.expand import expanded, paths_of
from payment_gateway.domain.stripe_objects import API_VERSION
from platform_kit import canonical
from platform_kit.db import is_unavailable
from platform_kit.ids import new_id
from platform_kit.logging import get_logger
from platform_kit.problems import Problem

log = get_logger(__name__)

VERSION_HEADER: Final = "Stripe-Version"
VERSION_LENGTH_MAX: Final = 40
AGAIN: Final = (
    "send the same request again, under the same Idempotency-Key"  # it may have been done before it failed
)


class StripeRoute(APIRoute):
    """A route whose refusals, of whatever origin, leave in Stripe's envelope, and whose answers carry its headers."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_in_envelope(request: Request) -> Response:
            try:
                paths = await paths_of(request)
                response = await opened(request, await handle(request))
                if paths and response.status_code == 200:
                    response = await expanded(request, response, paths)
            except InvalidParameter as error:
                members = {"param": error.param, "code": error.stripe_code}
                response = envelope(400, error.body(None, None), None, **members)
            except Problem as problem:
                response = envelope(problem.status, problem.body(None, None), problem.headers)
            except RequestValidationError:
                response = envelope(400, {"detail": "The request is not understood."})
            except HTTPException as error:
                response = envelope(error.status_code, {"detail": error.detail}, error.headers)
            except Exception as error:
                response = _last_resort(request, error)
            response.headers["Request-Id"] = str(request.scope.get("request_id") or new_id("req"))
            response.headers[VERSION_HEADER] = _version(request)
            return response

        return handle_in_envelope


def _last_resort(request: Request, error: Exception) -> Response:
    """What no refusal is made for: a database that is not there, or a bug, of which nothing inside is told."""
    if is_unavailable(error):
        log.warning("database not reachable", error=repr(error))
        return envelope(503, {"detail": f"The database is not available; {AGAIN}."})
    canonical.add(error=type(error).__name__)
    log.exception("unhandled error", path=request.scope["path"])
    return envelope(500, {"detail": f"Something went wrong on our side; {AGAIN}."})


def _version(request: Request) -> str:
    """Any dated version is accepted and named again: ours is one shape."""
    asked = request.headers.get(VERSION_HEADER, "")
    fits = 0 < len(asked) <= VERSION_LENGTH_MAX and asked.isascii() and asked.isprintable()
    return asked if fits else API_VERSION
