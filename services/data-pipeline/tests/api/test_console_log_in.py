"""The door of the console: who gets in, for how long, and what a form must carry."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from datetime import timedelta
from http.cookies import SimpleCookie
from threading import Semaphore

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from pipeline_rig import NOON, rows
from running_service import SESSION, Service, logged_in

from data_pipeline.domain.operators import (
    IDLE_MAX,
    NOBODY,
    PERMISSIONS,
    SESSION_MAX,
    Permission,
    Role,
    form_token,
    hash_password,
    is_name,
    is_password,
    matches,
)
from data_pipeline.operations.log_in import FAILURES_OF_NAME_MAX
from data_pipeline.operations.manage_operators import (
    InvalidOperator,
    NameTaken,
    add_operator,
    change_operator,
    list_operators,
)
from platform_kit.clock import FixedClock
from platform_kit.problems import NotFound

PASSWORD = "correct horse battery"
NOT_LOGGED_IN = {"Cookie": ""}


async def attempt(
    service: Service,
    name: str,
    password: str,
    *,
    to: str = "",
    cookie: str = "before",
    before: str = "console_login",
    token: str | None = None,
) -> tuple[int, str, SimpleCookie]:
    """Send the log-in form: status, Location, cookies."""
    fields = {
        "name": name,
        "password": password,
        "form_token": form_token(cookie) if token is None else token,
    }
    async with service.session.post(
        f"{service.url}/console/log-in",
        params={"to": to},
        data=fields,
        headers={"Cookie": f"{before}={cookie}" if cookie else ""},
        allow_redirects=False,
    ) as answer:
        return answer.status, answer.headers.get("location", ""), answer.cookies


async def opened(service: Service, session_id: str, **headers: str) -> int:
    async with service.session.get(
        f"{service.url}/console",
        headers={"Cookie": f"console={session_id}", **headers},
        allow_redirects=False,
    ) as answer:
        return answer.status


def at(service: Service, after: timedelta) -> None:
    service.app.state.deps = replace(service.deps, clock=FixedClock(NOON + after))


async def test_every_page_and_act_leads_who_is_nobody_to_the_log_in(service: Service) -> None:
    """Of every route that there is: a page that somebody adds is in here, too."""
    paths = [
        (method, re.sub(r"{[^}]*}", "x", str(route.path)))
        for route in iter_route_contexts(service.app.routes)
        if isinstance(getattr(route, "route", route), APIRoute) or hasattr(route, "methods")
        for method in (route.methods or ())
        if str(route.path).startswith("/console") and route.path != "/console/log-in"
    ]
    assert len(paths) >= 4
    for method, path in paths:
        async with service.session.request(
            method, service.url + path, headers=NOT_LOGGED_IN, allow_redirects=False
        ) as answer:
            assert answer.status == 303, (method, path)
            assert answer.headers["location"].startswith("/console/log-in")


async def test_the_log_in_goes_on_to_the_page_that_was_wanted(service: Service) -> None:
    await add_operator(service.deps, "ada", Role.OPERATOR, PASSWORD)
    async with service.session.get(
        f"{service.url}/console/reconciliation?day=2026-11-23", headers=NOT_LOGGED_IN, allow_redirects=False
    ) as answer:
        assert (
            answer.headers["location"] == "/console/log-in?to=%2Fconsole%2Freconciliation%3Fday%3D2026-11-23"
        )
    status, location, cookies = await attempt(
        service, "ada", PASSWORD, to="/console/reconciliation?day=2026-11-23"
    )
    assert (status, location) == (303, "/console/reconciliation?day=2026-11-23")
    cookie = cookies["console"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "lax", "/")
    assert await opened(service, cookie.value) == 200
    kept = await rows(service.deps.engine, "operator_session", order="operator")
    assert cookie.value.encode() not in [row["id_hash"] for row in kept]


@pytest.mark.parametrize(
    "to", ["//evil.example", "https://evil.example", "/console\\@evil.example", "/other", "/console/\r\nx:y"]
)
async def test_the_log_in_leads_nowhere_else(service: Service, to: str) -> None:
    await add_operator(service.deps, "ada", Role.OPERATOR, PASSWORD)
    status, location, _ = await attempt(service, "ada", PASSWORD, to=to)
    assert (status, location) == (303, "/console")


async def test_behind_tls_the_cookie_is_bound_to_the_host(service: Service) -> None:
    await add_operator(service.deps, "ada", Role.OPERATOR, PASSWORD)
    secure = service.deps.settings.model_copy(update={"console_cookies_secure": True})
    service.app.state.deps = replace(service.deps, settings=secure)
    assert (await attempt(service, "ada", PASSWORD))[0] == 403, "a neighbour's host could have set this one"
    _, _, cookies = await attempt(service, "ada", PASSWORD, before="__Host-console_login")
    assert cookies["__Host-console"]["secure"] is True


@pytest.mark.parametrize(
    ("name", "password"), [("ada", "wrong password"), ("nobody", PASSWORD), ("' OR 1", ""), ("", "")]
)
async def test_what_is_wrong_is_not_said(service: Service, name: str, password: str) -> None:
    await add_operator(service.deps, "ada", Role.OPERATOR, PASSWORD)
    status, _, cookies = await attempt(service, name, password)
    assert status == 401
    assert "console" not in cookies


async def test_guessing_is_throttled_for_the_name_and_ends_with_time(service: Service) -> None:
    await add_operator(service.deps, "ada", Role.OPERATOR, PASSWORD)
    for _ in range(FAILURES_OF_NAME_MAX):
        assert (await attempt(service, "ada", "wrong password"))[0] == 401
    assert (await attempt(service, "ada", PASSWORD))[0] == 429
    at(service, timedelta(minutes=16))
    assert (await attempt(service, "ada", PASSWORD))[0] == 303


async def test_guesses_that_come_together_are_throttled_like_those_that_follow_each_other(
    service: Service,
) -> None:
    await add_operator(service.deps, "ada", Role.OPERATOR, PASSWORD)
    guesses = [attempt(service, "ada", f"wrong password {n}") for n in range(15)]
    statuses = [status for status, *_ in await asyncio.gather(*guesses)]
    assert statuses.count(401) == FAILURES_OF_NAME_MAX
    assert statuses.count(429) == 15 - FAILURES_OF_NAME_MAX
    assert (await attempt(service, "ada", PASSWORD))[0] == 429


async def test_more_passwords_than_can_be_hashed_soon_are_refused_at_once(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data_pipeline.operations.log_in._waiting", Semaphore(0))
    await add_operator(service.deps, "ada", Role.OPERATOR, PASSWORD)
    assert (await attempt(service, "ada", PASSWORD))[0] == 429


async def test_a_password_keeps_its_spaces(service: Service) -> None:
    await add_operator(service.deps, "ada", Role.OPERATOR, f" {PASSWORD} ")
    assert (await attempt(service, "ada", PASSWORD))[0] == 401
    assert (await attempt(service, "ada", f" {PASSWORD} "))[0] == 303


async def test_a_log_in_form_from_elsewhere_is_refused(service: Service) -> None:
    """Log-in CSRF: without our cookie there is no token, and the token of no cookie is none."""
    await add_operator(service.deps, "ada", Role.OPERATOR, PASSWORD)
    assert (await attempt(service, "ada", PASSWORD, cookie=""))[0] == 403
    assert (await attempt(service, "ada", PASSWORD, token="f" * 64))[0] == 403


async def test_a_session_ends_idle_and_in_any_case(service: Service) -> None:
    assert await opened(service, SESSION) == 200
    at(service, IDLE_MAX + timedelta(seconds=1))
    assert await opened(service, SESSION) == 303
    await logged_in(service.deps, Role.VIEWER, "another")
    for minutes in range(0, int(SESSION_MAX / timedelta(minutes=1)), 25):
        at(service, timedelta(minutes=minutes))
        assert await opened(service, "another") == 200
    at(service, SESSION_MAX + timedelta(seconds=1))
    assert await opened(service, "another") == 303


async def test_a_page_that_refreshes_itself_does_not_keep_the_session(service: Service) -> None:
    at(service, IDLE_MAX - timedelta(minutes=1))
    assert await opened(service, SESSION, **{"Console-Refresh": "1"}) == 200
    at(service, IDLE_MAX + timedelta(minutes=1))
    assert await opened(service, SESSION) == 303


async def test_log_out_ends_the_session_and_needs_its_token(service: Service) -> None:
    assert (await service.send("/console/log-out", {}, token="no"))[0] == 403
    assert (await service.send("/console/log-out", {}, token=form_token("")))[0] == 403
    assert await opened(service, SESSION) == 200
    assert await service.send("/console/log-out", {}) == (303, "/console/log-in", "")
    assert await opened(service, SESSION) == 303


async def test_who_is_changed_or_disabled_must_log_in_anew(service: Service) -> None:
    await logged_in(service.deps, Role.VIEWER, "viewing")
    await change_operator(service.deps, "viewer-1", role=Role.FINANCE)
    assert await opened(service, "viewing") == 303
    await add_operator(service.deps, "ada", Role.OPERATOR, PASSWORD)
    await change_operator(service.deps, "ada", is_disabled=True)
    assert (await attempt(service, "ada", PASSWORD))[0] == 401
    with pytest.raises(NotFound):
        await change_operator(service.deps, "nobody", role=Role.ADMIN)


async def test_an_operator_is_added_once_and_listed_without_the_password(service: Service) -> None:
    await add_operator(service.deps, "ada", Role.FINANCE, PASSWORD)
    with pytest.raises(NameTaken):
        await add_operator(service.deps, "ada", Role.ADMIN, PASSWORD)
    for name, password in (("Ada", PASSWORD), ("x", PASSWORD), ("bob", "too short")):
        with pytest.raises(InvalidOperator):
            await add_operator(service.deps, name, Role.VIEWER, password)
    listed = {row["name"]: row for row in await list_operators(service.deps)}
    assert listed["ada"]["role"] == "finance"
    assert not any("hash" in column for column in listed["ada"])


async def test_log_ins_cannot_be_taken_out_of_the_record(service: Service) -> None:
    await attempt(service, "ada", "wrong password")
    kept = await rows(service.deps.engine, "operator_login", "name, address, succeeded")
    assert kept == [{"name": "ada", "address": "127.0.0.1", "succeeded": False}]


async def test_the_password_is_kept_as_a_slow_hash() -> None:
    kept = await asyncio.to_thread(hash_password, PASSWORD, b"salt" * 4)
    assert kept.startswith("scrypt$32768$8$3$")
    assert PASSWORD not in kept
    assert matches(PASSWORD, kept)
    assert not matches(PASSWORD + " ", kept)
    assert not matches("", NOBODY)


def test_an_admin_may_everything_and_a_viewer_nothing() -> None:
    assert PERMISSIONS[Role.ADMIN] == frozenset(Permission)
    assert PERMISSIONS[Role.VIEWER] == frozenset()
    assert set(PERMISSIONS) == set(Role)
    assert is_name("ada.lovelace-2")
    assert not is_name("ada\nAdmin: yes")
    assert not is_password("x" * 11)
