"""A running `data-pipeline api`, and how the tests talk to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import aiohttp
from fastapi import FastAPI
from pipeline_rig import TOKEN

from data_pipeline.operations.deps import Deps


@dataclass
class Service:
    """A running `data-pipeline api`."""

    url: str
    app: FastAPI
    deps: Deps
    session: aiohttp.ClientSession

    async def get(self, path: str, status: int = 200, **options: Any) -> Any:
        async with self.session.get(self.url + path, **options) as answer:
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
