"""Routing rules as data: what TOML says, checked once at start. An error names the key that is wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import orjson

from platform_kit.money import CURRENCIES

METHODS: Final = ("card", "wallet", "bank")
DECIMALS: Final = {"0": 0, "2": 2, "3": 3, "4": 4}


class By(StrEnum):
    """How a rule picks among its channels."""

    ORDER = "order"
    SPLIT = "split"
    COST = "cost"
    SUCCESS = "success"
    GREEDY = "greedy"


class InvalidRules(Exception):
    """The rules say something that we cannot follow; the text starts with the key, such as `rules[0].by`."""


@dataclass(frozen=True, slots=True)
class ChannelTerms:
    """What a channel takes, and what it charges."""

    methods: tuple[str, ...]
    currencies: tuple[str, ...] = ()
    """Empty = any."""
    holds: bool = True
    fee_basis_points: int = 0
    fee_fixed_minor: Mapping[int, int] = field(default_factory=dict)
    """Decimals of the currency -> fixed part of the fee in its minor units."""

    def fee_minor(self, amount_minor: int, decimals: int) -> int:
        share = (amount_minor * self.fee_basis_points + 5_000) // 10_000
        return share + self.fee_fixed_minor.get(decimals, 0)


@dataclass(frozen=True, slots=True)
class Rule:
    """Matches when every condition that it states holds; amounts in minor units, both ends included."""

    name: str
    channels: tuple[str, ...]
    by: By = By.ORDER
    split: Mapping[str, int] = field(default_factory=dict)
    methods: tuple[str, ...] = ()
    currencies: tuple[str, ...] = ()
    merchants: tuple[str, ...] = ()
    amount_from: int | None = None
    amount_to: int | None = None


@dataclass(frozen=True, slots=True)
class RoutingRules:
    channels: Mapping[str, ChannelTerms]
    rules: tuple[Rule, ...]
    retry_budget: int = 1
    """How many further channels a payment may be sent to after one that provably did not process it."""
    soft_declines: tuple[str, ...] = ()
    """Decline codes after which another channel may be tried too."""
    epsilon: float = 0.05
    source: Mapping[str, Any] = field(default_factory=dict)
    """What the rules were read from."""

    @property
    def digest(self) -> str:
        raw = orjson.dumps(self.source, option=orjson.OPT_SORT_KEYS)
        return hashlib.blake2b(raw, digest_size=8).hexdigest()


def parse_rules(source: Mapping[str, Any], known: frozenset[str] | None = None) -> RoutingRules:
    """The rules of a parsed TOML document; `known` are the channels that exist. Raises InvalidRules."""
    _only(source, "", "channels", "rules", "retry", "epsilon")
    channels = {
        name: _terms(_table(terms, f"channels.{name}"), f"channels.{name}")
        for name, terms in _table(source.get("channels"), "channels").items()
    }
    if known is not None and (strangers := sorted(set(channels) - known)):
        raise InvalidRules(
            f"channels.{strangers[0]}: there is no such channel; known are {', '.join(sorted(known))}"
        )
    listed = source.get("rules")
    if not isinstance(listed, list) or not listed:
        raise InvalidRules("rules: at least one [[rules]] table is needed")
    rules = tuple(_rule(_table(r, f"rules[{n}]"), f"rules[{n}]", channels) for n, r in enumerate(listed))
    names = [rule.name for rule in rules]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InvalidRules(f"rules: two rules are called {twice}")
    retry = _table(source.get("retry", {}), "retry")
    _only(retry, "retry.", "budget", "soft_declines")
    epsilon = source.get("epsilon", 0.05)
    if not isinstance(epsilon, int | float) or isinstance(epsilon, bool) or not 0 <= epsilon <= 1:
        raise InvalidRules("epsilon: a number from 0 to 1")
    return RoutingRules(
        channels=channels,
        rules=rules,
        retry_budget=_whole(retry.get("budget", 1), "retry.budget"),
        soft_declines=_texts(retry, "retry.", "soft_declines"),
        epsilon=float(epsilon),
        source=source,
    )


def _terms(source: Mapping[str, Any], at: str) -> ChannelTerms:
    _only(source, f"{at}.", "methods", "currencies", "holds", "fee")
    fee = _table(source.get("fee", {}), f"{at}.fee")
    _only(fee, f"{at}.fee.", "basis_points", "fixed_minor")
    fixed = _table(fee.get("fixed_minor", {}), f"{at}.fee.fixed_minor")
    _only(fixed, f"{at}.fee.fixed_minor.", *DECIMALS)
    methods = _texts(source, f"{at}.", "methods", METHODS)
    if not methods:
        raise InvalidRules(f"{at}.methods: at least one of {', '.join(METHODS)}")
    holds = source.get("holds", True)
    if not isinstance(holds, bool):
        raise InvalidRules(f"{at}.holds: true or false")
    return ChannelTerms(
        methods=methods,
        currencies=_texts(source, f"{at}.", "currencies", CURRENCIES),
        holds=holds,
        fee_basis_points=_whole(fee.get("basis_points", 0), f"{at}.fee.basis_points"),
        fee_fixed_minor={
            DECIMALS[key]: _whole(value, f"{at}.fee.fixed_minor.{key}") for key, value in fixed.items()
        },
    )


def _rule(source: Mapping[str, Any], at: str, channels: Mapping[str, ChannelTerms]) -> Rule:
    _only(source, f"{at}.", "name", "when", "channels", "by", "split")
    when = _table(source.get("when", {}), f"{at}.when")
    _only(when, f"{at}.when.", "methods", "currencies", "merchants", "amount_from", "amount_to")
    name = source.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= 64:
        raise InvalidRules(f"{at}.name: a text of 1 to 64 characters")
    chosen = _texts(source, f"{at}.", "channels", channels)
    if not chosen or len(set(chosen)) < len(chosen):
        raise InvalidRules(f"{at}.channels: one or several channels, each once")
    by = source.get("by", "order")
    if by not in list(By):
        raise InvalidRules(f"{at}.by: one of {', '.join(By)}")
    split = _table(source.get("split", {}), f"{at}.split")
    if (by == By.SPLIT) != bool(split) or (split and set(split) != set(chosen)):
        raise InvalidRules(f'{at}.split: a share for each channel, exactly where by = "split"')
    shares = {channel: _whole(share, f"{at}.split.{channel}") for channel, share in split.items()}
    if split and not sum(shares.values()):
        raise InvalidRules(f"{at}.split: the shares add up to nothing")
    low, high = (
        None if when.get(end) is None else _whole(when[end], f"{at}.when.{end}")
        for end in ("amount_from", "amount_to")
    )
    if low is not None and high is not None and low > high:
        raise InvalidRules(f"{at}.when.amount_to: less than amount_from")
    return Rule(
        name=name,
        channels=chosen,
        by=By(by),
        split=shares,
        methods=_texts(when, f"{at}.when.", "methods", METHODS),
        currencies=_texts(when, f"{at}.when.", "currencies", CURRENCIES),
        merchants=_texts(when, f"{at}.when.", "merchants"),
        amount_from=low,
        amount_to=high,
    )


def _only(source: Mapping[str, Any], at: str, *names: str) -> None:
    for name in source:
        if name not in names:
            raise InvalidRules(f"{at}{name}: unknown; known are {', '.join(names)}")


def _table(value: object, at: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidRules(f"{at}: a table")
    return value


def _whole(value: object, at: str) -> int:
    if type(value) is not int or value < 0:
        raise InvalidRules(f"{at}: a whole number, not below 0")
    return value


def _texts(source: Mapping[str, Any], at: str, name: str, allowed: Any = None) -> tuple[str, ...]:
    value = source.get(name, [])
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise InvalidRules(f"{at}{name}: a list of texts")
    for text in value:
        if allowed is not None and text not in allowed:
            raise InvalidRules(f"{at}{name}: {text} is not known here")
    return tuple(value)
