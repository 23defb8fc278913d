"""From a rule document (parsed TOML or JSON) to a RuleSet, or the list of everything that is wrong with it."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from platform_kit.money import CURRENCIES
from risk_engine.domain.decision import Decision
from risk_engine.domain.rules import AmountBands, Reason, Rule, RuleSet, ScoreBand, content_hash

RULES_MAX = 500  # at about 0.4 us a rule this stays far below the set's time budget
SOURCE_LENGTH_MAX = 1_000  # characters of one expression; the longest packaged rule has 90
TEXT_LENGTH_MAX = 200
RATE_MAX = 1_000_000_000  # one unit worth a thousand euro: no currency is near it

_ID = re.compile(r"[a-z][a-z0-9_]{1,63}")
_MEMBERS = frozenset(
    {"name", "reference_currency", "reference_rates", "amount_bands", "score_bands", "rules"}
)
_RULE_MEMBERS = frozenset({"id", "when", "then", "code", "text"})
_SCORE_MEMBERS = frozenset({"at_least", "then", "code", "text"})
_BAND_MEMBERS = ("medium", "high", "very_high")


class InvalidRuleSet(ValueError):
    """What is wrong: (where, why) pairs; `where` is a rule's id or a member's path."""

    def __init__(self, faults: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{where}: {why}" for where, why in faults))
        self.faults = tuple(faults)


def at_place(source: str, offset: int, why: str) -> str:
    """A fault with its place: line and column, both from 1."""
    before = source[:offset]
    return f"at {before.count(chr(10)) + 1}:{offset - before.rfind(chr(10))}: {why}"


def parse_rule_set(document: Mapping[str, Any]) -> RuleSet:
    """The rule set of a document. Raises InvalidRuleSet naming every fault of its shape (not of its expressions)."""
    parser = _Parser()
    made = parser.rule_set(document)
    if parser.faults:
        raise InvalidRuleSet(parser.faults)
    return made


class _Parser:
    """Reads members, noting faults and going on with a stand-in, so that one answer names them all."""

    def __init__(self) -> None:
        self.faults: list[tuple[str, str]] = []

    def rule_set(self, document: Mapping[str, Any]) -> RuleSet:
        self._members("document", document, _MEMBERS)
        reference = self._currency("reference_currency", document.get("reference_currency"))
        bands = self._table("amount_bands", document.get("amount_bands"))
        rates = self._rates(self._table("reference_rates", document.get("reference_rates")), reference)
        own = self._bands(f"amount_bands.{reference}", bands.get(reference))
        return RuleSet(
            name=self._text("name", document.get("name")),
            reference_currency=reference,
            reference_rates=rates,
            bands=own,
            currency_bands={
                self._currency(f"amount_bands.{code}", code): self._bands(f"amount_bands.{code}", value)
                for code, value in bands.items()
                if code != reference
            },
            score_bands=self._score_bands(self._list("score_bands", document.get("score_bands"))),
            rules=self._rules(self._list("rules", document.get("rules"))),
            document=document,
            hash=content_hash(document) if not self.faults else "",
        )

    def _rules(self, items: list[Any]) -> tuple[Rule, ...]:
        if len(items) > RULES_MAX:
            self._fault("rules", f"at most {RULES_MAX} rules")
        rules = tuple(self._rule(number, item) for number, item in enumerate(items[:RULES_MAX]))
        ids = [rule.id for rule in rules]
        for repeated in sorted({name for name in ids if ids.count(name) > 1}):
            self._fault(repeated, "this id is used by more than one rule")
        return rules

    def _rule(self, number: int, item: Any) -> Rule:
        rule = self._table(f"rules[{number}]", item)
        found = rule.get("id")
        where = found if isinstance(found, str) and _ID.fullmatch(found) else f"rules[{number}]"
        self._members(where, rule, _RULE_MEMBERS)
        return Rule(
            id=self._slug(where, "id", found),
            when=self._source(where, rule.get("when")),
            then=self._decision(where, rule.get("then")),
            reason=Reason(
                self._slug(where, "code", rule.get("code")), self._text(f"{where}.text", rule.get("text"))
            ),
        )

    def _score_bands(self, items: list[Any]) -> tuple[ScoreBand, ...]:
        bands = []
        for number, item in enumerate(items):
            where = f"score_bands[{number}]"
            band = self._table(where, item)
            self._members(where, band, _SCORE_MEMBERS)
            reason = Reason(
                self._slug(where, "code", band.get("code")), self._text(f"{where}.text", band.get("text"))
            )
            at_least = self._integer(f"{where}.at_least", band.get("at_least"), 0, 100)
            bands.append(ScoreBand(at_least, self._decision(where, band.get("then")), reason))
        bands.sort(key=lambda band: -band.at_least)
        if any(upper.then.severity < lower.then.severity for upper, lower in pairwise(bands)):
            self._fault("score_bands", "a higher score must not propose a milder decision")
        return tuple(bands)

    def _rates(self, table: Mapping[str, Any], reference: str) -> dict[str, int]:
        rates = {
            self._currency(f"reference_rates.{code}", code): self._integer(
                f"reference_rates.{code}", rate, 1, RATE_MAX
            )
            for code, rate in table.items()
        }
        if rates.get(reference) != 1_000_000:
            self._fault(f"reference_rates.{reference}", "the reference currency's own rate is 1000000")
        return rates

    def _bands(self, where: str, value: Any) -> AmountBands:
        table = self._table(where, value)
        self._members(where, table, frozenset(_BAND_MEMBERS))
        medium, high, very_high = (
            self._integer(f"{where}.{name}", table.get(name), 1, 10**12) for name in _BAND_MEMBERS
        )
        if not medium < high < very_high:
            self._fault(where, "medium < high < very_high does not hold")
        return AmountBands(medium, high, very_high)

    def _members(self, where: str, table: Mapping[str, Any], allowed: frozenset[str]) -> None:
        for name in sorted(set(table) - allowed):
            self._fault(where, f"unknown member {str(name)[:40]!r}")

    def _source(self, where: str, value: Any) -> str:
        why = f"`when` is an expression of 1 to {SOURCE_LENGTH_MAX} characters"
        if not isinstance(value, str) or not value:
            self._fault(where, why)
            return ""
        if len(value) > SOURCE_LENGTH_MAX:
            self._fault(where, at_place(value, SOURCE_LENGTH_MAX, why))
            return ""
        return value

    def _decision(self, where: str, value: Any) -> Decision:
        if value not in tuple(Decision):
            self._fault(where, "`then` is one of allow, review, challenge, block")
            return Decision.ALLOW
        return Decision(value)

    def _slug(self, where: str, member: str, value: Any) -> str:
        if not isinstance(value, str) or not _ID.fullmatch(value):
            self._fault(where, f"`{member}` is 2 to 64 of a-z, 0-9 and _, beginning with a letter")
            return ""
        return value

    def _text(self, where: str, value: Any) -> str:
        if not isinstance(value, str) or not 1 <= len(value) <= TEXT_LENGTH_MAX or not value.isprintable():
            self._fault(where, f"a text of 1 to {TEXT_LENGTH_MAX} printable characters")
            return ""
        return value

    def _currency(self, where: str, value: Any) -> str:
        if not isinstance(value, str) or value not in CURRENCIES:
            self._fault(where, "an active ISO 4217 currency code")
            return "EUR"
        return value

    def _integer(self, where: str, value: Any, least: int, most: int) -> int:
        if type(value) is not int or not least <= value <= most:
            self._fault(where, f"a whole number from {least} to {most}")
            return least
        return value

    def _table(self, where: str, value: Any) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            self._fault(where, "a table is expected")
            return {}
        return value

    def _list(self, where: str, value: Any) -> list[Any]:
        if not isinstance(value, list):
            self._fault(where, "a list is expected")
            return []
        return value

    def _fault(self, where: str, why: str) -> None:
        self.faults.append((where, why))
