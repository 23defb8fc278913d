"""The ledger balances, whatever happened before."""

from typing import Any


async def test_the_ledger_recomputes_to_what_it_says(merchant: Any, admin: Any) -> None:
    paid = (await merchant.pay(amount_minor=1000)).body
    await merchant.post(f"/v1/payments/{paid['id']}/refunds", {"amount_minor": 250})
    verification = (await admin.get("/v1/ledger/verification")).body
    assert verification["balanced"] is True
    assert verification["differences"] == []
    for line in verification["currencies"]:
        assert line["debits_minor"] == line["credits_minor"]


async def test_versions_and_health_are_open(session: Any, platform: Any) -> None:
    for path, expected in (("/version", "service"), ("/health/ready", "status"), ("/health/live", "status")):
        async with session.get(platform.gateway_url + path) as reply:
            assert reply.status == 200
            assert expected in await reply.json()
            assert reply.headers["X-App-Version"]
