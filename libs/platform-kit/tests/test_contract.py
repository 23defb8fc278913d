"""The document of an application: who may call, what the front door refuses, and where it is not served."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from asgi_call import call
from fastapi import APIRouter, Depends, FastAPI, Query
from pydantic import BaseModel
from starlette.responses import Response

from platform_kit.app import JsonResponse, create_app
from platform_kit.body import StrictRoute
from platform_kit.contract import KEYED, Contract, Guard, answer
from platform_kit.moments import Day, Moment
from platform_kit.settings import ServiceSettings

THING = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}


async def require_friend() -> None:
    """Everybody is one."""


class Body(BaseModel):
    name: str


def an_app(**settings: Any) -> FastAPI:
    router = APIRouter(prefix="/things", tags=["things"], route_class=StrictRoute)

    @router.post("", status_code=201, responses=answer("Thing", 201), openapi_extra=KEYED)
    async def make(body: Body, friend: Annotated[None, Depends(require_friend)]) -> Response:
        return JsonResponse({"id": body.name}, 201)

    @router.get("/{thing_id}", responses=answer("Thing"))
    async def get(
        thing_id: str, day: Day | None = None, at: Annotated[Moment | None, Query()] = None
    ) -> Response:
        return JsonResponse({"id": thing_id})

    @asynccontextmanager
    async def nothing(settings: ServiceSettings) -> AsyncIterator[None]:
        yield None

    contract = Contract(
        guards={require_friend: Guard("friend", "A friend's key.", {403: "not-that-close"})},
        schemas={"Thing": THING},
        links={"Thing": {"test_contract_get": ("thing_id", "/id")}},
    )
    return create_app(
        ServiceSettings(**settings),
        service="things",
        routers=[router],
        open_deps=nothing,
        checks=lambda deps: {},
        contract=contract,
    )


@pytest.fixture
def document() -> dict[str, Any]:
    return an_app().openapi()


def test_a_guard_that_runs_is_a_guard_that_is_documented(document: dict[str, Any]) -> None:
    make, get = document["paths"]["/things"]["post"], document["paths"]["/things/{thing_id}"]["get"]
    assert make["security"] == [{"friend": []}]
    assert get["security"] == []
    assert {"401", "403"} <= make["responses"].keys()
    assert not {"401", "403"} & get["responses"].keys()


def test_the_front_door_s_refusals_are_in_every_operation_that_can_meet_them(
    document: dict[str, Any],
) -> None:
    make, get = document["paths"]["/things"]["post"], document["paths"]["/things/{thing_id}"]["get"]
    assert {"400", "413", "415", "422", "503"} <= make["responses"].keys()
    assert {"404", "422", "503"} <= get["responses"].keys()
    assert "413" not in get["responses"]
    assert make["responses"]["422"]["content"].keys() == {"application/problem+json"}


def test_an_answer_is_linked_to_what_can_be_done_with_it(document: dict[str, Any]) -> None:
    links = document["paths"]["/things"]["post"]["responses"]["201"]["links"]
    (link,) = links.values()
    assert link["operationId"] == document["paths"]["/things/{thing_id}"]["get"]["operationId"]
    assert link["parameters"] == {"thing_id": "$response.body#/id"}


async def test_the_document_is_served_and_no_page_draws_it() -> None:
    app = an_app()
    assert (await call(app, "/openapi.json")).status == 200
    assert (await call(app, "/docs")).status == 404
    assert (await call(app, "/redoc")).status == 404


async def test_production_serves_no_document() -> None:
    assert (await call(an_app(openapi=False), "/openapi.json")).status == 404


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("day=2026-11-26", 200),
        ("day=0", 422),
        ("at=2026-11-26T12:00:00Z", 200),
        ("at=2026-11-26T12:00:00", 422),
        ("at=1800000000", 422),
        ("at=0.5", 422),
    ],
)
async def test_a_time_has_a_date_in_it(query: str, status: int) -> None:
    assert (await call(an_app(), f"/things/1?{query}")).status == status
