"""Lists of the ledger: whoever follows the cursor sees everything once, whatever is added meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from gateway_rig import RunningGateway, run_gateway
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_ledger import hold, line, move, open_two

from platform_cli.embedded.testing import DatabaseFactory


async def page(gateway: RunningGateway, path: str, cursor: str | None, **query: Any) -> dict[str, Any]:
    wanted = query | ({"cursor": cursor} if cursor else {})
    reply = await gateway.call("GET", path, params=wanted)
    assert reply.status == 200, reply.raw
    return reply.body


async def everything(gateway: RunningGateway, path: str, **query: Any) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = []
    cursor = None
    while True:
        found = await page(gateway, path, cursor, **query)
        seen += found["data"]
        cursor = found["next_cursor"]
        if cursor is None:
            return seen


STEPS = st.lists(st.sampled_from(["page", "move", "hold", "open"]), max_size=12)


class Reader:
    """Follows one list while others add to it."""

    def __init__(self, gateway: RunningGateway, path: str, name: str, **query: Any) -> None:
        self.gateway, self.path, self.name, self.query = gateway, path, name, query
        self.seen: list[Any] = []
        self.cursor: str | None = None
        self.ended = False

    async def go_on(self) -> None:
        if not self.ended:
            found = await page(self.gateway, self.path, self.cursor, **self.query)
            self.seen += [one[self.name] for one in found["data"]]
            self.cursor = found["next_cursor"]
            self.ended = self.cursor is None


@pytest.fixture(scope="module")
def stage(database_factory: DatabaseFactory, tmp_path_factory: pytest.TempPathFactory) -> Any:
    with asyncio.Runner() as runner:
        running: Any = None

        async def start() -> RunningGateway:
            nonlocal running
            running = run_gateway(
                await database_factory.create("payments"), tmp_path_factory.mktemp("pages") / "journals"
            )
            return await running.__aenter__()

        yield runner, runner.run(start())
        runner.run(running.__aexit__(None, None, None))


@settings(
    max_examples=15,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(steps=STEPS, limit=st.integers(1, 3), before=st.integers(0, 4))
def test_a_reader_sees_what_was_there_exactly_once_whatever_is_added(
    stage: tuple[asyncio.Runner, RunningGateway], steps: Sequence[str], limit: int, before: int
) -> None:
    runner, gateway = stage

    async def history() -> None:
        gateway.merchant_id, gateway.key = await gateway.new_merchant()
        await open_two(gateway)
        for n in range(before):
            await move(gateway, n + 1)
            await hold(gateway, n + 1)
        account = {"currency": "EUR", "limit": limit}
        readers = [
            Reader(gateway, "/v1/ledger/transfers", "journal_id", limit=limit),
            Reader(gateway, "/v1/ledger/accounts/savings/transfers", "version", **account),
            Reader(gateway, "/v1/ledger/accounts/savings/holds", "id", **account),
            Reader(gateway, "/v1/ledger/accounts", "name", limit=limit),
        ]
        there = [
            [one[r.name] for one in await everything(gateway, r.path, **r.query | {"limit": 100})]
            for r in readers
        ]
        for n, step in enumerate(steps):
            match step:
                case "page":
                    for reader in readers:
                        await reader.go_on()
                case "move":
                    await move(gateway, 1)
                case "hold":
                    await hold(gateway, 1)
                case "open":
                    body = {"name": f"a{n}", "currency": "EUR"}
                    assert (await gateway.post("/v1/ledger/accounts", body)).status == 201
        for reader, expected in zip(readers, there, strict=True):
            while not reader.ended:
                await reader.go_on()
            assert len(reader.seen) == len(set(reader.seen)), reader.path
            kept = set(expected)
            assert [one for one in reader.seen if one in kept] == expected, reader.path

    runner.run(history())


async def test_an_account_counts_what_touched_it(gateway: RunningGateway) -> None:
    await open_two(gateway)
    await move(gateway, 5)
    held = await hold(gateway, 7)
    await gateway.post(f"/v1/ledger/holds/{held}/post", {"amount_minor": 3})
    await gateway.post("/v1/ledger/transfers", line(2, "savings", "funding"))
    rows = await everything(gateway, "/v1/ledger/accounts/savings/transfers", currency="EUR", limit=1)
    told = [(row["version"], row["kind"], row["amount_minor"], row["debit_account"]) for row in rows]
    assert told == [
        (4, "posted", 2, "savings"),
        (3, "post", 3, "funding"),
        (2, "pending", 7, "funding"),
        (1, "posted", 5, "funding"),
    ]
    missing = await gateway.call("GET", "/v1/ledger/accounts/savings/transfers?currency=USD")
    assert missing.status == 404


async def test_holds_are_found_by_id_by_account_and_by_state(gateway: RunningGateway) -> None:
    await open_two(gateway)
    first, second = await hold(gateway, 5), await hold(gateway, 6)
    await gateway.post(f"/v1/ledger/holds/{first}/void")
    found = (await gateway.call("GET", f"/v1/ledger/holds/{first}")).body
    assert (found["state"], found["released_minor"], found["object"]) == ("voided", 5, "hold")
    for name in ("funding", "savings"):
        path = f"/v1/ledger/accounts/{name}/holds"
        assert [one["id"] for one in await everything(gateway, path, currency="EUR")] == [second, first]
        only = await everything(gateway, path, currency="EUR", state="pending")
        assert [one["id"] for one in only] == [second]


async def test_journals_are_found_by_their_metadata(gateway: RunningGateway) -> None:
    await open_two(gateway)
    for order, shop in (("1", "a"), ("2", "a"), ("1", "b")):
        await move(gateway, 1, metadata={"order": order, "shop": shop})
    await move(gateway, 1)

    async def found(*labels: str) -> list[tuple[str, str]]:
        reply = await gateway.call("GET", "/v1/ledger/transfers", params=[("label", one) for one in labels])
        rows = [row["metadata"] for row in reply.body["data"]]
        return [(row["order"], row["shop"]) for row in rows]

    assert await found("order:1") == [("1", "b"), ("1", "a")]
    assert await found("order:1", "shop:a") == [("1", "a")]
    assert await found("order:3") == []
