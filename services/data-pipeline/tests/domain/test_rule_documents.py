"""Rule documents as they are edited: a fault is found at its place, and a difference is exactly what differs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipeline.domain.rule_documents import (
    UnreadableDocument,
    as_text,
    changes,
    located,
    parsed,
    settings_changed,
)

NAMES = st.text("abcdefghij_", min_size=1, max_size=8)
RULES = st.dictionaries(
    NAMES,
    st.builds(
        lambda when, then: {"when": when, "then": then},
        st.text("abc <>=&|'0123456789", min_size=1, max_size=30),
        st.sampled_from(["review", "block"]),
    ),
    max_size=6,
)


def a_document(rules: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {"name": "set", "rules": [{"id": name, **rule} for name, rule in rules.items()]}


@given(RULES, st.data())
def test_a_fault_in_a_rule_is_found_where_its_condition_stands(
    rules: dict[str, dict[str, Any]], data: st.DataObject
) -> None:
    if not rules:
        return
    name = data.draw(st.sampled_from(sorted(rules)))
    when = rules[name]["when"]
    column = data.draw(st.integers(1, len(when)))
    text = as_text(a_document(rules))
    (fault,) = located(text, [{"rule": name, "detail": f"at 1:{column}: no such overload"}])
    assert (fault.rule, fault.detail) == (name, "no such overload")
    assert fault.line is not None
    assert fault.column is not None
    shown = text.splitlines()[fault.line - 1]
    assert shown[fault.column - 1 :].startswith(when[column - 1 :])
    assert '"when"' in shown


@given(RULES, RULES)
def test_the_changes_lead_from_one_document_to_the_other(
    old: dict[str, dict[str, Any]], new: dict[str, dict[str, Any]]
) -> None:
    before, after = a_document(old), a_document(new)
    reached = {rule["id"]: rule for rule in before["rules"]}
    for change in changes(before, after):
        assert change.before != change.after
        assert (change.kind == "changed") == bool(change.members)
        if change.after is None:
            del reached[change.rule]
        else:
            reached[change.rule] = dict(change.after)
    assert reached == {rule["id"]: rule for rule in after["rules"]}


@pytest.mark.parametrize(
    ("text", "line", "column"), [('{"a": 1,\n "b" 2}', 2, 6), ("", 1, 1), ("[]", 1, 1), ('{"a": [,]}', 1, 8)]
)
def test_what_is_no_document_has_a_place(text: str, line: int, column: int) -> None:
    with pytest.raises(UnreadableDocument) as unreadable:
        parsed(text)
    assert (unreadable.value.fault.line, unreadable.value.fault.column) == (line, column)


def test_deep_nesting_is_a_fault_and_no_crash() -> None:
    with pytest.raises(UnreadableDocument):
        parsed("[" * 200_000)


def test_a_fault_of_what_is_not_in_the_text_has_no_place() -> None:
    (fault,) = located("{}", [{"rule": "amount_bands", "detail": "EUR is missing"}])
    assert (fault.line, fault.column, fault.detail) == (None, None, "EUR is missing")


def test_settings_beside_the_rules_are_named() -> None:
    before = {"name": "a", "rules": [], "score_bands": []}
    after = json.loads(json.dumps(before)) | {
        "name": "b",
        "score_bands": [{"at_least": 80, "then": "challenge"}],
    }
    assert settings_changed(before, after) == ["score_bands"]
