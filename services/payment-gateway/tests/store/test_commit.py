"""The flush on a real Postgres: every trap of group commit that payments.md 6.2 lists."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from factories import NOON, a_payment, held
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from payment_gateway.domain import payment as machine
from payment_gateway.domain.ledger import AccountName, InsufficientFunds, Journal, Posting
from payment_gateway.domain.payment import IllegalTransition, Payment, Status
from payment_gateway.domain.refund import Refund
from payment_gateway.settings import Settings
from payment_gateway.store import ledger, payments, refunds
from payment_gateway.store.commit import AlreadyClaimed, Commit, Done, Effects, Locked, Refused, Result, flush
from platform_cli.embedded.testing import FreshDatabase
from platform_kit.committer import Committer
from platform_kit.db import create_engine
from platform_kit.idempotency import Claim, StoredResponse
from platform_kit.ids import new_id
from platform_kit.writes import Writes

SAVINGS = AccountName("ledger:mer_1", "savings", "EUR")
FUNDING = AccountName("ledger:mer_1", "funding", "EUR")


@pytest.fixture
async def engine(fresh_database: FreshDatabase) -> AsyncIterator[AsyncEngine]:
    database = await fresh_database("payments")
    engine = create_engine(Settings(database_url=database.app_url))
    yield engine
    assert engine.pool.checkedout() == 0, "a connection was not given back"  # type: ignore[attr-defined]
    await engine.dispose()


@pytest.fixture
async def committer(engine: AsyncEngine) -> AsyncIterator[Committer[Commit, Result]]:
    async with Committer(engine, flush) as committer:
        yield committer


async def open_accounts(engine: AsyncEngine, floor_minor: int | None = None) -> None:
    async with engine.begin() as connection:
        await ledger.open_account(connection, FUNDING, floor_minor)
        await ledger.open_account(connection, SAVINGS, None)


def a_transfer(amount_minor: int, key: str | None = None, fingerprint: bytes = b"f") -> Commit:
    journal = Journal(new_id("je"), None, (Posting(FUNDING, SAVINGS, amount_minor),))
    response = StoredResponse(201, journal.id.encode())
    return Commit(
        lambda _: Effects(journal=journal, response=response),
        accounts=(FUNDING, SAVINGS),
        opens_accounts=False,
        claim=Claim("mer_1 POST /t", key or new_id("k"), fingerprint, journal.id),
        refusal_response=lambda error: StoredResponse(422, str(error).encode()),
    )


async def balance(engine: AsyncEngine, name: AccountName) -> int:
    async with engine.begin() as connection:
        return (await ledger.lock(connection, [name]))[name].available_minor


async def test_a_refusal_leaves_its_neighbours_of_the_same_flush_alone(engine: AsyncEngine) -> None:
    await open_accounts(engine, floor_minor=-100)
    async with engine.begin() as connection:
        results = await flush(connection, [a_transfer(60), a_transfer(60), a_transfer(40)])
    assert [type(result) for result in results] == [Done, Refused, Done]
    assert isinstance(results[1], Refused)
    assert isinstance(results[1].error, InsufficientFunds)
    assert await balance(engine, SAVINGS) == 100


async def test_transfers_that_touch_one_account_in_one_flush_all_count(engine: AsyncEngine) -> None:
    await open_accounts(engine)
    async with engine.begin() as connection:
        await flush(connection, [a_transfer(10), a_transfer(20)])
    assert await balance(engine, SAVINGS) == 30


async def test_one_key_twice_in_one_flush_moves_money_once(engine: AsyncEngine) -> None:
    await open_accounts(engine)
    async with engine.begin() as connection:
        first, second = await flush(connection, [a_transfer(10, "k"), a_transfer(10, "k")])
    assert isinstance(first, Done)
    assert isinstance(second, AlreadyClaimed)
    assert second.record.response == first.response
    assert await balance(engine, SAVINGS) == 10


async def test_a_repeated_key_is_answered_with_the_stored_bytes(
    committer: Committer[Commit, Result], engine: AsyncEngine
) -> None:
    await open_accounts(engine)
    first = await committer.submit(a_transfer(10, "k"))
    again = await committer.submit(a_transfer(10, "k"))
    assert isinstance(first, Done)
    assert isinstance(again, AlreadyClaimed)
    assert again.record.response == first.response


async def test_a_refusal_is_stored_under_its_key(
    committer: Committer[Commit, Result], engine: AsyncEngine
) -> None:
    await open_accounts(engine, floor_minor=0)
    assert isinstance(await committer.submit(a_transfer(10, "k")), Refused)
    again = await committer.submit(a_transfer(10, "k"))
    assert isinstance(again, AlreadyClaimed)
    assert again.record.response is not None
    assert again.record.response.status == 422


async def test_many_committers_at_once_neither_deadlock_nor_lose_a_transfer(engine: AsyncEngine) -> None:
    await open_accounts(engine)
    committers = [Committer(engine, flush) for _ in range(4)]
    async with committers[0], committers[1], committers[2], committers[3]:
        keys = [f"k{n % 150}" for n in range(300)]  # every key twice, mostly in different committers
        results = await asyncio.gather(
            *(committers[n % 4].submit(a_transfer(1, key)) for n, key in enumerate(keys))
        )
    assert sum(isinstance(result, Done) for result in results) == 150
    assert await balance(engine, SAVINGS) == 150


async def test_capture_and_void_of_one_payment_in_one_flush_see_each_other(engine: AsyncEngine) -> None:
    payment = held()
    await save(engine, payment)

    def capture(locked: Locked) -> Effects:
        assert locked.payment is not None
        return Effects(payment=machine.captured(locked.payment, 10_000, locked.now))

    def void(locked: Locked) -> Effects:
        assert locked.payment is not None
        return Effects(payment=machine.voided(locked.payment, locked.now))

    commits = [Commit(capture, payment_id=payment.id), Commit(void, payment_id=payment.id)]
    async with engine.begin() as connection:
        first, second = await flush(connection, commits)
    assert isinstance(first, Done)
    assert isinstance(second, Refused)
    assert isinstance(second.error, IllegalTransition)
    assert (await load(engine, payment.id)).status is Status.CAPTURED


async def test_a_row_that_another_flush_adds_meanwhile_is_seen_under_the_payments_lock(
    engine: AsyncEngine,
) -> None:
    """Two reports of one refund on two replicas: the second waits for the payment and must then find the refund."""
    payment = a_payment()
    await save(engine, payment)
    refund = Refund(new_id("re"), payment.id, payment.merchant_id, 100, payment.currency, NOON)
    seen: list[object] = []

    def decide(locked: Locked) -> Effects:
        seen.append(locked.rows.get(refund.id))
        return Effects()

    report = Commit(decide, payment_id=payment.id, also=((refunds, refund.id),))
    async with engine.connect() as first, engine.connect() as second:
        await first.execute(
            text("SELECT 1 FROM payments.payment WHERE id = :id FOR UPDATE"), {"id": payment.id}
        )
        waiting = asyncio.create_task(flush(second, [report]))
        await asyncio.sleep(0.2)
        writes = Writes()
        refunds.insert(writes, [refund])
        await writes.run(first)
        await first.commit()
        await waiting
        await second.rollback()
    assert seen == [refund]


async def test_a_payment_comes_back_as_it_was_saved(engine: AsyncEngine) -> None:
    payment = a_payment(
        metadata={"a": "ü"},
        customer={"id": "c"},
        risk={"score": 3},
        reference="r",
        next_action={"type": "qr"},
    )
    await save(engine, payment)
    assert await load(engine, payment.id) == replace(
        payment, created_at=NOON, updated_at=NOON, method=payment.method
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"captured_minor": 10_001},
        {"captured_minor": 10_000, "refunded_minor": 10_001},
        {"authorised_minor": 10_001},
        {"amount_minor": 0},
    ],
)
async def test_the_database_refuses_what_the_domain_would_have(
    engine: AsyncEngine, changes: dict[str, int]
) -> None:
    with pytest.raises(DBAPIError, match=r"payment_.*_check"):
        await save(engine, held(**changes))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE payments.transfer SET amount_minor = 1",
        "DELETE FROM payments.transfer",
        "DELETE FROM payments.account",
        "UPDATE payments.outbox_event SET type = 'x'",
        "DELETE FROM payments.payment",
        "SELECT * FROM risk.alembic_version",
    ],
)
async def test_the_program_may_not_rewrite_history_or_read_its_neighbours(
    engine: AsyncEngine, statement: str
) -> None:
    with pytest.raises(DBAPIError, match="permission denied"):
        async with engine.begin() as connection:
            await connection.execute(text(statement))


async def test_a_currency_mismatch_cannot_be_written(engine: AsyncEngine) -> None:
    await open_accounts(engine)
    insert = (
        "INSERT INTO payments.transfer (journal_id, debit_account_id, credit_account_id, amount_minor, currency, kind)"
        " VALUES ('je', 1, 2, 5, 'JPY', 'posted')"
    )
    with pytest.raises(DBAPIError, match="foreign key"):
        async with engine.begin() as connection:
            await connection.execute(text(insert))


async def test_verification_finds_a_counter_that_its_rows_do_not_explain(engine: AsyncEngine) -> None:
    await open_accounts(engine)
    async with engine.begin() as connection:
        await flush(connection, [a_transfer(10)])
        assert (await ledger.verify(connection)).balanced
        await connection.execute(
            text("UPDATE payments.account SET credits_posted = credits_posted + 1 WHERE kind = 'savings'")
        )
        found = await ledger.verify(connection)
    assert not found.balanced
    assert found.differences == (SAVINGS,)


async def save(engine: AsyncEngine, payment: Payment) -> None:
    writes = Writes()
    payments.insert(writes, [payment])
    async with engine.begin() as connection:
        await writes.run(connection)


async def load(engine: AsyncEngine, payment_id: str) -> Payment:
    async with engine.connect() as connection:
        payment = await payments.get(connection, payment_id, None)
    assert payment is not None
    return payment
