"""Money bugs of hidden retries: what is tried again below the request must not be done again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest
from cutting_proxy import cutting_proxy
from gateway_rig import RunningGateway, run_gateway
from witnesses import ChannelDouble, agree, standing_in

from platform_cli.embedded.testing import TestDatabase

FAIL_TWICE = """
    CREATE SEQUENCE payments.failures;
    CREATE FUNCTION payments.fail_twice() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        IF nextval('payments.failures') <= 2 THEN  -- a sequence is not rolled back: it counts the tries
            RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '40001';
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER fail_twice BEFORE UPDATE ON payments.payment FOR EACH ROW EXECUTE FUNCTION payments.fail_twice();
"""


@pytest.mark.parametrize("commit", [1, 2], ids=["commit-a", "commit-b"])
async def test_a_commit_that_is_sent_again_is_applied_once(
    database: TestDatabase, tmp_path: Path, commit: int
) -> None:
    """Thread 23, midaz PR#2485: the Redis client's hidden retry ran a balance script twice.

    Here Postgres commits and the network swallows its answer; the committer sends the flush again, and the flush finds
    its own key. Charged, booked and told once; the client sees a payment as if nothing had been.
    """
    async with (
        cutting_proxy(database.app_url) as proxy,
        run_gateway(database, tmp_path / "journals", database_url=proxy.url) as gateway,
    ):
        proxy.cut_at = commit
        reply = await gateway.pay(key="k")
        assert (reply.status, reply.body["status"]) == (201, "captured")
        assert proxy.cuts == 1
        assert (await gateway.pay(key="k")).raw == reply.raw
        rows = await gateway.rows()
        assert (rows["payment"], rows["attempt"], rows["transfer"], rows["outbox_event"]) == (1, 1, 1, 2)
        assert len(await gateway.simulators.journal()) == 1
        await agree(gateway, 1250)


async def test_a_transaction_that_the_database_has_redone_asks_no_channel_again(
    gateway: RunningGateway, database: TestDatabase
) -> None:
    """Thread 26, odoo PR#150102: a serialisation failure made the ORM run the request again: a card charged three
    times.

    The commit that records the channel's answer fails twice with 40001. It alone is repeated: one question is sent.
    """
    channel = standing_in(gateway, ChannelDouble)
    admin = await asyncpg.connect(database.admin_url)
    try:
        await admin.execute(FAIL_TWICE)
        reply = await gateway.pay(key="k")
        assert (reply.status, reply.body["status"]) == (201, "captured"), reply.raw
        assert await admin.fetchval("SELECT last_value FROM payments.failures") == 3
    finally:
        await admin.close()
    assert channel.sent == 1
    await agree(gateway, 1250)


async def test_every_success_of_concurrent_posts_names_a_result_that_exists(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """Thread 21, formance#364: concurrent posts were answered with a success status and no result.

    A hundred transfers around a ring of accounts, both ways, on two replicas: each 201 has an id of its own, and the
    ledger has as many transfers, between just those accounts.
    """
    ring = ["a", "b", "c", "d"]
    for name in ring:
        await gateway.post("/v1/ledger/accounts", {"name": name, "currency": "EUR"})

    async def post(g: RunningGateway, n: int) -> dict[str, object]:
        pair = (ring[n % 4], ring[(n + 1) % 4])
        debit, credit = pair if n % 3 else pair[::-1]
        body = {"debit_account": debit, "credit_account": credit, "amount_minor": n + 1, "currency": "EUR"}
        reply = await g.post("/v1/ledger/transfers", body)
        assert reply.status == 201, reply.raw
        assert reply.body.items() >= body.items()
        return reply.body

    posted = await asyncio.gather(*(post(g, n) for n, g in enumerate((gateway, twin) * 50)))
    assert len({transfer["id"] for transfer in posted}) == 100
    found = await gateway.verification()
    assert (found["balanced"], found["transfers"]) == (True, 100)
    assert found["currencies"][0]["debits_minor"] == sum(range(1, 101))
