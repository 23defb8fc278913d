"""The chain holds what was decided: an edit, a deletion or an exchange of assessments breaks it at its place."""

import asyncio

import pytest
from risk_rig import a_subject, settings_for
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from platform_cli.embedded.testing import FreshDatabase, TestDatabase
from platform_kit.outbox import Relay
from risk_engine.operations.assess_payment import assess_payment
from risk_engine.operations.chain_assessments import chain_assessments, check_chain
from risk_engine.operations.deps import Deps, open_deps
from risk_engine.operations.find_alerts import find_alerts
from risk_engine.operations.watch_chain import watch_chain
from risk_engine.store import assessment_chain, tables

NUMBER = 5


async def number_events(deps: Deps) -> None:
    await Relay(deps.engine, tables.outbox, deps.redis, "events:risk").run_once()


async def decided(deps: Deps, number: int = NUMBER, first: int = 0) -> list[str]:
    made = [(await assess_payment(deps, a_subject(n)))["id"] for n in range(first, first + number)]
    await number_events(deps)
    return made


async def test_every_assessment_is_chained_once_whoever_runs(deps: Deps) -> None:
    await decided(deps)
    async with open_deps(deps.settings) as other:
        assert sum(await asyncio.gather(chain_assessments(deps), chain_assessments(other))) == NUMBER
    found = await check_chain(deps, 0, 100)
    assert (found["checked"], found["broken_at"], found["behind"], found["next_after"]) == (
        NUMBER,
        None,
        0,
        None,
    )
    await decided(deps, 2, first=50)
    assert (await check_chain(deps, 0, 100))["behind"] == 2
    assert await chain_assessments(deps) == 2
    assert (await check_chain(deps, 0, 100))["checked"] == NUMBER + 2


async def test_a_chain_is_checked_in_slices(deps: Deps) -> None:
    await decided(deps)
    await chain_assessments(deps)
    after, checked = 0, 0
    while True:
        found = await check_chain(deps, after, 2)
        checked += found["checked"]
        assert found["broken_at"] is None
        if found["next_after"] is None:
            break
        after = found["next_after"]
    assert checked == NUMBER


async def test_extending_in_pieces_gives_the_same_chain(deps: Deps) -> None:
    await decided(deps)
    for _ in range(NUMBER):
        async with deps.engine.begin() as conn:
            assert (await assessment_chain.extend(conn, 1))[0] == 1
    assert (await check_chain(deps, 0, 100))["broken_at"] is None


@pytest.mark.parametrize(
    "forgery",
    [
        "UPDATE risk.assessment SET decision = 'block' WHERE id = :id",
        "UPDATE risk.assessment SET facts = facts || '{\"score\": 99}' WHERE id = :id",
        "UPDATE risk.assessment SET is_late = NOT is_late WHERE id = :id",
        "DELETE FROM risk.assessment WHERE id = :id",
        "DELETE FROM risk.assessment_chain WHERE assessment_id = :id",
    ],
)
async def test_a_forgery_by_the_owner_of_the_database_is_found_at_its_place(
    fresh_database: FreshDatabase, clean_redis_url: str, forgery: str
) -> None:
    database = await fresh_database("risk")
    async with open_deps(settings_for(database.app_url, clean_redis_url)) as deps:
        ids = await decided(deps)
        await chain_assessments(deps)
        owner = create_async_engine(database.admin_url.replace("postgresql://", "postgresql+asyncpg://"))
        async with owner.begin() as conn:
            position = await conn.scalar(
                text("SELECT position FROM risk.assessment_chain WHERE assessment_id = :id"), {"id": ids[2]}
            )
            await conn.execute(text(forgery), {"id": ids[2]})
        await owner.dispose()
        broken_at = (await check_chain(deps, 0, 100))["broken_at"]
        # Of a link that is gone the next one tells.
        assert broken_at in ((position + 1, position + 2) if "assessment_chain" in forgery else (position,))


async def told(deps: Deps) -> list[tuple[str, str]]:
    found = (await find_alerts(deps, None, 10, kind="chain_broken"))["data"]
    return [(alert["status"], alert["summary"]) for alert in found]


async def as_owner(database: TestDatabase, statement: str) -> None:
    owner = create_async_engine(database.admin_url.replace("postgresql://", "postgresql+asyncpg://"))
    async with owner.begin() as conn:
        await conn.execute(text(statement))
    await owner.dispose()


async def test_the_watch_goes_round_the_chain_in_slices_and_begins_again(deps: Deps) -> None:
    assert await watch_chain(deps, limit=2) == 0
    await decided(deps)
    await chain_assessments(deps)
    assert [await watch_chain(deps, limit=2) for _ in range(4)] == [2, 2, 1, 2]
    assert (await check_chain(deps, 0, 100))["swept_at"] is not None
    assert await told(deps) == []


async def test_one_of_two_watchers_looks(deps: Deps) -> None:
    await decided(deps)
    await chain_assessments(deps)
    async with deps.engine.begin() as held:
        assert await assessment_chain.watch(held) is not None
        assert await watch_chain(deps) == 0


async def test_a_break_is_told_once_and_until_it_is_mended(
    fresh_database: FreshDatabase, clean_redis_url: str
) -> None:
    database = await fresh_database("risk")
    async with open_deps(settings_for(database.app_url, clean_redis_url)) as deps:
        await decided(deps)
        await chain_assessments(deps)
        await as_owner(database, "UPDATE risk.assessment SET score = score + 1")
        looks = [await watch_chain(deps, limit=2) for _ in range(4)]
        assert looks == [2, 2, 1, 2], "what lies behind a break is looked at, too"
        ((status, summary),) = await told(deps)
        assert status == "firing"
        assert "breaks at position 1:" in summary
        await as_owner(database, "UPDATE risk.assessment SET score = score - 1")
        await watch_chain(deps, limit=2)
        assert [status for status, _ in await told(deps)] == ["resolved"]


@pytest.mark.parametrize(
    "cut",
    [
        "DELETE FROM risk.assessment_chain WHERE position = (SELECT max(position) FROM risk.assessment_chain)",
        "UPDATE risk.assessment_chain SET hash = '\\x00'"
        " WHERE position = (SELECT max(position) FROM risk.assessment_chain)",
    ],
)
async def test_an_end_that_is_cut_off_or_written_anew_is_told(
    fresh_database: FreshDatabase, clean_redis_url: str, cut: str
) -> None:
    database = await fresh_database("risk")
    async with open_deps(settings_for(database.app_url, clean_redis_url)) as deps:
        await decided(deps)
        await chain_assessments(deps)
        await watch_chain(deps)
        await as_owner(database, cut)
        await watch_chain(deps, limit=1)
        ((status, summary),) = await told(deps)
        assert (status, "was the head once" in summary) == ("firing", True)
