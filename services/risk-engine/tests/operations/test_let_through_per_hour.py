"""However many are drawn, an hour lets so many through and no more."""

from dataclasses import replace
from datetime import timedelta

import pytest
from risk_rig import NOON, KillableRedis, a_document, a_rule, a_subject, codes
from sqlalchemy import text

from platform_kit.clock import FixedClock
from platform_kit.redis import create_redis
from risk_engine.clients.cel import compile_document
from risk_engine.clients.features import FeatureStore
from risk_engine.domain.facts import Subject
from risk_engine.domain.let_through import is_drawn
from risk_engine.operations.assess_payment import assess_payment
from risk_engine.operations.deps import Deployed, Deps, RulesInUse

BLOCKS = a_document(rules=[a_rule(1, when="true", then="block")])


def drawing(deps: Deps, at_most: int, hours: int = 0) -> Deps:
    """A process that blocks everything and draws one in a hundred."""
    settings = deps.settings.model_copy(update={"let_through_bp": 100, "let_through_per_hour_max": at_most})
    clock = FixedClock(NOON + timedelta(hours=hours))
    return replace(deps, settings=settings, clock=clock, rules=RulesInUse(Deployed(compile_document(BLOCKS))))


def drawn(deps: Deps, number: int) -> list[Subject]:
    secret = deps.settings.internal_token.get_secret_value().encode()
    all_ = (a_subject(n, card=f"c{n}", customer_id=f"k{n}", device=f"d{n}", ip=f"i{n}") for n in range(5_000))
    return [one for one in all_ if is_drawn(secret, one, 100)][:number]


async def test_the_hour_has_an_end_and_the_next_one_begins_anew(deps: Deps) -> None:
    chosen = drawn(deps, 5)
    made = [await assess_payment(drawing(deps, 2), one) for one in chosen[:4]]
    assert [one["degraded"] for one in made] == [[]] * 4
    assert [one["decision"] for one in made] == ["allow", "allow", "block", "block"]
    later = await assess_payment(drawing(deps, 2, hours=1), chosen[4])
    assert later["decision"] == "allow"
    async with deps.engine.connect() as conn:
        counted = await conn.scalar(
            text("SELECT count(*) FROM risk.assessment WHERE outcome -> 'let_through' IS NOT NULL")
        )
    assert counted == 3


async def test_who_was_not_drawn_takes_nothing_of_the_hour(deps: Deps) -> None:
    chosen = drawn(deps, 1)
    others = [a_subject(9_000 + n, card=f"c{n}", customer_id="", device="", ip="") for n in range(8)]
    assert all(one.card != chosen[0].card for one in others)
    for other in others:
        await assess_payment(drawing(deps, 1), other)
    assert (await assess_payment(drawing(deps, 1), chosen[0]))["decision"] == "allow"


async def test_the_count_ends_with_its_hour(deps: Deps) -> None:
    assert await deps.features.take_let_through("now", 1, left_s=60)
    assert not await deps.features.take_let_through("now", 1, left_s=60)
    assert 3600 < await deps.redis.ttl("let-through:now") <= 2 * 3600


async def test_the_count_takes_no_more_time_than_is_left(killable_redis: KillableRedis) -> None:
    async with create_redis(killable_redis.url, timeout_s=60) as redis:
        store = FeatureStore(redis, timeout_s=60)
        assert await store.take_let_through("now", 1, left_s=60)
        with (
            killable_redis.frozen(),
            pytest.raises(TimeoutError),
        ):  # the client's own patience is another error
            await store.take_let_through("now", 1, left_s=0.05)


async def test_without_an_answer_of_redis_the_block_stands(deps: Deps) -> None:
    class Silent(FeatureStore):
        """Windows answer; the count of the hour is in a Redis that nobody waits for."""

        async def take_let_through(self, hour: str, at_most: int, left_s: float) -> bool:
            raise TimeoutError

    silent = Silent(deps.redis, timeout_s=60)
    answer = await assess_payment(replace(drawing(deps, 2), features=silent), drawn(deps, 1)[0])
    assert (answer["decision"], codes(answer)) == ("block", ["code_1"])
