"""The Lua program against the plain-Python meaning of the same windows, on a real Redis."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from risk_rig import NOON, KillableRedis, a_subject

from platform_kit.redis import create_redis
from risk_engine.clients.features import FeatureStore, VelocityUnavailable, key_of, program
from risk_engine.clients.shared_script import ROUND_TRIP_S
from risk_engine.domain import velocity
from risk_engine.domain.facts import Subject
from risk_engine.domain.velocity import SERIES, Event, Series, empty_windows


@pytest.fixture
async def features(clean_redis_url: str) -> AsyncIterator[FeatureStore]:
    async with create_redis(clean_redis_url) as redis:
        store = FeatureStore(redis, timeout_s=5)
        await store.mark_warm()
        yield store


class PlainWindows:
    """The same windows kept by `domain/velocity.py` alone."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], tuple[Event, ...]] = defaultdict(tuple)

    def assess(self, subject: Subject, amount: int, records: str) -> dict[str, int | bool]:
        entities = subject.entities()
        event = Event(subject.event_id, subject.occurred_at_ms, amount, subject.card, subject.country)
        facts = empty_windows()
        for series in SERIES:
            if series.entity not in entities:
                continue
            key = (series.name, entities[series.entity])
            if series.kind == records:
                self.kept[key] = velocity.record(series, self.kept[key], event)
            facts |= velocity.windows_of(series, self.kept[key], event.at_ms)
        return facts


Step = tuple[int, int, int, str, str, str, str]
steps = st.lists(
    st.tuples(
        st.integers(1, 12),  # which decision: repeated ones are retries
        # minutes from noon: the edges of windows, and late and early ones mixed
        st.sampled_from([0, -10, -60, -24 * 60, -7 * 24 * 60, -30 * 24 * 60])
        | st.integers(-40 * 24 * 60, 60),
        st.integers(0, 50_000),
        st.sampled_from(["", "card-1", "card-2"]),
        st.sampled_from(["", "customer-1"]),
        st.sampled_from(["", "DE", "FR"]),
        st.sampled_from(["payments", "payments", "declines", "frauds"]),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
async def test_lua_says_what_the_definition_says(
    features: FeatureStore, steps: list[tuple[int, int, int, str, str, str, str]]
) -> None:
    await features._redis.flushall()
    plain = PlainWindows()
    for number, minutes, amount, card, customer, country, records in steps:
        subject = a_subject(
            number,
            occurred_at=NOON + timedelta(minutes=minutes),
            card=card,
            customer_id=customer,
            country=country,
            terminal="terminal-1" if number % 2 else "",
        )
        answered = await features._run(subject, amount, records=records, timeout_s=5)
        assert answered.windows == plain.assess(subject, amount, records)


async def test_the_cap_holds_and_says_so(features: FeatureStore) -> None:
    series = next(one for one in SERIES if one.name == "card.payments")
    plain = PlainWindows()
    for number in range(series.cap + 3):
        subject = a_subject(
            number, occurred_at=NOON + timedelta(seconds=number), customer_id="", device="", ip=""
        )
        answered = await features.assess(subject, 100)
        expected = plain.assess(subject, 100, "payments")
    assert answered.windows == expected
    assert answered.windows["card_payments_saturated"] is True
    assert answered.windows["card_count_24h"] == series.cap
    assert await features._redis.zcard(key_of(series, "card-1")) == series.cap


async def test_a_retried_decision_counts_once(features: FeatureStore) -> None:
    first = await features.assess(a_subject(1), 1250)
    retried = a_subject(1, payment_id="pay_of_the_retry", occurred_at=NOON + timedelta(seconds=3))
    again = await features.assess(retried, 1250)
    assert first.windows["card_count_10m"] == again.windows["card_count_10m"] == 1
    assert again.windows["customer_sum_30d"] == 1250


async def test_decisions_at_once_are_each_counted(features: FeatureStore) -> None:
    answers = await asyncio.gather(*(features.assess(a_subject(number), 1) for number in range(40)))
    assert sorted(answer.windows["card_count_10m"] for answer in answers) == list(range(1, 41))


async def test_a_decline_is_seen_by_the_next_payment_and_counts_as_no_payment(features: FeatureStore) -> None:
    await features.record(a_subject(1), 0, kind="declines")
    windows = (await features.assess(a_subject(2), 100)).windows
    assert (windows["card_declines_1h"], windows["merchant_declines_10m"], windows["card_count_10m"]) == (
        1,
        1,
        1,
    )


async def test_keys_end_with_their_longest_window(features: FeatureStore) -> None:
    subject = a_subject(terminal="terminal-1")
    await features.assess(subject, 100)
    for series in SERIES:
        if series.kind == "payments":
            entity = subject.entities()[series.entity]
            left_ms = await features._redis.pttl(key_of(series, entity))
            assert series.horizon_ms - 60_000 < left_ms <= series.horizon_ms


async def test_a_key_of_an_entity_carries_one_hash_tag() -> None:
    assert key_of(SERIES[0], "abc") == "vel:{card:abc}:payments"


async def test_a_flushed_script_cache_is_survived(features: FeatureStore) -> None:
    await features.assess(a_subject(1), 100)
    await features._redis.script_flush()
    assert (await features.assess(a_subject(2), 100)).windows["card_count_10m"] == 2


async def test_lost_data_is_told_as_cold(features: FeatureStore) -> None:
    assert (await features.assess(a_subject(1), 100)).is_warm
    await features._redis.flushall()
    assert not (await features.assess(a_subject(2), 100)).is_warm
    assert not await features.is_warm()


async def test_a_killed_redis_and_a_frozen_one_are_both_unavailable(killable_redis: KillableRedis) -> None:
    async with create_redis(killable_redis.url) as redis:
        store = FeatureStore(redis, timeout_s=0.5)
        await store.assess(a_subject(1), 100)
        with killable_redis.frozen(), pytest.raises(VelocityUnavailable, match="TimeoutError"):
            await store.assess(a_subject(2), 100)
        killable_redis.kill()
        with pytest.raises(VelocityUnavailable, match="ConnectionError"):
            await store.assess(a_subject(3), 100)
        killable_redis.start()
        assert (await store.assess(a_subject(4), 100)).windows["card_count_10m"] == 1


def test_the_program_is_made_of_the_definitions() -> None:
    made = program()
    for series in SERIES:
        assert f"cap={series.cap}, horizon={series.horizon_ms}" in made
        for window in series.windows:
            assert f"'{window.aggregate}', {window.length_ms}" in made


def test_a_series_of_counts_alone_does_not_parse_its_members() -> None:
    counted: list[Series] = [one for one in SERIES if one.kind == "declines" or one.entity == "terminal"]
    assert program().count("parses=false") == len(counted)


async def test_answers_are_not_mixed_up_after_a_stall(killable_redis: KillableRedis) -> None:
    """Callers that lost patience must not leave their answers to those who come after them."""
    async with create_redis(killable_redis.url) as redis:
        store = FeatureStore(redis, timeout_s=0.05)
        with killable_redis.frozen():
            late = [store.assess(a_subject(n, card=f"late-{n}", device="", ip=""), n) for n in range(8)]
            results = await asyncio.gather(*late, return_exceptions=True)
        assert {type(result) for result in results} == {VelocityUnavailable}
        await asyncio.sleep(ROUND_TRIP_S)  # the stalled round trip is given up
        patient = FeatureStore(redis, timeout_s=5)
        sums = await asyncio.gather(
            *(
                patient.assess(a_subject(100 + n, card=f"card-{n}", customer_id=f"c-{n}"), 1000 + n)
                for n in range(100)
            )
        )
        assert [one.windows["card_sum_24h"] for one in sums] == [1000 + n for n in range(100)]


async def test_who_lost_patience_in_the_queue_is_not_sent_any_more(killable_redis: KillableRedis) -> None:
    """Work nobody waits for would hold up those who do."""
    async with create_redis(killable_redis.url) as redis:
        store = FeatureStore(redis, timeout_s=0.05)
        patient = FeatureStore(redis, timeout_s=5)
        await patient.mark_warm()
        store._script = patient._script
        with killable_redis.frozen():
            first = asyncio.create_task(patient.assess(a_subject(1, card="in-flight"), 1))
            await asyncio.sleep(0.01)
            with pytest.raises(VelocityUnavailable):
                await store.assess(a_subject(2, card="queued"), 1)
        await asyncio.gather(first, return_exceptions=True)
        assert (await patient.assess(a_subject(3, card="later"), 1)).windows["card_count_10m"] == 1
        assert not await redis.exists(key_of(SERIES[0], "queued"))
