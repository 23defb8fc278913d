"""The Lua program against the plain-Python meaning of the same windows, on a real Redis."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from risk_rig import NOON, KillableRedis, a_subject

from platform_kit.redis import create_redis
from risk_engine.clients.features import (
    FULL_KEY,
    FULL_MS,
    FeatureStore,
    VelocityUnavailable,
    key_of,
    program,
)
from risk_engine.clients.links import names_of
from risk_engine.clients.shared_script import BATCH_MAX, CALL_MS_MAX, ROUND_TRIP_S
from risk_engine.domain import links, velocity
from risk_engine.domain.facts import Subject, no_windows
from risk_engine.domain.links import FRAUD, Memory, Place, Remembered
from risk_engine.domain.velocity import SERIES, Aggregate, Event, Series
from risk_engine.settings import Settings


@pytest.fixture
async def features(clean_redis_url: str) -> AsyncIterator[FeatureStore]:
    async with create_redis(clean_redis_url, timeout_s=60) as redis:
        store = FeatureStore(redis, timeout_s=60)
        await store.mark_warm()
        yield store


class PlainWindows:
    """The same windows and memory kept by `domain/velocity.py` and `domain/links.py` alone."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], tuple[Event, ...]] = defaultdict(tuple)
        self.memory: Memory = {}

    def assess(self, subject: Subject, amount: int, records: str) -> dict[str, int | bool]:
        entities = subject.entities()
        event = Event(subject.event_id, subject.occurred_at_ms, amount, subject.card, subject.country)
        facts = no_windows() | self.remembered(subject, records)
        for series in SERIES:
            if series.entity not in entities:
                continue
            key = (series.name, entities[series.entity])
            if series.kind == records:
                self.kept[key] = velocity.record(series, self.kept[key], event)
            facts |= velocity.windows_of(series, self.kept[key], event.at_ms)
        return facts

    def remembered(self, subject: Subject, records: str) -> dict[str, int | bool]:
        now, own = subject.occurred_at_ms, names_of(subject)
        if records == "declines":
            return {}
        if records == "frauds":
            links.remember_fraud(self.memory, own.values(), now, subject.event_id)
        elif records == "cleared":
            links.forget_fraud(self.memory, own.values(), subject.event_id)
        else:
            place = Place(now, subject.event_id, subject.ip_country)
            links.remember_payment(self.memory, own.values(), place)
        seen = {
            kind: links.seen(self.memory.get(name, Remembered()), now, subject.event_id)
            for kind, name in own.items()
        }
        return links.facts_of(seen, subject.ip_country) | links.reach(self.memory, own.values(), now)


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
        st.sampled_from(["payments", "payments", "declines", "frauds", "cleared"]),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
@example(  # what is taken back at a late time leaves what an early payment is linked to
    [
        (1, -40 * 24 * 60, 0, "card-1", "", "", "frauds"),
        (2, 0, 0, "card-1", "", "", "cleared"),
        (3, -39 * 24 * 60, 0, "card-1", "", "", "payments"),
    ]
)
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
            email="email-1" if number % 3 else "",
            ip_country="US" if number % 4 else "",
            card_bin=("", "424242", "42424242")[number % 3],
        )
        answered = await features._run(subject, amount, records=records, timeout_s=60)
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


async def test_numbers_made_up_within_one_bin_are_seen_by_what_they_share(features: FeatureStore) -> None:
    """Each card, device and address is new; the merchant and the first digits are not."""

    def tried(number: int, **changes: Any) -> Subject:
        fresh = {"card": f"card-{number}", "device": f"d-{number}", "ip": f"ip-{number}", "customer_id": ""}
        return a_subject(number, **{"card_bin": "42424242"} | fresh | changes)

    for number in range(6):
        await features.record(tried(number), 0, kind="declines")
    await features.record(tried(6, card="card-5"), 0, kind="declines")
    seen = (await features.assess(tried(7, card_bin="424242"), 100)).windows
    assert (seen["bin_declines_10m"], seen["bin_declined_cards_10m"]) == (7, 6)
    elsewhere = (await features.assess(tried(8, merchant_id="mer_2"), 100)).windows
    other = (await features.assess(tried(9, card_bin="51515151"), 100)).windows
    later = (await features.assess(tried(10, occurred_at=NOON + timedelta(minutes=10)), 100)).windows
    assert [one["bin_declined_cards_10m"] for one in (elsewhere, other, later)] == [0, 0, 0]


async def test_keys_end_with_their_longest_window(features: FeatureStore) -> None:
    subject = a_subject(terminal="terminal-1", email="email-1")
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
    async with create_redis(killable_redis.url, timeout_s=60) as redis:
        store = FeatureStore(redis, timeout_s=60)
        await store.assess(a_subject(1), 100)
        impatient = FeatureStore(redis, timeout_s=0.2)
        with killable_redis.frozen(), pytest.raises(VelocityUnavailable, match="TimeoutError"):
            await impatient.assess(a_subject(2), 100)
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


def test_a_series_of_counts_and_ages_alone_does_not_parse_its_members() -> None:
    of_times = {Aggregate.COUNT, Aggregate.OLDEST_HOURS, Aggregate.NEWEST_HOURS}
    counted: list[Series] = [
        one for one in SERIES if all(window.aggregate in of_times for window in one.windows)
    ]
    assert {one.name for one in counted} >= {"card.declines", "terminal.payments", "terminal.frauds"}
    assert program().count("parses=false") == len(counted)


async def test_answers_are_not_mixed_up_after_a_stall(killable_redis: KillableRedis) -> None:
    """Callers that lost patience must not leave their answers to those who come after them."""
    async with create_redis(killable_redis.url, timeout_s=60) as redis:
        store = FeatureStore(redis, timeout_s=0.05)
        with killable_redis.frozen():
            late = [store.assess(a_subject(n, card=f"late-{n}", device="", ip=""), n) for n in range(8)]
            results = await asyncio.gather(*late, return_exceptions=True)
        assert {type(result) for result in results} == {VelocityUnavailable}
        await asyncio.sleep(ROUND_TRIP_S)  # the stalled round trip is given up
        patient = FeatureStore(redis, timeout_s=60)
        sums = await asyncio.gather(
            *(
                patient.assess(a_subject(100 + n, card=f"card-{n}", customer_id=f"c-{n}"), 1000 + n)
                for n in range(100)
            )
        )
        assert [one.windows["card_sum_24h"] for one in sums] == [1000 + n for n in range(100)]


async def test_a_store_of_patient_callers_waits_for_a_redis_that_stood_still(
    killable_redis: KillableRedis,
) -> None:
    """A rebuild has more time than a decision; a round trip that ends sooner would take it away."""
    async with create_redis(killable_redis.url, timeout_s=60) as redis:
        store = FeatureStore(redis, timeout_s=60)
        await store.assess(a_subject(1), 100)
        with killable_redis.frozen():
            waiting = asyncio.create_task(store.assess(a_subject(2), 100))
            await asyncio.sleep(2 * ROUND_TRIP_S)
            assert not waiting.done()
        assert (await waiting).windows["card_count_10m"] == 2


def test_the_last_of_a_full_batch_is_answered_within_the_velocitys_share() -> None:
    share_ms = Settings.model_fields["velocity_timeout_ms"].default
    way_ms = 10  # over the network, and the batch that is on its way already
    assert BATCH_MAX * CALL_MS_MAX + way_ms < share_ms


async def test_who_lost_patience_in_the_queue_is_not_sent_any_more(killable_redis: KillableRedis) -> None:
    """Work nobody waits for would hold up those who do."""
    async with create_redis(killable_redis.url, timeout_s=60) as redis:
        store = FeatureStore(redis, timeout_s=0.05)
        patient = FeatureStore(redis, timeout_s=60)
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


def a_crowd(count: int, seed: int) -> list[tuple[Subject, str]]:
    """Payments of a few payers who share cards, devices and mailboxes, over 60 days and not in order; some are retried
    and some are called fraud."""
    draw, made = Random(seed), list[tuple[Subject, str]]()
    for number in range(count):
        at = NOON + timedelta(seconds=draw.randrange(60 * 86_400))
        subject = a_subject(
            draw.randrange(count) if number % 9 == 0 else number,
            occurred_at=at,
            card=f"card{draw.randrange(40)}",
            customer_id=draw.choice(["", f"customer-{draw.randrange(25)}"]),
            device=draw.choice(["", f"device{draw.randrange(30)}"]),
            email=draw.choice(["", f"email{draw.randrange(25)}"]),
            ip_country=draw.choice(["", "DE", "FR", "US", "SG"]),
        )
        made.append((subject, draw.choice(["payments"] * 8 + ["frauds", "declines"])))
    return made


async def test_a_simulated_history_gives_the_same_facts_both_ways(features: FeatureStore) -> None:
    plain, most = PlainWindows(), dict[str, Any]()
    for subject, records in a_crowd(1_500, seed=7):
        answered = (await features._run(subject, 1250, records=records, timeout_s=60)).windows
        assert answered == plain.assess(subject, 1250, records)
        most = {
            name: max(value, most.get(name, 0)) for name, value in answered.items() if name in links.FACTS
        }
    # The history has reached what it is to prove: two hops, the cap, frauds, ages and flights.
    assert (most["links_saturated"], most["card_is_new"]) == (True, True)
    assert most["linked_cards"] > 16
    assert most[f"linked_{FRAUD}s"] > 2
    assert most["card_age_days"] > 50
    assert most["card_travel_kmh"] > 1_000


async def test_the_same_is_remembered_whatever_the_order(features: FeatureStore) -> None:
    """A rebuild reads the newest payment first, and ends where the live path had been."""
    late = {
        one.event_id: one for one, _ in a_crowd(300, seed=3) if one.occurred_at > NOON + timedelta(days=35)
    }

    async def all_known() -> dict[bytes, dict[bytes, bytes]]:
        keys = await features._redis.keys("vel:*:known")
        return {key: await features._redis.hgetall(key) for key in keys}

    crowd = sorted(late.values(), key=lambda one: one.occurred_at)
    for subject in crowd:
        await features.record(subject, 1250, kind="payments")
    live = await all_known()
    await features._redis.flushall()
    for subject in reversed(crowd):
        await features.record(subject, 1250, kind="payments")
    assert live
    assert await all_known() == live


async def test_the_memory_of_an_entity_has_a_stated_size_and_an_end(features: FeatureStore) -> None:
    for number in range(40):
        subject = a_subject(number, device=f"{number:024x}", email=f"{number + 99:024x}", ip_country="DE")
        await features.assess(subject, 100)
    key = f"vel:{{card:{a_subject().card}}}:known"
    assert await features._redis.hlen(key) == links.NEIGHBOURS_MAX + 3  # first, place, before
    assert await features._redis.memory_usage(key) < 1_400
    assert 0 < await features._redis.pttl(key) <= links.ONCE_MS


async def test_who_came_back_is_remembered_longer_and_a_replay_shortens_nothing(
    features: FeatureStore,
) -> None:
    key, kept_ms = f"vel:{{card:{a_subject().card}}}:known", list[int]()
    for number, days in enumerate((3, 3.9, 4.1, 3.8, 4.1)):
        await features.assess(a_subject(number, occurred_at=NOON + timedelta(days=days)), 100)
        kept_ms.append(await features._redis.pttl(key))
    await features.record(a_subject(1), 0, kind="frauds")
    kept_ms.append(await features._redis.pttl(key))
    assert max(kept_ms[:2]) <= links.ONCE_MS < links.REMEMBERED_MS - 60_000 < min(kept_ms[2:])
    await features._redis.flushall()
    for number, days in enumerate((4, 2, 1.9)):  # as a rebuild reads them
        await features.record(
            a_subject(number, occurred_at=NOON + timedelta(days=days)), 100, kind="payments"
        )
    assert await features._redis.pttl(key) > links.REMEMBERED_MS - 60_000


async def test_strangers_cannot_fill_redis_and_who_is_known_still_gains_neighbours(
    features: FeatureStore,
) -> None:
    store = FeatureStore(features._redis, timeout_s=60, strangers_per_day_max=4)
    await store.assess(a_subject(0, email="email-1"), 100)
    (counter,) = await features._redis.keys("vel:strangers:*")
    assert 0 < await features._redis.pttl(counter) <= 2 * velocity.DAY_MS
    for number in range(1, 9):
        tested = a_subject(number, card=f"card-{number}x", customer_id="")
        windows = (await store.assess(tested, 100)).windows
        assert (windows["card_is_new"], windows["links_saturated"]) == (True, True)
    assert (windows["card_count_10m"], windows["linked_cards"]) == (1, 9)
    assert len(await features._redis.keys("vel:*:known")) == 4
    await store.assess(replace(tested, key="next", occurred_at=NOON + timedelta(days=1)), 100)
    assert len(await features._redis.keys("vel:*:known")) == 5


async def test_where_redis_is_nearly_full_strangers_leave_no_window_and_who_is_known_counts_on(
    features: FeatureStore,
) -> None:
    known = a_subject(0, email="email-1")
    await features.assess(known, 100)
    kept = set(await features._redis.keys("vel:*"))
    await features._redis.set(FULL_KEY, "1")
    for number in range(1, 4):
        fresh = dict.fromkeys(("card", "device", "ip", "email"), f"fresh-{number}")
        windows = (await features.assess(a_subject(number, customer_id="", **fresh), 100)).windows
        assert (windows["card_count_10m"], windows["ip_count_10m"], windows["email_count_1h"]) == (1, 1, 1)
        assert (windows["links_saturated"], windows["card_payments_saturated"]) == (True, False)
        again = (await features.assess(replace(known, key=f"again-{number}"), 100)).windows
        assert (again["card_count_10m"], again["customer_count_30d"]) == (1 + number, 1 + number)
    assert set(await features._redis.keys("vel:*")) == {*kept, FULL_KEY.encode()}


async def test_room_is_noted_for_all_who_decide_and_only_for_a_while(killable_redis: KillableRedis) -> None:
    async with create_redis(killable_redis.url, timeout_s=60) as redis:
        store = FeatureStore(redis, timeout_s=60)
        await redis.config_set("maxmemory", 0)
        assert (await store.filled(), await store.note_room()) == (0.0, True), (
            "without a bound it is never full"
        )
        await redis.config_set("maxmemory", int((await redis.info("memory"))["used_memory"] / 0.85))
        assert not await store.note_room()
        assert 0 < await redis.pttl(FULL_KEY) <= FULL_MS
        await redis.config_set("maxmemory", 1 << 40)
        assert await store.note_room()


async def test_a_wholly_new_payer_costs_two_kilobytes(features: FeatureStore) -> None:
    """Windows and memory, guests whose card stands for the customer among them: docs/risk.md says so."""
    await features.assess(a_subject(1, customer_id="", email="email-1", card_bin="424242"), 100)
    found = {key: await features._redis.memory_usage(key) for key in await features._redis.keys("vel:{*")}
    windows = sum(used for key, used in found.items() if not key.endswith(b":known"))
    memory = sum(used for key, used in found.items() if key.endswith(b":known"))
    assert windows < 1_100, found
    assert memory < 1_100, found
