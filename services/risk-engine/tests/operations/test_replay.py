"""A stored decision is made again from its row, bit for bit, whatever decides today."""

import threading
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from risk_rig import FixedScorer, a_document, a_rule, a_subject, published, settings_for
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from platform_cli.embedded.testing import FreshDatabase
from risk_engine.operations.assess_payment import assess_payment
from risk_engine.operations.deps import Deps, open_deps
from risk_engine.operations.reload_rules import reload_rules
from risk_engine.operations.replay_decisions import replay_decisions


async def varied(deps: Deps, number: int = 40) -> list[str]:
    """Payments of every size, currency and method, some without a card, some that velocity catches."""
    ids = []
    for n in range(number):
        subject = a_subject(
            n,
            amount_minor=(700, 12_345, 80_000, 900_000)[n % 4],
            currency=("EUR", "USD", "JPY", "ISK")[n // 4 % 4],
            method=("card", "bank")[n % 2],
            card=("", "card-1", f"card-{n}")[n % 3],
            device=f"device-{n % 5}",
        )
        ids.append((await assess_payment(deps, subject))["id"])
    return ids


async def whole(deps: Deps, limit: int = 500) -> dict[str, Any]:
    return await replay_decisions(deps, None, limit)


async def test_every_decision_is_replayed_identically_after_the_rules_changed(deps: Deps) -> None:
    await varied(deps)
    await published(deps, a_document(rules=[a_rule(1, when="true", then="block")]))
    assert await reload_rules(deps)
    await assess_payment(deps, a_subject(900))
    found = await whole(deps)
    # The packaged set was never stored here: only what it decided cannot be repeated.
    assert (found["replayed"], found["differing"]) == (41, 0)
    assert found["left_out"] == {"rule_set_unknown": 40}
    assert found["identical"] == 1


async def test_the_packaged_set_with_model_windows_and_faults_is_replayed(deps: Deps) -> None:
    from risk_engine.operations.publish_rule_set import publish_first_rule_set

    await publish_first_rule_set(deps)
    await varied(deps)
    await deps.redis.flushall()  # the windows are cold now: the rows say so
    await varied(replace(deps, scorer=None), 41)
    found = await whole(deps)
    assert (found["replayed"], found["identical"], found["differing"]) == (41, 41, 0)


async def test_slices_lead_from_one_to_the_next(deps: Deps) -> None:
    await published(deps, a_document())
    await reload_rules(deps)
    await varied(deps, 7)
    after, identical = None, 0
    for _ in range(10):
        found = await replay_decisions(deps, after, 3)
        identical += found["identical"]
        after = found["next_after"]
        if after is None:
            break
    assert identical == 7


@pytest.mark.parametrize(
    ("forgery", "member"),
    [
        ("UPDATE risk.assessment SET decision = 'block'", "decision"),
        ("UPDATE risk.assessment SET facts = facts || '{\"amount_minor\": 200000}'", "hits"),
        ("UPDATE risk.assessment SET score = 99", "score"),
        (
            "UPDATE risk.assessment SET outcome = outcome || '{\"probability_ppm\": 100001}'",
            "probability_ppm",
        ),
    ],
)
async def test_what_does_not_follow_from_its_row_is_shown(
    fresh_database: FreshDatabase, clean_redis_url: str, forgery: str, member: str
) -> None:
    database = await fresh_database("risk")
    async with open_deps(settings_for(database.app_url, clean_redis_url)) as opened:
        deps = replace(opened, scorer=FixedScorer(10))
        await deps.features.mark_warm()
        await published(deps, a_document())
        await reload_rules(deps)
        made = (await assess_payment(deps, a_subject()))["id"]
        assert (await whole(deps))["identical"] == 1
        owner = create_async_engine(database.admin_url.replace("postgresql://", "postgresql+asyncpg://"))
        async with owner.begin() as conn:
            await conn.execute(text(forgery))
        await owner.dispose()
        found = await whole(deps)
    assert (found["identical"], found["differing"]) == (0, 1)
    assert found["differences"][0]["id"] == made
    assert member in found["differences"][0]["differs"]


async def test_a_decision_of_before_its_probability_was_kept_is_replayed(
    fresh_database: FreshDatabase, clean_redis_url: str
) -> None:
    database = await fresh_database("risk")
    async with open_deps(settings_for(database.app_url, clean_redis_url)) as opened:
        deps = replace(opened, scorer=FixedScorer(10))
        await deps.features.mark_warm()
        await published(deps, a_document())
        await reload_rules(deps)
        await assess_payment(deps, a_subject())
        owner = create_async_engine(database.admin_url.replace("postgresql://", "postgresql+asyncpg://"))
        async with owner.begin() as conn:
            await conn.execute(text("UPDATE risk.assessment SET outcome = outcome - 'probability_ppm'"))
        await owner.dispose()
        assert (await whole(deps))["identical"] == 1


async def test_the_scorer_of_live_decisions_is_only_used_on_their_loop(deps: Deps) -> None:
    """It reuses its buffers: beside the loop it would give a live payment another one's score."""

    class Watched(FixedScorer):
        threads: ClassVar[set[int]] = set()

        def score(self, row: list[float]) -> int:
            self.threads.add(threading.get_ident())
            return super().score(row)

    watched = replace(deps, scorer=Watched(10))
    await published(watched, a_document())
    await reload_rules(watched)
    await varied(watched, 5)
    assert (await whole(watched))["identical"] == 5
    assert Watched.threads == {threading.get_ident()}
