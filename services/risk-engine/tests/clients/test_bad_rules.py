"""Two hundred ways to write a bad rule: each is refused with its place and the reason, and none hangs, crashes or runs
anything."""

import re
import time
from collections.abc import Iterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from risk_rig import a_rule, a_rule_set

from risk_engine.clients.cel import compile_rules
from risk_engine.clients.cel_types import check_types, fault_of
from risk_engine.domain.facts import FACTS
from risk_engine.domain.rule_documents import InvalidRuleSet

PLACE = re.compile(r"at ([1-9]\d*):([1-9]\d*): ")  # line and column
SLOWEST_S = 5.0  # of one refusal, on a machine that does other things: they take a millisecond

NUMBERS = [name for name, kind in FACTS.items() if kind is int][:15]
TEXTS = [name for name, kind in FACTS.items() if kind is str]
FLAGS = [name for name, kind in FACTS.items() if kind is bool][:12]


def _syntax() -> Iterator[str]:
    for fact in NUMBERS[:8]:
        yield from (f"{fact} >", f"> {fact}", f"({fact} > 1", f"{fact} > 1)", f"{fact} >> 1", f"{fact} = 1")
    yield from (
        "&&",
        "is_night &&",
        "is_night is_weekend",
        "'open",
        '"open',
        "is_night;",
        "{",
        "[1, 2",
        "1 +* 2",
        "\\",
    )
    yield from (
        "is_night and is_weekend",
        "not is_night",
        "is_night ? 1",
        "lambda: 1",
        "import os",
        "`is_night`",
    )


def _names() -> Iterator[str]:
    for fact in NUMBERS:
        yield f"{fact}x > 1"
    yield from (
        "payment.amount > 1",
        "__import__ == 1",
        "self",
        "true_ || is_night",
        "list_of_nobody",
        "AMOUNT_MINOR > 1",
    )


def _types() -> Iterator[str]:
    for fact in NUMBERS:
        yield from (f"{fact} == 'x'", f"{fact} && is_night", f"!{fact}", f"{fact}")
    for fact in TEXTS:
        yield from (f"{fact} > 1", f"{fact} + 1 == 2", f"'x' in {fact}", f"-{fact} == 'x'", fact)
    for fact in FLAGS:
        yield from (f"{fact} > 1", f"{fact} + {fact} == 2", f"{fact} == 1")
    yield from (
        "amount_ratio_30d > 3",
        "1 > 2.0",
        "hour in ['a']",
        "size(hour) > 1",
        "null > 1",
        "{'a': 1}",
        "[is_night]",
    )


def _functions() -> Iterator[str]:
    for call in (
        "exec('x')",
        "eval('1')",
        "open('/etc/passwd')",
        "__import__('os')",
        "print(1)",
        "timestamp('x')",
    ):
        yield f"{call} == 1"
    for macro in ("all", "exists", "exists_one", "map", "filter"):
        yield from (f"[1, 2].{macro}(x, x > 1)", f"[hour].{macro}(hour, hour > 1)")
    yield from (
        "has(hour.x)",
        "currency.upper() == 'EUR'",
        "getDate(currency) == 1",
        "duration('1s') > duration('2s')",
        "is_night &&\n  duration('1s') > duration('2s')",
    )


def _bombs() -> Iterator[str]:
    for deep in (13, 50, 300):
        yield from ("(" * deep + "is_night" + ")" * deep, "!(" * deep + "is_night" + ")" * deep)
        yield "[" * deep + "1" + "]" * deep + " == 1"
    for long in (101, 300):
        yield from (
            "||".join(["hour > 1"] * long),
            " && ".join(["is_night"] * long * 2),
            "+".join(["hour"] * long) + " > 1",
        )
        yield f"currency == '{'x' * long}'"
    yield from ("-" * 250 + "hour > 1", "is_night" + " ? is_night" * 60 + " : is_night" * 60)
    nested = "[1,2,3].map(a, [1,2,3].map(b, [1,2,3].map(c, a * b * c)))"
    yield from (f"size({nested}) > 1", "currency.matches('" + "(a+)+" * 25 + "')")
    yield from (
        "9223372036854775807 + hour > 1",
        "amount_minor * amount_minor * card_sum_24h > 1",
        "1 / hour > 1",
    )
    yield from ("hour % card_count_1h > 1", "99999999999999999999 > hour")


BAD = [*_syntax(), *_names(), *_types(), *_functions(), *_bombs()]


def test_there_are_two_hundred_of_them_in_every_class() -> None:
    assert len(set(BAD)) == len(BAD) >= 200
    assert min(len(list(some())) for some in (_syntax, _names, _types, _functions, _bombs)) >= 20


def refusal(source: str) -> InvalidRuleSet | None:
    """What saving a set with such a second rule is answered with."""
    try:
        rule_set = a_rule_set(rules=[a_rule(1), a_rule(2, when=source)])
        check_types(rule_set)
        compile_rules(rule_set)
    except InvalidRuleSet as refused:
        return refused
    return None


@pytest.mark.parametrize("source", BAD, ids=range(len(BAD)))
def test_a_bad_rule_is_refused_at_once_with_its_place_and_the_reason(source: str) -> None:
    began_s = time.perf_counter()
    refused = refusal(source)
    assert time.perf_counter() - began_s < SLOWEST_S
    assert refused is not None
    ((rule, why),) = refused.faults
    assert rule == "rule_2"
    place = PLACE.match(why)
    assert place, why
    line, column = map(int, place.groups())
    assert column <= len(source.split("\n")[line - 1]) + 1, "the place is in the rule"
    assert 8 <= len(why[place.end() :]) <= 320
    assert "Traceback" not in why


SIGNS = '&& || ! ( ) [ ] { } == > + - * / % ? : , . in size matches startsWith 1 0 3.0 1e309 0x true null # é \\ " x'
WORDS = st.sampled_from([*FACTS, "list_x", *SIGNS.split()])


@example("\x00")
@example("9" * 900)
@example("'" + "\\" * 501)
@given(st.one_of(st.text(min_size=1, max_size=80), st.lists(WORDS, min_size=1, max_size=40).map(" ".join)))
def test_any_text_has_a_fault_or_compiles(source: str) -> None:
    """Neither compiler may end the process, hang, or raise anything that is not a refusal."""
    began_s = time.perf_counter()
    why, refused = fault_of(source), refusal(source)
    assert why is None or why.strip()
    assert refused is None or all(reason for _, reason in refused.faults)
    assert why is None or refused is not None
    assert time.perf_counter() - began_s < SLOWEST_S
