"""What is remembered of payers decides, is stored, is replayed, and comes back after Redis lost it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from risk_rig import NOON, a_request, a_subject, codes
from sqlalchemy import text

from platform_kit.clock import FixedClock
from platform_kit.ids import new_id
from risk_engine.api.schemas.assessments import AssessmentRequest
from risk_engine.clients.features import FeatureStore
from risk_engine.domain.facts import Subject
from risk_engine.domain.labels import Label, LabelKind, LabelSource
from risk_engine.operations.assess_payment import assess_payment
from risk_engine.operations.deps import Deps, load_geography
from risk_engine.operations.publish_rule_set import publish_first_rule_set
from risk_engine.operations.rebuild_velocity import project_frauds, rebuild_velocity
from risk_engine.operations.replay_decisions import replay_decisions
from risk_engine.store import labels


@pytest.fixture
def at_noon(deps: Deps) -> Deps:
    return replace(deps, clock=FixedClock(NOON + timedelta(minutes=30)))


async def stored(deps: Deps, assessment: Any) -> Any:
    async with deps.engine.connect() as conn:
        find = text("SELECT request, facts FROM risk.assessment WHERE id = :id")
        return (await conn.execute(find, {"id": assessment["id"]})).one()


def from_address(ip: str, number: int, minutes: int, **changes: Any) -> AssessmentRequest:
    at = NOON + timedelta(minutes=minutes)
    customer = {"id": f"c-{number}", "country": "DE", "ip": ip, "device_id": f"d-{number}"}
    body = a_request(number, customer=customer, occurred_at=at.isoformat(), **changes)
    return AssessmentRequest.model_validate(body)


async def ask(deps: Deps, request: AssessmentRequest) -> Any:
    return await assess_payment(deps, request.subject(deps.clock.now(), deps.country_of))


async def test_a_card_that_crosses_the_world_in_minutes_is_challenged(at_noon: Deps) -> None:
    await ask(at_noon, from_address("198.51.100.7", 1, minutes=0))
    answer = await ask(at_noon, from_address("203.0.113.7", 2, minutes=10))
    assert (answer["decision"], codes(answer)) == ("challenge", ["impossible_travel"])
    row = await stored(at_noon, answer)
    assert (row.facts["ip_country"], row.request["ip_country"]) == ("SG", "SG")
    assert row.facts["card_travel_kmh"] > 6 * row.facts["card_travel_km"] - 6 > 60_000
    assert "203.0.113.7" not in str(row)  # the address itself is kept nowhere
    at_home = await ask(at_noon, from_address("203.0.113.9", 3, minutes=11))
    assert at_home["decision"] == "allow"


async def test_a_commuter_over_a_border_is_not_challenged(at_noon: Deps) -> None:
    places = {"1": "SG", "2": "MY", "3": "EE", "4": "RU"}
    commuting = replace(at_noon, country_of=lambda ip: places.get(ip, ""))
    for card, there, here in (("tok_sg", "1", "2"), ("tok_ee", "3", "4")):
        await ask(commuting, from_address(there, int(there), minutes=0, card=card))
        answer = await ask(commuting, from_address(here, int(here), minutes=10, card=card))
        assert (answer["decision"], codes(answer)) == ("allow", [])
        assert (await stored(commuting, answer)).facts["card_travel_kmh"] > 1_000


async def test_nobody_is_new_to_an_engine_that_has_just_lost_its_memory(deps: Deps) -> None:
    abroad = {"amount_minor": 25_000, "ip_country": "US", "card_country": "FR", "country": "US"}
    stranger = await assess_payment(deps, a_subject(1, **abroad))
    assert "new_customer_abroad" in codes(stranger)
    await deps.redis.flushall()
    regular = await assess_payment(deps, a_subject(2, **abroad))
    assert "new_customer_abroad" not in codes(regular)
    facts = (await stored(deps, regular)).facts
    assert not any(facts[f"{kind}_is_new"] for kind in ("card", "customer", "device", "email"))


async def called_fraud(deps: Deps, number: int, **changes: Any) -> tuple[Subject, Any]:
    subject = a_subject(number, customer_id=f"victim-{number}", **changes)
    answer = await assess_payment(deps, subject)
    said = Label(subject.payment_id, LabelKind.FRAUD, LabelSource.UPLOAD, NOON, "ada", str(answer["id"]))
    async with deps.engine.begin() as conn:
        await labels.add(conn, [said])
    return subject, answer


async def test_who_shares_a_device_with_a_fraud_is_looked_at_once_it_is_known(deps: Deps) -> None:
    await called_fraud(deps, 1, card="stolen-card")
    before = await assess_payment(deps, a_subject(2, card="another-card"))
    assert before["decision"] == "allow"
    assert await project_frauds(deps) == 1
    after = await assess_payment(deps, a_subject(3, card="third-card", customer_id="c-3"))
    assert (after["decision"], codes(after)) == ("review", ["linked_to_fraud"])
    assert (await stored(deps, after)).facts["linked_frauds"] == 1
    stranger = a_subject(4, card="c", customer_id="c", device="other", ip="other")
    assert (await assess_payment(deps, stranger))["decision"] == "allow"


async def test_what_was_called_fraud_before_an_upgrade_reaches_the_payers_memory(deps: Deps) -> None:
    """The release before kept no memory of payers, and had looked at all labels for the terminals' windows."""
    await called_fraud(deps, 1, card="stolen-card")
    await deps.redis.flushall()
    await deps.redis.mset({"vel:warm": "1", "vel:frauds": new_id("lbl")})
    later = replace(deps, clock=FixedClock(deps.clock.now() + timedelta(hours=1)))
    assert not await later.features.is_warm()
    await rebuild_velocity(later)
    await project_frauds(later)
    after = await assess_payment(deps, a_subject(3, card="third-card", customer_id="c-3"))
    assert (await stored(deps, after)).facts["linked_frauds"] == 1


async def test_the_victim_of_a_stolen_card_is_looked_at_and_not_blocked(deps: Deps) -> None:
    for number in range(3):
        await called_fraud(deps, number, card="stolen-card")
    await project_frauds(deps)
    answer = await assess_payment(deps, a_subject(3, card="card-of-the-bank", customer_id="victim"))
    assert answer["decision"] == "review"
    assert "linked_to_frauds" in codes(answer)


async def test_a_label_that_is_taken_back_links_nobody_any_more(deps: Deps) -> None:
    subject, answer = await called_fraud(deps, 1)
    await project_frauds(deps)
    for source, linked in (
        (LabelSource.CASE, 1),
        (LabelSource.UPLOAD, 0),
    ):  # only who said it can take it back
        said = Label(subject.payment_id, LabelKind.LEGITIMATE, source, NOON, "ada", str(answer["id"]))
        async with deps.engine.begin() as conn:
            await labels.add(conn, [said])
        await project_frauds(deps)
        after = await assess_payment(deps, a_subject(4 + linked))
        assert (await stored(deps, after)).facts["linked_frauds"] == linked


async def test_what_was_remembered_is_replayed_bit_for_bit(at_noon: Deps) -> None:
    await publish_first_rule_set(at_noon)
    for number, ip in enumerate(("198.51.100.1", "203.0.113.1", "2001:db8::1", "192.0.2.1", "no address")):
        await ask(at_noon, from_address(ip, number, minutes=number))
    replayed = await replay_decisions(at_noon, None, 100)
    assert (replayed["replayed"], replayed["identical"], replayed["differing"]) == (5, 5, 0)


async def test_what_was_remembered_comes_back_after_redis_lost_it(at_noon: Deps) -> None:
    for number in range(3):
        await ask(at_noon, from_address("198.51.100.1", number, minutes=number, card=f"tok_{number % 2}"))
    probe = from_address("203.0.113.1", 7, minutes=20, card="tok_1").subject(
        at_noon.clock.now(), at_noon.country_of
    )
    live = (await at_noon.features.assess(probe, 1250)).windows
    await at_noon.redis.flushall()
    assert await rebuild_velocity(at_noon) == 3
    assert (await at_noon.features.assess(probe, 1250)).windows == live
    assert (live["card_age_days"], live["card_is_new"], live["linked_cards"]) == (0, False, 1)


async def test_what_an_older_process_decides_during_a_rebuild_is_remembered(deps: Deps) -> None:
    class InAnUpgrade(FeatureStore):
        """During the first pass a payment of somebody new is decided by a process that keeps no memory of payers."""

        async def record(self, subject: Subject, amount: int, *, kind: str, timeout_s: float = 5.0) -> None:
            await super().record(subject, amount, kind=kind, timeout_s=timeout_s)
            if not await deps.redis.exists("decided"):
                await deps.redis.set("decided", 1)
                await assess_payment(deps, a_subject(2, card="card-2", customer_id="c-2", device="d-2"))
                await deps.redis.delete(*await deps.redis.keys("vel:*-2}:known"))

    await assess_payment(deps, a_subject(1))
    await deps.redis.flushall()
    rebuilding = replace(deps, features=InAnUpgrade(deps.redis, timeout_s=60))
    assert await rebuild_velocity(rebuilding) == 1
    again = await assess_payment(deps, a_subject(3, card="card-2", customer_id="c-2", device="d-2"))
    assert (await stored(deps, again)).facts["card_is_new"] is False


async def test_a_broken_table_of_addresses_stops_nobody(deps: Deps, tmp_path: Any) -> None:
    broken = tmp_path / "countries.mmdb"
    broken.write_bytes(b"nothing")
    country_of = load_geography(deps.settings.model_copy(update={"ip_country_file": broken}))
    assert country_of("198.51.100.7") == "US"
