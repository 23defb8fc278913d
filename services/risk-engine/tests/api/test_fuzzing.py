"""The engine under schemathesis, over real HTTP."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvicorn
from risk_rig import TOKEN, Api

from platform_cli.embedded.fuzzing import EXAMPLES, fuzz


@pytest.fixture
async def url(api: Api) -> AsyncIterator[str]:
    """The started application behind a server of its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(api.app, log_config=None, access_log=False, lifespan="off", ws="none")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await serving


@pytest.mark.timeout(max(180, EXAMPLES * 30))
async def test_every_answer_is_one_that_the_document_promises(api: Api, url: str, tmp_path: Path) -> None:
    lead = (await api.post("/v1/staff", {"name": "lead", "role": "lead"})).body["token"]
    found = await fuzz(
        url, {"internalToken": TOKEN, "staffToken": lead}, directory=tmp_path, examples=4, weight=3
    )
    assert found.passed, found.told
    assert found.cases >= 100, found.told
