"""A running `data-pipeline api`, and how the tests talk to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import aiohttp
from fastapi import FastAPI
from pipeline_rig import TOKEN

from data_pipeline.domain.operators import NOBODY, Operator, Role, form_token, hash_session
from data_pipeline.operations.deps import Deps
from data_pipeline.store import operators

SESSION = "session-of-the-admin"


@dataclass
class Service:
    """A running `data-pipeline api`."""

    url: str
    app: FastAPI
    deps: Deps
    session: aiohttp.ClientSession

    async def get(self, path: str, status: int = 200, *, token: str = TOKEN, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {token}"} | options.pop("headers", {})
        async with self.session.get(self.url + path, headers=headers, **options) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json(content_type=None)

    async def page(self, path: str, status: int = 200) -> str:
        async with self.session.get(self.url + path) as answer:
            assert answer.status == status, await answer.text()
            return await answer.text()

    async def post(
        self, path: str, body: Any = None, *, token: str = TOKEN, **options: Any
    ) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"} | options.pop("headers", {})
        options.setdefault("json", body)
        async with self.session.post(self.url + path, headers=headers, **options) as answer:
            return answer.status, await answer.json(content_type=None)

    async def send(
        self, path: str, fields: dict[str, str], *, session_id: str = SESSION, token: str | None = None
    ) -> tuple[int, str, str]:
        """Post a form of the console: status, Location, page. `token` None is the right one."""
        sent = fields | {"form_token": form_token(session_id) if token is None else token}
        async with self.session.post(
            self.url + path, data=sent, headers={"Cookie": f"console={session_id}"}, allow_redirects=False
        ) as answer:
            return answer.status, answer.headers.get("location", ""), await answer.text()


async def employ(deps: Deps, **roles: str) -> None:
    """Operators by name, with their roles; nobody can log in as one of them."""
    async with deps.engine.begin() as conn:
        for name, role in roles.items():
            assert await operators.add(conn, Operator(name, Role(role)), NOBODY)


async def logged_in(deps: Deps, role: Role = Role.ADMIN, session_id: str = SESSION) -> str:
    """The id of a session of an operator called like the role. Straight into the store: a password takes its time."""
    async with deps.engine.begin() as conn:
        await operators.add(conn, Operator(f"{role}-1", role), NOBODY)
        await operators.open_session(conn, hash_session(session_id), f"{role}-1", deps.clock.now())
    return session_id
