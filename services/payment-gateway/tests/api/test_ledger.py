"""The ledger by itself, over HTTP: holds, bounds, times, reversals, linked transfers, and the proof of all of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from gateway_rig import TOKEN, Reply, RunningGateway
from prometheus_client import REGISTRY
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from payment_gateway.operations.chain_ledger import chain_ledger
from payment_gateway.operations.settle_ledger_holds import expire_ledger_holds
from payment_gateway.operations.watch_ledger import watch_ledger
from payment_gateway.settings import Settings
from platform_cli.embedded.testing import FreshDatabase
from platform_kit.db import create_engine


async def open_two(gateway: RunningGateway, **bounds: int) -> None:
    for name, given in (("funding", {}), ("savings", bounds)):
        reply = await gateway.post("/v1/ledger/accounts", {"name": name, "currency": "EUR"} | given)
        assert reply.status == 201, reply.raw


def line(amount_minor: int, debit: str = "funding", credit: str = "savings") -> dict[str, Any]:
    return {
        "debit_account": debit,
        "credit_account": credit,
        "amount_minor": amount_minor,
        "currency": "EUR",
    }


async def move(gateway: RunningGateway, amount_minor: int, **more: Any) -> Reply:
    return await gateway.post("/v1/ledger/transfers", line(amount_minor) | more)


async def balance(gateway: RunningGateway, name: str = "savings", query: str = "") -> dict[str, Any]:
    reply = await gateway.call("GET", f"/v1/ledger/accounts/{name}/balance?currency=EUR{query}")
    assert reply.status == 200, reply.raw
    return reply.body


async def hold(gateway: RunningGateway, amount_minor: int, **more: Any) -> str:
    reply = await move(gateway, amount_minor, pending=True, **more)
    assert reply.status == 201, reply.raw
    return str(reply.body["hold"]["id"])


async def its_time_is_over(gateway: RunningGateway, hold_id: str) -> None:
    async with gateway.deps.engine.begin() as connection:
        await connection.execute(
            text("UPDATE payments.hold SET expires_at = now() WHERE id = :id"), {"id": hold_id}
        )


async def test_a_hold_is_posted_in_parts_and_the_rest_is_given_back(gateway: RunningGateway) -> None:
    await open_two(gateway)
    held = await hold(gateway, 100)
    assert (await balance(gateway, "funding"))["held_minor"] == 100
    assert (await gateway.post(f"/v1/ledger/holds/{held}/post", {"amount_minor": 60})).status == 201
    over = await gateway.post(f"/v1/ledger/holds/{held}/post", {"amount_minor": 41})
    assert (over.status, over.problem) == (422, "amount-exceeds-remaining")
    voided = await gateway.post(f"/v1/ledger/holds/{held}/void")
    assert (voided.body["state"], voided.body["released_minor"]) == ("voided", 40)
    again = await gateway.post(f"/v1/ledger/holds/{held}/void")
    assert (again.status, again.problem) == (409, "hold-closed")
    assert (await balance(gateway))["posted_minor"] == 60
    assert (await balance(gateway, "funding"))["held_minor"] == 0
    assert (await gateway.verification())["balanced"]


async def test_partial_posts_at_once_never_exceed_their_hold(gateway: RunningGateway) -> None:
    await open_two(gateway)
    held = await hold(gateway, 100)
    replies = await asyncio.gather(
        *(gateway.post(f"/v1/ledger/holds/{held}/post", {"amount_minor": 30}) for _ in range(6))
    )
    assert sorted(reply.status for reply in replies) == [201, 201, 201, 422, 422, 422]
    assert (await balance(gateway))["posted_minor"] == 90


async def test_a_hold_whose_time_is_over_cannot_be_posted_and_expires_once(gateway: RunningGateway) -> None:
    await open_two(gateway)
    held = await hold(gateway, 100, expires_after_s=600)
    assert await expire_ledger_holds(gateway.deps) == 0
    await its_time_is_over(gateway, held)
    late = await gateway.post(f"/v1/ledger/holds/{held}/post")
    assert (late.status, late.body["state"]) == (409, "expired")
    assert await expire_ledger_holds(gateway.deps) == 1
    assert await expire_ledger_holds(gateway.deps) == 0
    assert (await balance(gateway, "funding"))["available_minor"] == 0


async def test_a_hold_that_was_posted_in_time_does_not_expire(gateway: RunningGateway) -> None:
    await open_two(gateway)
    held = await hold(gateway, 100, expires_after_s=600)
    assert (await gateway.post(f"/v1/ledger/holds/{held}/post")).status == 201
    await its_time_is_over(gateway, held)
    assert await expire_ledger_holds(gateway.deps) == 0
    assert (await balance(gateway))["posted_minor"] == 100


async def test_an_account_never_holds_more_than_its_ceiling(gateway: RunningGateway) -> None:
    await open_two(gateway, ceiling_minor=100)
    await hold(gateway, 60)
    refused = await move(gateway, 41)
    assert (refused.status, refused.problem) == (422, "above-ceiling")
    assert (await move(gateway, 40)).status == 201


async def test_opening_an_account_again_with_another_floor_is_refused(gateway: RunningGateway) -> None:
    await open_two(gateway, floor_minor=0)
    body = {"name": "savings", "currency": "EUR", "floor_minor": 0}
    assert (await gateway.post("/v1/ledger/accounts", body)).status == 201
    other = await gateway.post("/v1/ledger/accounts", body | {"floor_minor": -5})
    assert (other.status, other.problem) == (409, "account-differs")


async def test_a_backdated_transfer_counts_from_its_effective_time(gateway: RunningGateway) -> None:
    await open_two(gateway)
    async with gateway.deps.engine.connect() as connection:
        row = (await connection.execute(text("SELECT now() - interval '2 days', now()"))).one()
    past, before = (moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") for moment in row)
    assert (await move(gateway, 10, effective_at=past)).status == 201
    assert (await balance(gateway, query=f"&effective_at={past}"))["posted_minor"] == 10
    assert (await balance(gateway, query=f"&recorded_at={before}"))["posted_minor"] == 0
    future = await move(gateway, 10, effective_at="2999-01-01T00:00:00Z")
    assert (future.status, future.problem) == (422, "invalid-effective-at")


async def test_a_journal_is_reversed_once_however_many_ask(gateway: RunningGateway) -> None:
    await open_two(gateway)
    moved = (await move(gateway, 70, description="rent", metadata={"month": "5"})).body["id"]
    path, body = f"/v1/ledger/journals/{moved}/reverse", {"reason": "twice"}
    replies = await asyncio.gather(*(gateway.post(path, body) for _ in range(5)))
    assert sorted(reply.status for reply in replies) == [201, 409, 409, 409, 409]
    assert (await balance(gateway))["posted_minor"] == 0
    listed = (await gateway.call("GET", "/v1/ledger/transfers")).body["data"]
    assert [row["reverses"] for row in listed] == [moved, None]
    assert (listed[1]["description"], listed[1]["metadata"]) == ("rent", {"month": "5"})


async def test_nobody_reverses_or_posts_what_is_anothers(gateway: RunningGateway) -> None:
    await open_two(gateway)
    held, moved = await hold(gateway, 5), (await move(gateway, 5)).body["id"]
    _, gateway.key = await gateway.new_merchant()
    assert (await gateway.post(f"/v1/ledger/holds/{held}/post")).status == 404
    assert (await gateway.post(f"/v1/ledger/journals/{moved}/reverse", {"reason": "x"})).status == 404


async def test_linked_transfers_are_written_together_or_not_at_all(gateway: RunningGateway) -> None:
    await open_two(gateway, floor_minor=0)
    good = {"transfers": [line(50), line(30, "savings", "funding")]}
    assert (await gateway.post("/v1/ledger/transfers", good)).status == 201
    bad = {"transfers": [line(5), line(30, "savings", "funding")]}
    refused = await gateway.post("/v1/ledger/transfers", bad)
    assert (refused.status, refused.problem) == (422, "insufficient-funds")
    assert (await balance(gateway))["posted_minor"] == 20


async def test_pages_of_transfers_do_not_shift_when_new_ones_come(gateway: RunningGateway) -> None:
    await open_two(gateway)
    made = [(await move(gateway, 1 + n)).body["id"] for n in range(5)]
    first = (await gateway.call("GET", "/v1/ledger/transfers?limit=2")).body
    await move(gateway, 99)
    seen = [row["journal_id"] for row in first["data"]]
    cursor = first["next_cursor"]
    while cursor:
        page = (await gateway.call("GET", f"/v1/ledger/transfers?limit=2&cursor={cursor}")).body
        seen += [row["journal_id"] for row in page["data"]]
        cursor = page["next_cursor"]
    assert seen == made[::-1]


@pytest.mark.parametrize("table", ["transfer", "journal", "ledger_chain"])
@pytest.mark.parametrize("act", ["DELETE FROM payments.{}", "TRUNCATE payments.{}"])
async def test_the_program_cannot_remove_history(gateway: RunningGateway, table: str, act: str) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        async with gateway.deps.engine.begin() as connection:
            await connection.execute(text(act.format(table)))


async def test_the_database_refuses_a_journal_that_misstates_its_transfers(gateway: RunningGateway) -> None:
    insert = "INSERT INTO payments.journal (id, transfer_count, amount_sum_minor) VALUES ('je_x', 1, 5)"
    with pytest.raises(DBAPIError, match="does not declare its transfers"):
        async with gateway.deps.engine.begin() as connection:
            await connection.execute(text(insert))


async def test_the_database_refuses_a_late_transfer_for_a_journal(gateway: RunningGateway) -> None:
    await open_two(gateway)
    moved = (await move(gateway, 5)).body["id"]
    insert = (
        "INSERT INTO payments.transfer (journal_id, debit_account_id, credit_account_id, amount_minor, currency,"
        " kind) SELECT journal_id, debit_account_id, credit_account_id, 1, currency, kind FROM payments.transfer"
        " WHERE journal_id = :id"
    )
    with pytest.raises(DBAPIError, match="is complete"):
        async with gateway.deps.engine.begin() as connection:
            await connection.execute(text(insert), {"id": moved})


async def test_the_chain_covers_what_was_committed_and_tells_its_lag(gateway: RunningGateway) -> None:
    await open_two(gateway)
    for amount in (1, 2, 3):
        await move(gateway, amount)
    assert (await gateway.verification())["chain"]["behind"] == 3
    assert await asyncio.gather(chain_ledger(gateway.deps), chain_ledger(gateway.deps)) in ([3, 0], [0, 3])
    chain = (await gateway.verification())["chain"]
    assert (chain["length"], chain["behind"], chain["broken_at"]) == (3, 0, None)


async def test_an_account_that_lost_a_cent_is_seen_by_the_watch(
    fresh_database: FreshDatabase, tmp_path: Any
) -> None:
    from gateway_rig import run_gateway

    database = await fresh_database("payments")
    async with run_gateway(database, tmp_path / "journals") as gateway:
        await open_two(gateway)
        await move(gateway, 5)
        assert await watch_ledger(gateway.deps) == 0
        assert _imbalance("EUR") == _imbalance("all") == 0
        engine = create_engine(Settings(database_url=database.admin_url))
        async with engine.begin() as connection:
            lose = "UPDATE payments.account SET debits_posted = debits_posted - 1 WHERE debits_posted > 0"
            await connection.execute(text(lose))
        await engine.dispose()
        assert await watch_ledger(gateway.deps) == 1
        assert _imbalance("EUR") == _imbalance("all") == 1


def _imbalance(currency: str) -> float | None:
    return REGISTRY.get_sample_value("ledger_imbalance_minor", {"currency": currency})


@pytest.mark.parametrize(
    ("edit", "member"),
    [
        ("UPDATE payments.journal SET description = 'forged'", "chain"),
        ("UPDATE payments.ledger_chain SET hash = set_byte(hash, 0, get_byte(hash, 0) # 1)", "chain"),
        ("UPDATE payments.transfer SET credits_posted_after = 9", "unproved_transfers"),
        ("UPDATE payments.journal SET amount_sum_minor = 9", "wrong_journals"),
    ],
)
async def test_what_a_superuser_edits_is_found(
    fresh_database: FreshDatabase, tmp_path: Any, edit: str, member: str
) -> None:
    from gateway_rig import run_gateway

    database = await fresh_database("payments")
    async with run_gateway(database, tmp_path / "journals") as gateway:
        await open_two(gateway)
        await move(gateway, 5)
        await chain_ledger(gateway.deps)
        assert (await gateway.verification())["balanced"]
        engine = create_engine(Settings(database_url=database.admin_url))
        async with engine.begin() as connection:
            await connection.execute(text(edit))
        await engine.dispose()
        found = await gateway.verification()
    assert not found["balanced"]
    assert found["chain"]["broken_at"] == 1 if member == "chain" else found[member]


async def told_totals(gateway: RunningGateway) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with gateway.session.get(f"{gateway.url}/internal/ledger/totals", headers=headers) as reply:
        assert reply.status == 200
        told: dict[str, Any] = await reply.json()
        return told


async def as_service(gateway: RunningGateway, path: str, status: int = 200) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with gateway.session.get(f"{gateway.url}/internal/ledger/{path}", headers=headers) as reply:
        assert reply.status == status, await reply.text()
        told: dict[str, Any] = await reply.json()
        return told


async def number_all_events(gateway: RunningGateway) -> None:
    """What the relay does."""
    async with gateway.deps.engine.begin() as conn:
        await conn.execute(
            text(
                "UPDATE payments.outbox_event SET position = n.n FROM (SELECT id,"
                " row_number() OVER (ORDER BY seq) AS n FROM payments.outbox_event) n WHERE n.id = outbox_event.id"
            )
        )
        await conn.execute(
            text(
                "INSERT INTO payments.outbox_head (last_position) SELECT max(position) FROM payments.outbox_event"
            )
        )


async def test_balances_are_those_of_the_last_numbered_event_account_by_account(
    gateway: RunningGateway,
) -> None:
    await open_two(gateway)
    await move(gateway, 100)
    held = await hold(gateway, 30)
    assert {
        account["debits_minor"] + account["debits_pending_minor"]
        for account in (await as_service(gateway, "balances"))["accounts"]
    } == {0}
    await number_all_events(gateway)
    await chain_ledger(gateway.deps)
    told = await as_service(gateway, "balances")
    counters = [tuple(account.values())[1:] for account in told["accounts"]]
    assert sorted(counters) == [("EUR", 0, 100, 0, 30), ("EUR", 100, 0, 30, 0)]
    assert told["chain"]["position"] == 2
    assert len(told["chain"]["hash"]) == 64
    await gateway.post(f"/v1/ledger/holds/{held}/post")
    await move(gateway, 5)
    assert (await as_service(gateway, "balances"))["accounts"] == told["accounts"]
    first = await as_service(gateway, "balances?limit=1")
    assert first["has_more"]
    last = "{account}:{currency}".format(**first["accounts"][0])
    second = await as_service(gateway, f"balances?limit=1&after={last}")
    assert first["accounts"] + second["accounts"] == told["accounts"]


async def test_a_journal_says_what_it_took_back_and_where_it_stands_in_the_chain(
    gateway: RunningGateway,
) -> None:
    await open_two(gateway)
    journal_id = (await move(gateway, 100)).body["id"]
    reply = await gateway.post(f"/v1/ledger/journals/{journal_id}/reverse", {"reason": "typed twice"})
    taken_back = reply.body
    await chain_ledger(gateway.deps)
    told = await as_service(gateway, f"journals/{journal_id}")
    assert (told["reverses"], told["reversed_by"]) == (None, taken_back["id"])
    [line] = told["lines"]
    assert (line["link"], len(line["hash"])) == (1, 64)
    reversal = await as_service(gateway, f"journals/{taken_back['id']}")
    assert (reversal["reverses"], reversal["reason"]) == (journal_id, "typed twice")
    await as_service(gateway, "journals/je_none", 404)


async def test_the_totals_are_those_of_the_last_numbered_event(gateway: RunningGateway) -> None:
    """What is moved and has no number yet is not counted: no reader of events can know of it."""
    await open_two(gateway)
    await move(gateway, 100)
    held = await hold(gateway, 30)
    assert await told_totals(gateway) == {"position": 0, "currencies": []}
    await number_all_events(gateway)
    told = await told_totals(gateway)
    assert told["position"] > 0
    assert told["currencies"] == [{"currency": "EUR", "moved_minor": 100}]
    await gateway.post(f"/v1/ledger/holds/{held}/post")
    await move(gateway, 5)
    assert await told_totals(gateway) == told
    currencies = {
        line["currency"]: line["debits_minor"] for line in (await gateway.verification())["currencies"]
    }
    assert currencies["EUR"] == 135
