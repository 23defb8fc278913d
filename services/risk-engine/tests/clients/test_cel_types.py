"""What the typed compiler says of a rule before it is saved: where, and why."""

import pytest
from risk_rig import a_rule, a_rule_set, packaged_document

from risk_engine.clients.cel_types import check_types, fault_of
from risk_engine.domain.rule_documents import InvalidRuleSet, parse_rule_set


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("amount > 1", "at 1:1: unknown fact or function 'amount'"),
        ("is_night &&\n  nope(1)", "at 2:7: unknown fact or function 'nope'"),
        ("currency > 5", "at 1:10: found no matching overload for '_>_' applied to '(string, int)'"),
        ("'a' in currency", "at 1:5: found no matching overload for '@in' applied to '(string, string)'"),
        ("amount_minor >", "at 1:15: Syntax error: mismatched input '<EOF>'"),
        ("amount_minor", "at 1:1: not a boolean: int"),
        ("amount_ratio_30d >= 3", "at 1:18: found no matching overload for '_>=_' applied to '(double, int)'; "
         "write whole numbers that meet a double with a point, as in 3.0"),
        ("[1, 2].all(hour, hour > 1)", "at 1:8: all() is not part of the rule language: facts are single values"),
    ],
)  # fmt: skip
def test_a_fault_has_its_place_and_reason(source: str, fault: str) -> None:
    assert fault_of(source) == fault


def test_all_faults_of_a_set_are_named() -> None:
    rules = [a_rule(1, when="nope"), a_rule(2, when="is_night"), a_rule(3, when="hour")]
    with pytest.raises(InvalidRuleSet) as refused:
        check_types(a_rule_set(rules=rules))
    assert [rule for rule, _ in refused.value.faults] == ["rule_1", "rule_3"]


def test_the_packaged_rules_have_sound_types() -> None:
    check_types(parse_rule_set(packaged_document()))
