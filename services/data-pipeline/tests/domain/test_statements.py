"""Bank statements: both forms round-trip byte for byte, another reader agrees, and they are taken whole or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from types import ModuleType

import mt940 as other_mt940
import pytest
from bankstatementparser import CamtParser
from hypothesis import given
from hypothesis import strategies as st
from pipeline_rig import TODAY, a_line

from data_pipeline.domain import camt053, mt940
from data_pipeline.domain.payouts import (
    THE_BANK,
    Arrival,
    Payout,
    PayoutState,
    judge_payouts,
    payouts_of,
    unexpected_entries,
)
from data_pipeline.domain.settlement import SettlementType
from data_pipeline.domain.statements import RefusedStatement, Statement, StatementEntry, StatementFault
from payment_gateway.clients.simulators import bank_statement
from platform_kit.money import exponent

FORMS = pytest.mark.parametrize("form", [mt940, camt053])
MINOR = st.integers(-(10**12), 10**12)


@st.composite
def statements(draw: st.DrawFn) -> Statement:
    entries = tuple(
        StatementEntry(amount, f"{channel}-20261123-EUR")
        for amount, channel in draw(
            st.lists(
                st.tuples(MINOR.filter(bool), st.sampled_from(["card_sim", "card_sim_2", "bank_sim"])),
                max_size=6,
            )
        )
    )
    opening = draw(MINOR)
    return Statement(
        account=draw(st.from_regex(r"[A-Z0-9]{1,34}", fullmatch=True)),
        number=draw(st.integers(0, 99_999)),
        currency=draw(st.sampled_from(["EUR", "JPY", "KWD", "CLF"])),
        booked_on=draw(st.dates(date(2000, 1, 1), date(2068, 12, 31))),
        opening_minor=opening,
        closing_minor=opening + sum(entry.amount_minor for entry in entries),
        entries=entries,
    )


def a_statement(**changes: object) -> Statement:
    entries = (StatementEntry(53_210, "card_sim-20261123-EUR"), StatementEntry(-700, "bank_sim-20261123-EUR"))
    return replace(Statement("PLATFORM", 328, "EUR", TODAY, 1_000, 53_510, entries), **changes)  # type: ignore[arg-type]


@FORMS
@given(statement=statements())
def test_what_is_generated_is_parsed_back_and_generates_the_same_bytes(
    form: ModuleType, statement: Statement
) -> None:
    raw = form.generate(statement)
    assert form.parse(raw) == statement
    assert form.generate(form.parse(raw)) == raw


@given(statement=statements())
def test_another_peoples_mt940_reader_finds_the_same_balances_and_entries(statement: Statement) -> None:
    found = other_mt940.parse(mt940.generate(statement).decode())

    def value(minor: int) -> Decimal:
        return Decimal(minor).scaleb(-exponent(statement.currency))

    assert found.data["final_opening_balance"].amount.amount == value(statement.opening_minor)
    assert found.data["final_closing_balance"].amount.amount == value(statement.closing_minor)
    assert [one.data["amount"].amount for one in found] == [
        value(one.amount_minor) for one in statement.entries
    ]
    assert [one.data["transaction_details"] for one in found] == [one.reference for one in statement.entries]
    assert {one.data["date"] for one in found} <= {statement.booked_on}


@given(statement=statements())
def test_another_peoples_camt053_reader_finds_the_same_balances_and_entries(statement: Statement) -> None:
    found = CamtParser.from_bytes(camt053.generate(statement))

    def value(minor: int) -> Decimal:
        return Decimal(minor).scaleb(-exponent(statement.currency))

    balances = {one["Code"]: one for one in found.get_account_balances().to_dict("records")}
    assert {code: one["Amount"] for code, one in balances.items()} == {
        "OPBD": value(statement.opening_minor),
        "CLBD": value(statement.closing_minor),
    }
    assert {one["AccountId"] for one in balances.values()} == {statement.account}
    entries = found.parse().to_dict("records")
    assert [(one["Amount"], one["EndToEndId"]) for one in entries] == [
        (value(one.amount_minor), one.reference) for one in statement.entries
    ]
    assert {one["Currency"] for one in entries} <= {statement.currency}
    assert {one["BookgDt"] for one in entries} <= {statement.booked_on.isoformat()}


@FORMS
def test_a_statement_that_does_not_add_up_is_refused(form: ModuleType) -> None:
    raw = form.generate(a_statement(closing_minor=53_511))
    refused = form.parse(raw)
    assert isinstance(refused, RefusedStatement)
    assert refused.fault is StatementFault.UNBALANCED


@FORMS
@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw[:-3],
        lambda raw: raw[: len(raw) // 2],
        lambda raw: b"\xef\xbb\xbf" + raw,
        lambda raw: raw.replace(b"EUR", b"XAU"),
        lambda raw: raw + raw,
        lambda raw: raw.replace(b"532", b"0532"),
        lambda raw: raw.replace(b"card_sim", b""),
        lambda _: b"",
        lambda _: b"\xff",
        lambda raw: raw.replace(b"\r\n", b"\n") if b"\r" in raw else raw.replace(b"\n", b"\r\n"),
    ],
    ids=["cut", "half", "bom", "currency", "twice", "zero", "name", "empty", "bytes", "line_ends"],
)  # fmt: skip
def test_a_spoilt_statement_is_refused_and_nothing_raises(
    form: ModuleType, spoil: Callable[[bytes], bytes]
) -> None:
    assert isinstance(form.parse(spoil(form.generate(a_statement()))), RefusedStatement)


def test_entities_are_refused_before_anything_reads_them() -> None:
    bomb = b'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><Document>&b;</Document>'
    assert isinstance(camt053.parse(bomb), RefusedStatement)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-7", "latin-1"])
def test_no_encoding_gets_a_document_type_past_the_guard(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found in review: in UTF-16 `<!` is four bytes, and the parser followed the byte order mark."""
    monkeypatch.setattr(camt053.ElementTree, "fromstring", lambda _: pytest.fail("it was read"))
    written = f'<?xml version="1.0" encoding="{encoding}"?>\n<!DOCTYPE d [<!ENTITY a "aa">]><d>&a;</d>'
    assert isinstance(camt053.parse(written.encode(encoding)), RefusedStatement)
    told = '<?xml version="1.0" encoding="utf-16"?>\n<d/>'.encode(encoding)
    assert isinstance(camt053.parse(told), RefusedStatement)


@FORMS
@given(raw=st.binary(max_size=200))
def test_no_bytes_make_a_reader_raise(form: ModuleType, raw: bytes) -> None:
    assert isinstance(form.parse(raw), RefusedStatement)


@FORMS
@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])
@pytest.mark.parametrize("amounts", [[], [123_456, -700]])
def test_the_simulated_bank_writes_what_is_read(form: ModuleType, currency: str, amounts: list[int]) -> None:
    write = bank_statement.FORMATS[form.__name__.rpartition(".")[2]]
    entries = [(f"card_sim-20261123-{currency}", amount) for amount in amounts]
    read = form.parse(write(TODAY, currency, entries))
    assert isinstance(read, Statement)
    assert (read.currency, read.booked_on, read.opening_minor) == (currency, TODAY, 0)
    assert [(one.reference, one.amount_minor) for one in read.entries] == entries


def test_a_payout_is_what_was_charged_less_refunds_and_fees_by_currency() -> None:
    lines = [
        a_line(1, amount_minor=1250, fee_minor=43),
        a_line(2, amount_minor=250, fee_minor=0, type=SettlementType.REFUND),
        a_line(3, amount_minor=900, currency="JPY", fee_minor=43),
        a_line(4, amount_minor=100, currency="KWD", fee_minor=100),
    ]
    found = payouts_of("card_sim", TODAY, lines)
    assert [(one.batch, one.net_minor) for one in found] == [
        ("card_sim-20261123-EUR", 957),
        ("card_sim-20261123-JPY", 857),
    ]


@pytest.mark.parametrize(
    ("amounts", "has_come", "state", "received"),
    [
        ([957], True, PayoutState.RECEIVED, 957),
        ([900, 57], True, PayoutState.RECEIVED, 957),
        ([956], True, PayoutState.DIFFERS, 956),
        ([957, 957], True, PayoutState.DIFFERS, 1914),
        ([], True, PayoutState.MISSING, None),
        ([], False, PayoutState.EXPECTED, None),
    ],
)
def test_the_banks_lines_of_a_batch_add_up_to_its_payout(
    amounts: list[int], has_come: bool, state: PayoutState, received: int | None
) -> None:
    payout = Payout("card_sim", TODAY, "EUR", 1250, 250, 43)
    entries = [StatementEntry(amount, payout.batch) for amount in amounts]
    other = StatementEntry(5, f"card_sim-{TODAY + timedelta(days=1):%Y%m%d}-EUR")
    [judged] = judge_payouts([payout], {"EUR": [*entries, other]} if has_come else {})
    assert (judged.state, judged.received_minor) == (state, received)


def test_what_no_batch_expects_is_told_apart_by_currency_and_never_counted_to_a_batch() -> None:
    payout = Payout("card_sim", TODAY, "EUR", 957)
    late = f"card_sim-{TODAY - timedelta(days=2):%Y%m%d}-EUR"
    statements = {
        "EUR": [StatementEntry(957, payout.batch), StatementEntry(5, late), StatementEntry(6, late)],
        "USD": [StatementEntry(-7, payout.batch), StatementEntry(8, "RENT")],
    }
    [judged] = judge_payouts([payout], statements)
    assert (judged.state, judged.received_minor) == (PayoutState.RECEIVED, 957)
    found = unexpected_entries([payout], statements)
    assert [(one.reference, one.currency, one.amount_minor) for one in found] == [
        (late, "EUR", 11), ("RENT", "USD", 8), (payout.batch, "USD", -7),
    ]  # fmt: skip
    assert [one.channel(("card_sim",)) for one in found] == ["card_sim", THE_BANK, "card_sim"]
    assert {one.channel(()) for one in found} == {THE_BANK}


def test_a_late_line_is_its_batch_s_and_unexpected_nowhere() -> None:
    payout = Payout("card_sim", TODAY, "EUR", 957)
    late = Arrival(payout.batch, 957, TODAY + timedelta(days=4), "5e")
    for statements, came in (
        ({}, 957),
        ({"EUR": []}, 957),
        ({"EUR": [StatementEntry(3, payout.batch)]}, 960),
    ):
        [judged] = judge_payouts([payout], statements, [late])
        assert (judged.received_minor, judged.late) == (came, (late,))
        assert judged.state is (PayoutState.RECEIVED if came == 957 else PayoutState.DIFFERS)
    other_day = {"EUR": [StatementEntry(957, payout.batch)], "USD": [StatementEntry(1, payout.batch)]}
    assert [one.currency for one in unexpected_entries([], other_day, [payout.batch])] == ["USD"]
    assert len(unexpected_entries([], other_day)) == 2


@given(
    amounts=st.lists(st.tuples(st.sampled_from(["EUR", "USD"]), st.sampled_from("ab"), MINOR.filter(bool)))
)
def test_every_minor_unit_of_a_statement_is_received_or_unexpected(
    amounts: list[tuple[str, str, int]],
) -> None:
    payout = Payout("card_sim", TODAY, "EUR", 957)
    statements: dict[str, list[StatementEntry]] = {"EUR": [], "USD": []}
    for currency, name, minor in amounts:
        statements[currency].append(StatementEntry(minor, payout.batch if name == "a" else "RENT"))
    received = sum(one.received_minor or 0 for one in judge_payouts([payout], statements))
    unexpected = sum(one.amount_minor for one in unexpected_entries([payout], statements))
    assert received + unexpected == sum(minor for _, _, minor in amounts)
