"""Rule documents as people edit them: text in, faults with their places, and what differs between two of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

_AT: Final = re.compile(r"at (\d+):(\d+): ")
_NO_RULE: Final = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, and where in the text; line and column count from 1, and are None when only the rule is known."""

    detail: str
    rule: str = _NO_RULE
    line: int | None = None
    column: int | None = None


class UnreadableDocument(Exception):
    """The text is not a JSON object."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.detail)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class RuleChange:
    """One rule that differs; `before` is None for a new one, `after` for one that is gone."""

    rule: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None

    @property
    def kind(self) -> str:
        return "added" if self.before is None else "removed" if self.after is None else "changed"

    @property
    def members(self) -> list[str]:
        """What of it differs, in the order in which it is read."""
        if self.before is None or self.after is None:
            return []
        names = dict.fromkeys([*self.before, *self.after])
        return [name for name in names if self.before.get(name) != self.after.get(name)]


def as_text(document: Mapping[str, Any]) -> str:
    """As it is edited: one member a line, so that a fault has a line of its own."""
    return json.dumps(document, indent=2, ensure_ascii=False)


def parsed(text: str) -> dict[str, Any]:
    """The document of a text. Raises UnreadableDocument with the place."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise UnreadableDocument(Fault(error.msg, line=error.lineno, column=error.colno)) from None
    except RecursionError:
        raise UnreadableDocument(Fault("It is nested too deeply.")) from None
    if not isinstance(document, dict):
        raise UnreadableDocument(Fault("A rule document is an object: { … }.", line=1, column=1))
    return document


def located(text: str, errors: Iterable[Mapping[str, Any]]) -> list[Fault]:
    """The engine's errors at their places in the text. The engine counts within a rule's `when`; the text has that in a
    string on one line, so its place is that string's plus the engine's column."""
    return [
        _located(text, str(error.get("rule", _NO_RULE)), str(error.get("detail", ""))) for error in errors
    ]


def _located(text: str, rule: str, detail: str) -> Fault:
    if not (named := re.search(rf'"id"\s*:\s*{re.escape(json.dumps(rule, ensure_ascii=False))}', text)):
        return Fault(detail, rule)
    place, within = named.start(), _AT.match(detail)
    if within:
        begin, end = text.rfind("{", 0, place), text.find('"id"', named.end())
        when = re.compile(r'"when"\s*:\s*"').search(text, begin, end if end >= 0 else len(text))
        if when:
            place = when.end() + int(within[2]) - 1
    line_begin = text.rfind("\n", 0, place) + 1
    return Fault(_AT.sub("", detail, count=1), rule, text.count("\n", 0, place) + 1, place - line_begin + 1)


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[RuleChange]:
    """Rules that differ, in the order of the newer document, those that are gone at the end."""
    old = {rule["id"]: rule for rule in before["rules"]}
    new = {rule["id"]: rule for rule in after["rules"]}
    found = [RuleChange(id_, old.get(id_), rule) for id_, rule in new.items() if old.get(id_) != rule]
    return found + [RuleChange(id_, rule, None) for id_, rule in old.items() if id_ not in new]


def settings_changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Members beside the rules that differ."""
    names = dict.fromkeys([*before, *after])
    return [name for name in names if name not in ("rules", "name") and before.get(name) != after.get(name)]
