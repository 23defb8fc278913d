"""What the ledger says of a channel's day and what the channel says are the same."""

from datetime import UTC, datetime
from typing import Any

import pytest


@pytest.mark.parametrize("channel", ["card_sim", "card_sim_2", "wallet_sim", "bank_sim"])
async def test_today_balances(merchant: Any, pipeline: Any, platform: Any, channel: str) -> None:
    if not platform.internal_token:
        pytest.skip("INTERNAL_TOKEN is not set: a run cannot be asked for")
    await merchant.pay(amount_minor=2321)
    body = {"date": datetime.now(UTC).date().isoformat(), "channel": channel}
    run = (await pipeline.post("/v1/reconciliations", body)).body
    assert run["state"] == "balanced", run
    assert run["break_count"] == 0
    assert run["matched_count"] <= run["file_count"]
    if channel == "card_sim":
        assert run["matched_count"] > 0


async def test_a_run_needs_the_internal_token(merchant: Any, pipeline: Any) -> None:
    stranger = type(pipeline)(pipeline.session, pipeline.base_url, merchant.token)
    body = {"date": datetime.now(UTC).date().isoformat(), "channel": "card_sim"}
    assert (await stranger.post("/v1/reconciliations", body)).status == 401
