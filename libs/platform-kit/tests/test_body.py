"""The JSON front door: what it refuses, in words, and through a real application."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel, ConfigDict
from starlette.testclient import TestClient

from platform_kit.body import NESTING_MAX, BodyLimitMiddleware, StrictRoute, loads_strict
from platform_kit.problems import DuplicateKey, MalformedJson, Problem, install_problem_handlers


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'{"a": 1}', {"a": 1}),
        ('{"name": "Zoë 🙂"}'.encode(), {"name": "Zoë 🙂"}),
        (b'{"name": "\\ud83d\\ude42"}', {"name": "🙂"}),
        (b'["[[[[", {"a": "}}"}]', ["[[[[", {"a": "}}"}]),
        (b'{"n": 9007199254740993}', {"n": 9007199254740993}),
    ],
)
def test_what_is_json_is_read(raw: bytes, value: Any) -> None:
    assert loads_strict(raw) == value


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": 1} trailing',
        b'\xef\xbb\xbf{"a": 1}',
        '{"a": 1}'.encode("utf-16"),
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b'{"\\ud800": 1}',
        b'{"a": ["\\u0000"]}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b"[" * (NESTING_MAX + 1) + b"]" * (NESTING_MAX + 1),
    ],
    ids=range(15),
)
def test_what_another_parser_could_read_otherwise_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedJson):
        loads_strict(raw)


def test_a_member_that_appears_twice_is_refused_and_named() -> None:
    with pytest.raises(DuplicateKey, match="amount"):
        loads_strict(b'{"a": {"amount": 1, "amount": 2}}')


def test_nesting_up_to_the_limit_is_read() -> None:
    assert loads_strict(b"[" * NESTING_MAX + b"]" * NESTING_MAX)


class Thing(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    amount_minor: int


@pytest.fixture
def client() -> TestClient:
    router = APIRouter(route_class=StrictRoute)

    @router.post("/things")
    async def make(body: Thing) -> dict[str, int]:
        return {"amount_minor": body.amount_minor}

    app = FastAPI()
    app.add_middleware(BodyLimitMiddleware, max_bytes=2048)
    install_problem_handlers(app)
    app.include_router(router)
    return TestClient(app)


JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b'{"amount_minor": 1}', JSON, 200, None),
        (b'{"amount_minor": 1}', {"Content-Type": "application/json; charset=utf-8"}, 200, None),
        (b'{"amount_minor": 1.0}', JSON, 422, "invalid-request"),
        (b'{"amount_minor": "1"}', JSON, 422, "invalid-request"),
        (b'{"amount_minor": 1, "status": "captured"}', JSON, 422, "unknown-field"),
        (b"{}", JSON, 422, "missing-field"),
        (b"", JSON, 422, "missing-field"),
        (b'{"amount_minor": 1, "amount_minor": 2}', JSON, 400, "duplicate-key"),
        (b'{"amount_minor": ', JSON, 400, "malformed-json"),
        (b'{"amount_minor": 1}', {"Content-Type": "text/plain"}, 415, "unsupported-media-type"),
        (b'{"amount_minor": 1}', {}, 415, "unsupported-media-type"),
        (b"x", JSON | {"Content-Encoding": "gzip"}, 415, "encoding-not-supported"),
        (b'{"amount_minor": 1}' + b" " * 4096, JSON, 413, "body-too-large"),
    ],
)
def test_each_refusal_has_its_status_and_its_name(
    client: TestClient, content: bytes, headers: dict[str, str], status: int, code: str | None
) -> None:
    answer = client.post("/things", content=content, headers=headers)
    assert answer.status_code == status
    if code:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == f"/problems/{code}"


def test_a_body_that_grows_beyond_the_limit_without_announcing_it_is_refused(client: TestClient) -> None:
    answer = client.post("/things", content=iter([b" " * 1500, b" " * 1500]), headers=JSON)
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/body-too-large")


def test_a_refusal_never_repeats_what_was_sent(client: TestClient) -> None:
    answer = client.post("/things", json={"amount_minor": "4242424242424242", "x": "secret"})
    assert answer.status_code == 422
    assert "4242" not in answer.text
    assert "secret" not in answer.text


def test_an_unknown_path_is_a_problem_too(client: TestClient) -> None:
    answer = client.get("/nowhere")
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


def test_a_problem_lists_its_members_in_reading_order() -> None:
    body = Problem("why").body("/x", "req_1")
    assert list(body) == ["type", "title", "status", "detail", "instance", "request_id"]
