"""The engine under schemathesis, over real HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from risk_rig import TOKEN, Api

from platform_cli.embedded.fuzzing import EXAMPLES, fuzz
from platform_cli.embedded.serving import serving


@pytest.fixture
async def url(api: Api) -> AsyncIterator[str]:
    """The started application behind a server of its own."""
    async with serving(api.app, lifespan="off") as found:
        yield found


@pytest.mark.timeout(max(600, EXAMPLES * 30))
async def test_every_answer_is_one_that_the_document_promises(api: Api, url: str, tmp_path: Path) -> None:
    lead = (await api.post("/v1/staff", {"name": "lead", "role": "lead"})).body["token"]
    found = await fuzz(
        url, {"internalToken": TOKEN, "staffToken": lead}, directory=tmp_path, examples=4, weight=3
    )
    assert found.passed, found.told
    assert found.cases >= 100, found.told
