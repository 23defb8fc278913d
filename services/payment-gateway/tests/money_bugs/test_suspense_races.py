"""Two replicas put one line into suspense, or resolve it, at the same moment: it moves money once."""

from __future__ import annotations

import asyncio

import orjson
from gateway_rig import ADMIN, Reply, RunningGateway
from test_ledger_races import one_behind_the_other

PATH = "/v1/admin/suspense"
ROUNDS = 3
LOCK_ACCOUNT = (
    "SELECT 1 FROM payments.account"
    " WHERE owner = 'platform' AND kind = 'suspense' AND currency = :id FOR UPDATE"
)


async def test_two_replicas_book_a_line_once_and_resolve_it_once(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    async def both(path: str, body: dict[str, object]) -> list[Reply]:
        raw = orjson.dumps(body)
        calls = (g.call("POST", path, token=ADMIN, raw=raw) for g in (gateway, twin) for _ in range(2))
        return await asyncio.gather(*calls)

    for n in range(ROUNDS):
        line = {"channel": "card_sim", "reference": f"brk_{n}", "direction": "taken", "note": "?"}
        booked = await both(PATH, line | {"amount_minor": 100, "currency": "EUR"})
        assert {reply.status for reply in booked} == {201}
        resolved = await both(f"{PATH}/{booked[0].body['id']}/resolve", {"to": "platform", "note": "lost"})
        assert sorted(reply.status for reply in resolved) == [200, 409, 409, 409]
    found = await gateway.verification()
    assert found["balanced"]
    assert found["transfers"] == 2 * ROUNDS


async def test_a_line_that_two_replicas_look_for_at_once_is_booked_once(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """Both have begun before either has written: the second waits for the first, and finds its item."""
    line = {"channel": "card_sim", "direction": "taken", "note": "?", "amount_minor": 100, "currency": "EUR"}
    await gateway.call(
        "POST", PATH, token=ADMIN, raw=orjson.dumps(line | {"reference": "opens_the_accounts"})
    )
    raw = orjson.dumps(line | {"reference": "brk_1"})
    first, second = await one_behind_the_other(
        gateway,
        LOCK_ACCOUNT,
        "EUR",
        lambda: gateway.call("POST", PATH, token=ADMIN, raw=raw),
        lambda: twin.call("POST", PATH, token=ADMIN, raw=raw),
    )
    assert (first.status, second.status, first.body) == (201, 201, second.body)
    assert (await gateway.verification())["transfers"] == 2
