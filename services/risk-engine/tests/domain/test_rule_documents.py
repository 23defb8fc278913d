"""Every fault of a document is named with its place, and all of them at once."""

from typing import Any

import pytest
from risk_rig import a_document, a_rule, packaged_document

from risk_engine.domain.rule_documents import RULES_MAX, InvalidRuleSet, parse_rule_set

BAND = {"medium": 5_000, "high": 50_000, "very_high": 200_000}
SCORE = {"at_least": 60, "then": "review", "code": "high", "text": "High."}


def faults_of(document: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidRuleSet) as refused:
        parse_rule_set(document)
    return dict(reversed(refused.value.faults))  # the first fault of a place is its cause


def test_the_packaged_document_is_a_rule_set() -> None:
    rules = parse_rule_set(packaged_document())
    assert rules.name == "default"
    assert len(rules.hash) == 64
    assert [band.at_least for band in rules.score_bands] == [80, 40]  # highest first


@pytest.mark.parametrize(
    ("changes", "where", "why"),
    [
        ({"surprise": 1}, "document", "unknown member 'surprise'"),
        ({"name": ""}, "name", "printable"),
        ({"name": "two\nlines"}, "name", "printable"),
        ({"reference_currency": "XXX"}, "reference_currency", "ISO 4217"),
        ({"reference_rates": {"EUR": 2}}, "reference_rates.EUR", "1000000"),
        ({"reference_rates": {"EUR": 1_000_000, "USD": 0.9}}, "reference_rates.USD", "whole number"),
        ({"reference_rates": {"EUR": 1_000_000, "USD": True}}, "reference_rates.USD", "whole number"),
        ({"reference_rates": {"EUR": 1_000_000, "DEM": 5}}, "reference_rates.DEM", "ISO 4217"),
        ({"reference_rates": []}, "reference_rates", "table"),
        ({"amount_bands": {"EUR": BAND | {"high": 1}}}, "amount_bands.EUR", "medium < high"),
        ({"amount_bands": {"EUR": BAND | {"huge": 1}}}, "amount_bands.EUR", "unknown member"),
        ({"amount_bands": {}}, "amount_bands.EUR", "table"),
        ({"score_bands": [SCORE | {"at_least": 101}]}, "score_bands[0].at_least", "0 to 100"),
        ({"score_bands": [SCORE | {"extra": 1}]}, "score_bands[0]", "unknown member"),
        (
            {"score_bands": [SCORE | {"then": "block"}, SCORE | {"at_least": 90}]},
            "score_bands",
            "must not propose a milder decision",
        ),
        ({"rules": "none"}, "rules", "list"),
        ({"rules": ["no table"]}, "rules[0]", "table"),
        ({"rules": [a_rule(id="Bad Id")]}, "rules[0]", "`id`"),
        ({"rules": [a_rule(id=7)]}, "rules[0]", "`id`"),
        ({"rules": [a_rule(then="refuse")]}, "rule_1", "`then`"),
        ({"rules": [a_rule(then=["block"])]}, "rule_1", "`then`"),
        ({"rules": [a_rule(when="")]}, "rule_1", "1 to 1000"),
        ({"rules": [a_rule(when="x" * 1001)]}, "rule_1", "1 to 1000"),
        ({"rules": [a_rule(code="-")]}, "rule_1", "`code`"),
        ({"rules": [a_rule(text=None)]}, "rule_1.text", "printable"),
        ({"rules": [a_rule(then="block", weight=3)]}, "rule_1", "unknown member 'weight'"),
        ({"rules": [a_rule(), a_rule()]}, "rule_1", "more than one rule"),
        ({"rules": [a_rule(number) for number in range(RULES_MAX + 1)]}, "rules", "at most 500"),
    ],
)
def test_a_fault_is_named_with_its_place(changes: dict[str, Any], where: str, why: str) -> None:
    assert why in faults_of(a_document(**changes))[where]


def test_all_faults_are_named_at_once() -> None:
    rules = [a_rule(1, then="?"), a_rule(2, code="?"), a_rule(3)]
    assert set(faults_of(a_document(name=None, rules=rules))) == {"name", "rule_1", "rule_2"}
