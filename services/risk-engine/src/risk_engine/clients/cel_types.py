"""A second compiler for rules that are saved: it knows the types of the facts and names the place of a fault.

Google's own CEL takes 25 us a rule and checks what the engine that decides does not (`clients/cel.py`): a double
compared with an int, a text with a number, a list of the wrong things. It is loaded when the first rule set is checked:
a process that only decides does not carry it. What it accepts is then compiled and probed by the engine that decides.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from risk_engine.clients.cel import check_size
from risk_engine.domain.facts import FACTS, LIST_FACT
from risk_engine.domain.rule_documents import InvalidRuleSet, at_place
from risk_engine.domain.rules import RuleSet

_FAULT = re.compile(r"ERROR: <input>:(?P<line>\d+):(?P<column>\d+): (?P<why>[^\n]*)")
_EXPECTED = re.compile(r" expecting \{.*")  # a list of every token there is helps nobody
_MIXED = re.compile(r"applied to '\((int, double|double, int)\)'")


def check_types(rule_set: RuleSet, lists: Iterable[str] = ()) -> None:
    """Raises InvalidRuleSet naming every rule that is not a boolean over the facts and the lists there are, with line,
    column and reason."""
    facts = {**FACTS, **{LIST_FACT + name: bool for name in lists}}
    faults = [(rule.id, why) for rule in rule_set.rules if (why := fault_of(rule.when, facts))]
    if faults:
        raise InvalidRuleSet(faults)


def fault_of(source: str, facts: Mapping[str, type] = FACTS) -> str | None:
    """What is wrong with an expression, or None; the position is line:column, both from 1."""
    try:
        check_size(source)
        kind = _environment(tuple(facts.items())).compile(source).return_type()
    except ValueError as error:
        return str(error)
    except RuntimeError as error:
        return _in_words(str(error))
    return None if str(kind) == "BOOL" else at_place(source, 0, f"not a boolean: {str(kind).lower()}")


def _in_words(told: str) -> str:
    found = _FAULT.search(told)
    if found is None:
        return told[:300]
    why = _EXPECTED.sub(
        "", found["why"].removesuffix(" [INVALID_ARGUMENT]").removesuffix(" (in container '')")
    )
    why = why.replace("undeclared reference to", "unknown fact or function")
    if _MIXED.search(why):
        why += "; write whole numbers that meet a double with a point, as in 3.0"
    return f"at {found['line']}:{found['column']}: {why}"


@lru_cache(maxsize=2)
def _environment(facts: tuple[tuple[str, type], ...]) -> Any:
    from cel_expr_python import cel as typed  # type: ignore[import-untyped]  # here: 50 MB that only a check needs

    types: Mapping[type, Any] = {
        int: typed.Type.INT,
        float: typed.Type.DOUBLE,
        str: typed.Type.STRING,
        bool: typed.Type.BOOL,
    }
    return typed.NewEnv(variables={name: types[kind] for name, kind in facts})
