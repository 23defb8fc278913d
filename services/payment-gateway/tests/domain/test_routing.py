"""Routing is a function of its facts and rules: the same ones give the same choice, with a reason for every channel."""

from __future__ import annotations

import tomllib
from dataclasses import asdict
from importlib.resources import files
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from payment_gateway.domain.routing import Facts, NoRoute, choose, seed_of
from payment_gateway.domain.routing_rules import InvalidRules, RoutingRules, parse_rules

DEFAULT = tomllib.loads((files("payment_gateway") / "routing.toml").read_text())
PAIR = ["card_sim", "card_sim_2"]


def rules(*listed: dict[str, Any], **changes: Any) -> RoutingRules:
    return parse_rules({**DEFAULT, "rules": list(listed), **changes})


def rule(**changes: Any) -> dict[str, Any]:
    return {"name": "r", "channels": PAIR, **changes}


def facts(number: int = 1, **changes: Any) -> Facts:
    payment_id = f"pay_{number}"
    return Facts(
        **{
            "payment_id": payment_id, "merchant_id": "mer_1", "method": "card", "currency": "EUR",
            "amount_minor": 1250, "holds": False, "seed": seed_of(payment_id, 1),
        }
        | changes
    )  # fmt: skip


def test_the_packages_rules_give_every_method_a_channel() -> None:
    parsed = parse_rules(DEFAULT)
    chosen = {method: choose(facts(method=method), parsed).channel for method in ("card", "wallet", "bank")}
    assert chosen == {"card": "card_sim", "wallet": "wallet_sim", "bank": "bank_sim"}


@pytest.mark.parametrize(
    ("when", "asked", "matches"),
    [
        ({"currencies": ["USD"]}, {"currency": "USD"}, True),
        ({"currencies": ["USD"]}, {"currency": "EUR"}, False),
        ({"merchants": ["mer_1"]}, {}, True),
        ({"merchants": ["mer_2"]}, {}, False),
        ({"methods": ["wallet"]}, {}, False),
        ({"amount_from": 1250, "amount_to": 1250}, {}, True),
        ({"amount_from": 1251}, {}, False),
        ({"amount_to": 1249}, {}, False),
    ],
)
def test_the_first_rule_decides_whose_every_condition_holds(
    when: dict[str, Any], asked: dict[str, Any], matches: bool
) -> None:
    special = rule(name="special", when=when, channels=["card_sim_2"])
    route = choose(facts(**asked), rules(special, rule(name="rest")))
    assert route.rule == ("special" if matches else "rest")


def test_every_channel_that_is_left_out_says_why() -> None:
    with pytest.raises(NoRoute) as refused:
        choose(facts(closed=("card_sim",), tried=("card_sim_2",)), rules(rule()))
    assert [c.reason for c in refused.value.candidates] == [
        "breaker open or not deployed",
        "did not process this payment",
    ]


def test_a_channel_that_cannot_hold_is_not_asked_to() -> None:
    channels = {**DEFAULT["channels"], "card_sim": {"methods": ["card"], "holds": False}}
    assert choose(facts(holds=True), rules(rule(), channels=channels)).channel == "card_sim_2"
    assert choose(facts(holds=False), rules(rule(), channels=channels)).channel == "card_sim"


def test_a_split_gives_each_channel_its_share_and_a_payment_always_the_same_one() -> None:
    split = rules(rule(by="split", split={"card_sim": 80, "card_sim_2": 20}))
    chosen = [choose(facts(number), split).channel for number in range(2000)]
    assert chosen == [choose(facts(number), split).channel for number in range(2000)]
    assert 320 <= chosen.count("card_sim_2") <= 480
    none = rules(rule(by="split", split={"card_sim": 0, "card_sim_2": 1}))
    assert {choose(facts(number), none).channel for number in range(50)} == {"card_sim_2"}


def test_the_least_cost_depends_on_the_amount() -> None:
    cheapest = rules(rule(by="cost"))
    assert choose(facts(amount_minor=1000), cheapest).channel == "card_sim"  # 39 against 61
    assert choose(facts(amount_minor=100_000), cheapest).channel == "card_sim_2"  # 1425 against 1150


@pytest.mark.parametrize("by", ["success", "greedy"])
def test_a_better_channel_gets_most_payments_and_the_other_still_some(by: str) -> None:
    tallies = {"card_sim": (50, 50), "card_sim_2": (60, 40)}
    chosen = [choose(facts(n, tallies=tallies), rules(rule(by=by))).channel for n in range(1000)]
    assert 800 <= chosen.count("card_sim_2") < 1000


def test_a_bandit_learns_from_what_it_is_told_later() -> None:
    """Delayed feedback: nothing is known for the first 200 payments, then the outcomes arrive 200 payments late."""
    truth = {"card_sim": 0.6, "card_sim_2": 0.9}
    outcomes: list[tuple[str, int]] = []
    tallies: dict[str, tuple[int, int]] = {}
    by_success = rules(rule(by="success"))
    for number in range(2000):
        if number % 100 == 0:  # refreshed now and then, as in a process
            known = outcomes[:-200]
            paid = {name: sum(paid for channel, paid in known if channel == name) for name in PAIR}
            asked = {name: sum(channel == name for channel, _ in known) for name in PAIR}
            tallies = {name: (paid[name], asked[name] - paid[name]) for name in PAIR}
        channel = choose(facts(number, tallies=tallies), by_success).channel
        outcomes.append((channel, int(seed_of(f"issuer {number}", 0) % 1000 < 1000 * truth[channel])))
    assert sum(channel == "card_sim_2" for channel, _ in outcomes[-1000:]) > 930


COUNTS = st.tuples(st.integers(0, 10**6), st.integers(0, 10**6))


@given(
    by=st.sampled_from(["order", "cost", "success", "greedy"]),
    number=st.integers(0, 10**9),
    amount=st.integers(1, 10**12),
    currency=st.sampled_from(["EUR", "JPY", "KWD"]),
    tallies=st.dictionaries(st.sampled_from(PAIR), COUNTS),
    closed=st.sampled_from([(), ("card_sim",), ("card_sim_2",)]),
)
def test_what_is_stored_replays_to_the_same_route(
    by: str,
    number: int,
    amount: int,
    currency: str,
    tallies: dict[str, tuple[int, int]],
    closed: tuple[str, ...],
) -> None:
    asked = facts(number, amount_minor=amount, currency=currency, tallies=tallies, closed=closed)
    source = {**DEFAULT, "rules": [rule(by=by)]}
    route = choose(asked, parse_rules(source))
    stored = orjson.loads(
        orjson.dumps({"facts": asked.as_object(), "rules": source, "route": route.as_object()})
    )
    again = choose(Facts.of_object(stored["facts"]), parse_rules(stored["rules"]))
    assert orjson.loads(orjson.dumps(again.as_object())) == stored["route"]
    assert route.channel not in closed


def test_a_decision_is_stored_with_all_that_it_holds() -> None:
    asked = facts(1, tallies={"card_sim": (3, 1)}, closed=("card_sim_2",), tried=("wallet_sim",))
    route = choose(facts(1), rules(rule()))
    assert asked.as_object() == asdict(asked)
    assert route.as_object() == asdict(route)


@pytest.mark.parametrize(
    ("source", "key"),
    [
        ({}, "rules"),
        ({"rules": [rule(by="luck")]}, "rules[0].by"),
        ({"rules": [rule(), rule(channels=["paypigeon"])]}, "rules[1].channels"),
        ({"rules": [rule(channels=[])]}, "rules[0].channels"),
        ({"rules": [rule(), rule()]}, "rules"),
        ({"rules": [rule(when={"amount": 1})]}, "rules[0].when.amount"),
        ({"rules": [rule(when={"amount_from": -1})]}, "rules[0].when.amount_from"),
        ({"rules": [rule(when={"amount_from": 2, "amount_to": 1})]}, "rules[0].when.amount_to"),
        ({"rules": [rule(when={"currencies": ["EURO"]})]}, "rules[0].when.currencies"),
        ({"rules": [rule(by="split", split={"card_sim": 1})]}, "rules[0].split"),
        ({"rules": [rule(split={"card_sim": 1, "card_sim_2": 1})]}, "rules[0].split"),
        ({"rules": [rule(by="split", split={"card_sim": 0, "card_sim_2": 0})]}, "rules[0].split"),
        ({"rules": [rule()], "retry": {"budget": True}}, "retry.budget"),
        ({"rules": [rule()], "epsilon": 2}, "epsilon"),
        ({"rules": [rule()], "channels": {"card_sim": {"methods": []}}}, "channels.card_sim.methods"),
        ({"rules": [rule()], "colour": "red"}, "colour"),
    ],
)
def test_wrong_rules_are_refused_by_the_name_of_the_key(source: dict[str, Any], key: str) -> None:
    base = {name: value for name, value in DEFAULT.items() if name != "rules"}
    with pytest.raises(InvalidRules, match="^" + key.replace("[", r"\[").replace("]", r"\]") + ":"):
        parse_rules({**base, **source})


def test_rules_about_a_channel_that_is_not_deployed_are_refused() -> None:
    with pytest.raises(InvalidRules, match=r"^channels\.card_sim_2: "):
        parse_rules(DEFAULT, frozenset({"card_sim", "wallet_sim", "bank_sim"}))
