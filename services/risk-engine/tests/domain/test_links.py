"""What is remembered of a payer: first seen, last place, who was seen with whom."""

from risk_engine.domain.links import (
    LINK_MS,
    NEIGHBOURS_MAX,
    Memory,
    Place,
    facts_of,
    no_memory,
    reach,
    remember_fraud,
    remember_payment,
    seen,
)
from risk_engine.domain.velocity import DAY_MS, HOUR_MS

NOW = 400 * DAY_MS


def pay(memory: Memory, own: str, at_ms: int = NOW, payment: str = "", country: str = "") -> None:
    remember_payment(memory, own.split(), Place(at_ms, payment or f"p{at_ms}", country))


def linked(memory: Memory, own: str, now_ms: int = NOW) -> list[int]:
    found = reach(memory, own.split(), now_ms)
    return [found[f"linked_{kind}s"] for kind in ("card", "customer", "device", "email", "fraud")]


def test_two_hops_are_reached_and_not_three() -> None:
    memory: Memory = {}
    pay(memory, "card:a device:x")
    pay(memory, "card:b device:x email:m")
    pay(memory, "card:c email:m")
    pay(memory, "card:d customer:z")
    assert linked(memory, "card:a") == [2, 0, 1, 1, 0]  # a - x - b and m; c is three hops away
    assert linked(memory, "card:b") == [3, 0, 1, 1, 0]  # b - x - a, b - m - c
    assert linked(memory, "card:new") == [1, 0, 0, 0, 0]


def test_a_link_ends_after_a_month_and_none_comes_from_the_future() -> None:
    memory: Memory = {}
    pay(memory, "card:a device:x", NOW - LINK_MS)
    pay(memory, "card:b device:x", NOW - LINK_MS + 2)
    pay(memory, "card:c device:x", NOW + 1)
    assert linked(memory, "device:x") == [1, 0, 1, 0, 0]


def test_the_newest_neighbours_are_kept_and_the_cap_says_so() -> None:
    memory: Memory = {}
    for number in range(NEIGHBOURS_MAX + 2):
        pay(memory, f"card:{number:02} device:x", NOW - 100 + number)
    found = reach(memory, ["device:x"], NOW)
    assert (found["linked_cards"], found["links_saturated"]) == (NEIGHBOURS_MAX, True)
    assert "card:00" not in memory["device:x"].links
    assert linked(memory, "card:00") == [1 + NEIGHBOURS_MAX, 0, 1, 0, 0]  # it still knows the device


def test_a_fraud_is_found_two_hops_away_and_is_no_hop_itself() -> None:
    memory: Memory = {}
    pay(memory, "card:a device:x")
    pay(memory, "card:b device:x")
    remember_fraud(memory, ["card:a", "device:x"], NOW, "pay_1")
    assert linked(memory, "card:b") == [2, 0, 1, 0, 1]
    remember_fraud(memory, ["card:a"], NOW, "pay_1")
    assert linked(memory, "card:b")[-1] == 1


def test_who_pays_for_the_first_time_is_new_and_a_retry_still_is() -> None:
    memory: Memory = {}
    pay(memory, "card:a", NOW, "first")
    assert seen(memory["card:a"], NOW, "first").is_new
    assert seen(memory["card:a"], NOW + HOUR_MS, "first").is_new
    pay(memory, "card:a", NOW + 40 * DAY_MS, "second")
    later = seen(memory["card:a"], NOW + 40 * DAY_MS, "second")
    assert (later.is_new, later.age_ms) == (False, 40 * DAY_MS)


def test_a_payment_that_comes_late_was_earlier_all_the_same() -> None:
    memory: Memory = {}
    pay(memory, "card:a", NOW, "one", "SG")
    pay(memory, "card:a", NOW - HOUR_MS, "late", "DE")
    assert memory["card:a"].first == (NOW - HOUR_MS, "late")
    assert seen(memory["card:a"], NOW, "one").came_from == "DE"
    assert seen(memory["card:a"], NOW - HOUR_MS, "late").came_from == ""  # not from the future


def test_travel_is_from_the_place_before_and_a_retry_did_not_travel() -> None:
    memory: Memory = {}
    pay(memory, "card:a", NOW, "one", "DE")
    pay(memory, "card:a", NOW + HOUR_MS, "two", "SG")
    pay(memory, "card:a", NOW + HOUR_MS, "two", "SG")
    facts = facts_of({"card": seen(memory["card:a"], NOW + HOUR_MS, "two")}, "SG")
    assert facts["card_travel_km"] == facts["card_travel_kmh"] > 9_000
    pay(memory, "card:a", NOW + 2 * HOUR_MS, "three")  # from nobody knows where
    facts = facts_of({"card": seen(memory["card:a"], NOW + 2 * HOUR_MS, "three")}, "")
    assert (facts["card_travel_km"], facts["card_travel_kmh"]) == (0, 0)


def test_only_what_is_paid_with_and_who_pays_travel() -> None:
    memory: Memory = {}
    pay(memory, "device:x", NOW, "one", "DE")
    facts = facts_of({"device": seen(memory["device:x"], NOW, "one")}, "SG")
    assert facts == {"device_age_days": 0, "device_is_new": True}
    assert facts.keys() <= no_memory().keys()
