"""The application factory: one front door, one problem type, three health doors for every service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    nullcontext,
)
from functools import lru_cache, partial
from typing import Any, TypeVar

import orjson
from fastapi import APIRouter, FastAPI, Request
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.responses import Response

from platform_kit.body import BodyLimitMiddleware
from platform_kit.canonical import CanonicalLogMiddleware
from platform_kit.contract import Contract, Responses, answer, describe, operation_id
from platform_kit.db import is_unavailable
from platform_kit.logging import configure_logging, get_logger
from platform_kit.ops import Check, OpsServer, failing
from platform_kit.overload import AdaptiveLimit, Shedding, SheddingMiddleware, watching
from platform_kit.problems import Problem, Unavailable, install_problem_handlers, render
from platform_kit.settings import ServiceSettings
from platform_kit.telemetry import configure_tracing

Settings = TypeVar("Settings", bound=ServiceSettings)
Deps = TypeVar("Deps")
log = get_logger(__name__)


class JsonResponse(Response):
    """orjson instead of json: a response is rendered in a third of the time."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return content if isinstance(content, bytes) else orjson.dumps(content)


def create_app(
    settings: Settings,
    *,
    service: str,
    routers: Sequence[APIRouter],
    open_deps: Callable[[Settings], AbstractAsyncContextManager[Deps]],
    checks: Callable[[Deps], Mapping[str, Check]],
    description: str = "",
    contract: Contract = Contract(),
    larger_bodies: Mapping[str, int] | None = None,
    shedding: Shedding | None = None,
) -> FastAPI:
    """An application whose `state.deps` is what `open_deps` yields while it runs.

    `checks` name what must be usable before traffic may come; the startup door opens when they passed once.
    `larger_bodies` are the paths that take more bytes than the settings allow all others.
    `shedding` says what may be refused while the process is behind, and in which order.
    `contract` completes `GET /openapi.json`. There is no page that draws it: those load scripts of others (ADR 74).
    """
    configure_logging(settings, service)
    configure_tracing(settings, service)

    limit = AdaptiveLimit()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_deps(settings) as deps:
            app.state.deps = deps
            app.state.checks = checks(deps)
            async with OpsServer(settings.host, settings.ops_port, checks=app.state.checks):
                with _shedding(limit, settings.overload_lag_s, shedding, deps):
                    yield

    app = FastAPI(
        title=service,
        version=settings.app_version,
        description=description,
        lifespan=lifespan,
        openapi_url="/openapi.json" if settings.openapi else None,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=operation_id,
    )
    # Made at the first request for it: most processes are never asked, and it takes longer than their start may.
    app.openapi = lru_cache(maxsize=1)(lambda: describe(app, contract))  # type: ignore[method-assign]
    app.state.draining = app.state.started = False
    app.add_middleware(BodyLimitMiddleware, max_bytes=settings.request_body_max_bytes, larger=larger_bodies)
    if shedding and settings.overload_lag_s:
        app.add_middleware(SheddingMiddleware, limit=limit, shedding=shedding)
    app.add_middleware(CanonicalLogMiddleware, service=service, version=settings.app_version)
    install_problem_handlers(app)
    for kind in (DBAPIError, PoolTimeoutError, ConnectionRefusedError):  # the last: asyncpg's, not wrapped
        app.add_exception_handler(kind, _on_database_error)
    app.add_exception_handler(Exception, _on_bug)
    app.include_router(_doors(service, settings.app_version))
    for router in routers:
        app.include_router(router)
    return app


def _shedding(
    limit: AdaptiveLimit, lag_s: float, shedding: Shedding | None, deps: object
) -> AbstractContextManager[None]:
    """Looks at how far the process is behind, when it may shed at all."""
    if not (shedding and lag_s):
        return nullcontext()
    return watching(limit, lag_s, partial(shedding.take, deps) if shedding.take else None)


_NOT_READY: Responses = {503: answer("Health")[200] | {"description": "no traffic now, and why"}}


def _doors(service: str, version: str) -> APIRouter:
    """live: the loop turns. ready: dependencies answer and no drain is on. startup: ready once."""
    router = APIRouter(tags=["operations"])

    @router.get("/health/live", responses=answer("Health"))
    async def live() -> Response:
        return JsonResponse({"status": "live"})

    @router.get("/health/ready", responses=answer("Health") | _NOT_READY)
    async def ready(request: Request) -> Response:
        if request.app.state.draining:
            return JsonResponse({"status": "draining"}, 503)
        failed = await failing(request.app.state.checks)
        request.app.state.started = request.app.state.started or not failed
        if failed:
            return JsonResponse({"status": "not ready", "failing": failed}, 503)
        return JsonResponse({"status": "ready"})

    @router.get("/health/startup", responses=answer("Health") | _NOT_READY)
    async def startup(request: Request) -> Response:
        if not request.app.state.started:
            return await ready(request)
        return JsonResponse({"status": "started"})

    @router.get("/version", responses=answer("Version"))
    async def show_version() -> Response:
        return JsonResponse({"service": service, "version": version})

    return router


class DatabaseUnavailable(Unavailable):
    """Before anything of the request was done: what was begun ends in the committer, which says so itself."""

    code, title = "database-unavailable", "The database is not available"


async def _on_database_error(request: Request, error: Exception) -> Response:
    """503 for a database that is not there; what it refuses is a bug of ours."""
    if not is_unavailable(error):
        raise error
    log.warning("database not reachable", error=repr(error))
    return render(DatabaseUnavailable("Nothing was written; send it again shortly."), request)


async def _on_bug(request: Request, error: Exception) -> Response:
    """Last resort: a 500 that says nothing of the inside; the log line has the trace."""
    return render(Problem(), request)
