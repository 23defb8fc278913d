"""The rule language: CEL, compiled once per rule set, one shared Context per decision.

Handing the facts to each rule as a dict instead of one Context costs 180 times as much (risk.md 4.2): the dict is
converted for every rule. common-expression-language does not type-check when it compiles, so `compile_rules` checks
names and functions against the declared facts and then runs every rule on probes of all types: what raises there, or
answers something other than a boolean, is refused before it can be published.
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import cel

from risk_engine.domain.facts import LIST_FACT, SCORE_FACTS, VELOCITY_FACTS, Fact, type_of
from risk_engine.domain.rule_documents import InvalidRuleSet, at_place, parse_rule_set
from risk_engine.domain.rules import Evaluation, Rule, RuleSet

BUDGET_S = 0.010  # for all rules of a set; 100 rules take about 0.05 ms
TOGETHER = 25  # rules that are asked by one call: each call costs three times what a rule does
TOKENS_MAX = 200  # of one expression: bounds its tree, and with it the time that one rule can take
DEPTH_MAX = 12  # of parentheses and brackets; keeps hostile nesting from the recursive parser
LITERAL_LENGTH_MAX = 100
BUDGET_SPENT = "budget spent"  # the error of a rule that was not asked for want of time

FUNCTIONS = frozenset(
    {"_&&_", "_||_", "!_", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "@in", "_?_:_"}
    | {"_+_", "_-_", "_*_", "_/_", "_%_", "-_", "size", "startsWith", "endsWith", "contains", "matches"}
    | {"int", "double", "string"}
)
_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<word>[A-Za-z_]\w*)|(?P<number>\d[\w.]*)|(?P<sign>[^\s\w])""",
    re.ASCII,
)
_MACROS = frozenset({"all", "exists", "exists_one", "map", "filter", "has"})


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule and its program; `needs_*` say which parts must have answered for it to be asked."""

    rule: Rule
    execute: Callable[[cel.Context], object]
    needs_velocity: bool
    needs_score: bool


@dataclass(frozen=True, slots=True)
class Together:
    """Rules that one program answers with a list, when every part is there and none of them fails."""

    rules: tuple[CompiledRule, ...]
    execute: Callable[[cel.Context], object]
    needs_velocity: bool
    needs_score: bool

    def ask(self, context: cel.Context) -> list[bool] | None:
        """An answer for each rule; None when one failed, and each has to be asked for itself."""
        try:
            answers = self.execute(context)
        except Exception:  # whatever the extension raises: asking each rule tells which, and what
            return None
        return answers if isinstance(answers, list) and set(map(type, answers)) == {bool} else None


@dataclass(frozen=True, slots=True)
class CompiledRuleSet:
    """A rule set ready to run. Immutable: a reload replaces the whole, a request keeps the one it began with."""

    rule_set: RuleSet
    together: tuple[Together, ...]
    names: frozenset[str]  # the facts that any rule reads: only these are converted for each decision
    lists: frozenset[str]  # names of the lists that any rule asks

    @property
    def rules(self) -> Iterator[CompiledRule]:
        """All rules, in the order of the document."""
        return (rule for some in self.together for rule in some.rules)

    def evaluate(
        self,
        facts: Mapping[str, Fact],
        *,
        has_velocity: bool = True,
        has_score: bool = True,
        clock: Callable[[], float] = time.perf_counter,
        cpu_clock: Callable[[], float] = time.thread_time,
    ) -> Evaluation:
        """Ask every rule. One that raises is recorded as an error and the set goes on; so are all that come after
        the budget is spent. It is one of CPU time: what others do with the core is not this rule set's fault."""
        context = cel.Context(variables={name: facts[name] for name in self.names})
        hits: list[Rule] = []
        errors: list[tuple[str, str]] = []
        skipped: list[str] = []
        give_up_at, cpu_give_up_at = clock() + BUDGET_S, cpu_clock() + BUDGET_S
        for some in self.together:
            is_spent = clock() > give_up_at and cpu_clock() > cpu_give_up_at  # the second is a system call
            has_all = (has_velocity or not some.needs_velocity) and (has_score or not some.needs_score)
            if has_all and not is_spent and (answers := some.ask(context)) is not None:
                hits += [one.rule for one in compress(some.rules, answers)]
                continue
            for compiled in some.rules:
                if (compiled.needs_velocity and not has_velocity) or (compiled.needs_score and not has_score):
                    skipped.append(compiled.rule.id)
                elif is_spent:
                    errors.append((compiled.rule.id, BUDGET_SPENT))
                elif (answer := _ask(compiled, context)) is True:
                    hits.append(compiled.rule)
                elif answer is not False:
                    errors.append((compiled.rule.id, str(answer)))
        return Evaluation(tuple(hits), tuple(errors), tuple(skipped))


def _ask(compiled: CompiledRule, context: cel.Context) -> object:
    """True, False, or the text of what went wrong; anything but a boolean is an error, never truthy."""
    try:
        answer = compiled.execute(context)
    except (
        Exception
    ) as error:  # the extension raises RuntimeError, TypeError, ValueError, ZeroDivisionError, ...
        return f"{type(error).__name__}: {error}"[:200]
    return answer if isinstance(answer, bool) else f"not a boolean: {type(answer).__name__}"


def compile_rules(rule_set: RuleSet) -> CompiledRuleSet:
    """Compile and self-test. Raises InvalidRuleSet naming every rule at fault and the reason."""
    faults: list[tuple[str, str]] = []
    compiled: list[CompiledRule] = []
    names: set[str] = set()
    for rule in rule_set.rules:
        try:
            made, read = _compile(rule)
            compiled.append(made)
            names |= read
        except ValueError as error:
            faults.append((rule.id, str(error)))
    if faults:
        raise InvalidRuleSet(faults)
    parts = (tuple(compiled[at : at + TOGETHER]) for at in range(0, len(compiled), TOGETHER))
    lists = frozenset(name.removeprefix(LIST_FACT) for name in names if name.startswith(LIST_FACT))
    return CompiledRuleSet(rule_set, tuple(_together(part) for part in parts), frozenset(names), lists)


def compile_document(document: Mapping[str, Any]) -> CompiledRuleSet:
    """A stored or packaged document, ready to run. Raises InvalidRuleSet."""
    return compile_rules(parse_rule_set(document))


def _together(rules: tuple[CompiledRule, ...]) -> Together:
    # Each on a line of its own: a comment at the end of one must not swallow the next.
    program = cel.compile("[" + ",".join(f"({one.rule.when}\n)" for one in rules) + "]")
    return Together(
        rules,
        program.execute,
        any(one.needs_velocity for one in rules),
        any(one.needs_score for one in rules),
    )


def _compile(rule: Rule) -> tuple[CompiledRule, set[str]]:
    check_size(rule.when)
    try:
        program = cel.compile(rule.when)
    except Exception as error:
        raise ValueError(f"syntax: {error}"[:200]) from None
    names = set(program.variables())
    _refuse(rule.when, sorted(name for name in names if type_of(name) is None), "unknown fact")
    _refuse(rule.when, sorted(set(program.functions()) - FUNCTIONS), "unknown or forbidden function")
    made = CompiledRule(
        rule, program.execute, not names.isdisjoint(VELOCITY_FACTS), not names.isdisjoint(SCORE_FACTS)
    )
    for probe in probes(sorted(names)):
        answer = _ask(made, cel.Context(variables=probe))
        if not isinstance(answer, bool):
            raise ValueError(at_place(rule.when, 0, f"fails on {probe}: {answer}"[:300]))
    return made, names


def _refuse(source: str, names: Sequence[str], what: str) -> None:
    """At the place of the first of them; an operator has a name that is not in the text."""
    if names:
        places = (found.start() for found in _TOKEN.finditer(source) if found["word"] in names)
        why = f"{what} {', '.join(name[:40] for name in names[:5])}"
        raise ValueError(at_place(source, next(places, 0), why))


def check_size(source: str) -> None:
    """Caps on the text, before the recursive parser sees it. Raises ValueError with the place."""
    depth = 0
    for number, token in enumerate(_TOKEN.finditer(source), 1):
        text, why = token.group(), ""
        depth += (text in "([{") - (text in ")]}") if token["sign"] else 0
        if token["string"] and len(text) > LITERAL_LENGTH_MAX:
            why = f"a literal is longer than {LITERAL_LENGTH_MAX} characters"
        elif token["word"] and text in _MACROS and source[token.end() :].lstrip().startswith("("):
            why = f"{text}() is not part of the rule language: facts are single values"
        elif depth > DEPTH_MAX:
            why = f"nested deeper than {DEPTH_MAX}"
        elif number > TOKENS_MAX:
            why = f"longer than {TOKENS_MAX} tokens"
        if why:
            raise ValueError(at_place(source, token.start(), why))


# Values that take every declared type to its ends. Zero is among them, so a division by a count that may be zero is
# refused at save; so is a multiplication that overflows for amounts and sums at their limits.
_PROBES: Mapping[type, tuple[Fact, ...]] = {
    int: (0, 1, 50, 10**12, 10**15),
    float: (0.0, 1.0, 1000.0),
    bool: (False, True),
    str: ("", "EUR", "card", "very_high"),
}
_PROBE_ROWS = 24  # enough for || and && to reach both sides: each fact walks its values at its own pace


def probes(names: Sequence[str]) -> Iterator[dict[str, Fact]]:
    """Deterministic fact sets for the named facts."""
    for row in range(_PROBE_ROWS):
        yield {
            name: values[(row + row // len(values) * position) % len(values)]
            for position, name in enumerate(names)
            for values in (_PROBES[type_of(name) or bool],)
        }
