"""The gateway under schemathesis: what its document promises, for thousands of requests that nobody thought of."""

from __future__ import annotations

from pathlib import Path

import pytest
from gateway_rig import ADMIN, RunningGateway
from simulator_rig import TOKEN

from payment_gateway.domain.versions import CURRENT
from platform_cli.embedded.fuzzing import EXAMPLES, fuzz


@pytest.mark.timeout(max(600, EXAMPLES * 30))
async def test_every_answer_is_one_that_the_document_promises(
    gateway: RunningGateway, tmp_path: Path
) -> None:
    (own_key,) = (await gateway.call("GET", "/v1/api-keys")).body["data"]
    tokens = {"merchantKey": gateway.key, "administratorKey": ADMIN, "internalToken": TOKEN}
    found = await fuzz(
        gateway.url,
        tokens,
        directory=tmp_path,
        examples=1,
        kept_ids=(own_key["id"], gateway.merchant_id),
        # The document shows the newest version, whatever a case has pinned; operators' doors want a name.
        headers={"Platform-Version": CURRENT, "Acting-For": "ada"},
    )
    assert found.passed, found.told
    assert found.cases >= (10_000 if EXAMPLES >= 100 else 1000), found.told
    assert (await gateway.verification())["balanced"], "no request, however odd, may unbalance the ledger"
