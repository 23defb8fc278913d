"""The settlement file: what is written is read back, and what is not right is refused whole."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline_rig import TODAY, a_line

from data_pipeline.domain.settlement import (
    HEADER,
    MINOR_MAX,
    FileFault,
    RefusedFile,
    SettlementFile,
    SettlementLine,
    SettlementType,
    generate,
    parse,
)

TOKENS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.:/=+-]{0,127}", fullmatch=True)
LINES = st.builds(
    SettlementLine,
    channel=st.just("card_sim"),
    channel_reference=TOKENS,
    channel_key=TOKENS,
    type=st.sampled_from(SettlementType),
    amount_minor=st.integers(1, MINOR_MAX),
    currency=st.sampled_from(["EUR", "JPY", "KWD", "USD"]),
    fee_minor=st.integers(0, MINOR_MAX),
    settled_on=st.just(TODAY),
)
GOOD = generate([a_line(1), a_line(2, type=SettlementType.REFUND, amount_minor=500, fee_minor=0)])


def read(raw: bytes) -> SettlementFile | RefusedFile:
    return parse(raw, channel="card_sim", day=TODAY)


@given(st.lists(LINES, max_size=20))
def test_what_is_generated_is_parsed_back(lines: list[SettlementLine]) -> None:
    assert read(generate(lines)) == SettlementFile(tuple(lines))


@given(st.lists(LINES, max_size=20))
def test_what_is_parsed_generates_the_same_bytes(lines: list[SettlementLine]) -> None:
    raw = generate(lines)
    parsed = read(raw)
    assert isinstance(parsed, SettlementFile)
    assert generate(parsed.lines) == raw


def test_the_file_has_the_form_of_the_contract() -> None:
    assert GOOD == (
        b"channel,channel_reference,channel_key,type,amount_minor,currency,fee_minor,settled_on\n"
        b"card_sim,ch_capture_1,att_capture_00000000000000000001,charge,1250,EUR,43,2026-11-23\n"
        b"card_sim,ch_capture_2,att_capture_00000000000000000002,refund,500,EUR,0,2026-11-23\n"
        b"END,2,1750\n"
    )


def test_a_day_without_lines_is_a_whole_file() -> None:
    assert read(generate([])) == SettlementFile(())


@given(st.data())
def test_a_file_that_was_cut_anywhere_is_refused(data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(GOOD) - 1))
    assert isinstance(read(GOOD[:cut]), RefusedFile)


@given(st.data())
def test_a_file_with_one_changed_byte_is_refused_or_says_something_else(data: st.DataObject) -> None:
    """No change goes unnoticed: it is refused, or it is a whole file of other content with its own bytes."""
    at = data.draw(st.integers(0, len(GOOD) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != GOOD[at]))
    changed = GOOD[:at] + bytes([byte]) + GOOD[at + 1 :]
    parsed = read(changed)
    if isinstance(parsed, SettlementFile):
        assert generate(parsed.lines) == changed


@given(st.binary(max_size=300))
def test_no_bytes_make_the_parser_raise(raw: bytes) -> None:
    assert isinstance(read(raw), SettlementFile | RefusedFile)


@pytest.mark.parametrize(
    ("raw", "fault", "line"),
    [
        (b"", FileFault.TRUNCATED, 0),
        (b"\xef\xbb\xbf" + GOOD, FileFault.BYTE_ORDER_MARK, 1),
        (GOOD.replace(b"\n", b"\r\n"), FileFault.CARRIAGE_RETURN, 1),
        (GOOD.replace(b"EUR,43", b"EUR,4\xff"), FileFault.NOT_UTF8, 2),
        (GOOD.rstrip(b"\n"), FileFault.TRUNCATED, 0),
        (GOOD.rpartition(b"END")[0], FileFault.TRUNCATED, 0),
        (HEADER.encode() + b"\n", FileFault.TRUNCATED, 0),
        (GOOD.replace(b"fee_minor", b"fees", 1), FileFault.BAD_HEADER, 1),
        (GOOD.replace(b",charge,", b",chargeback,"), FileFault.UNKNOWN_TYPE, 2),
        (GOOD.replace(b"EUR", b"EUX"), FileFault.UNKNOWN_CURRENCY, 2),
        (GOOD.replace(b"card_sim,ch_capture_2", b"wallet_sim,ch_capture_2"), FileFault.OTHER_CHANNEL, 3),
        (GOOD.replace(b"EUR,0,2026-11-23", b"EUR,0,2026-11-22"), FileFault.OTHER_DAY, 3),
        (GOOD.replace(b"EUR,0,2026-11-23", b"EUR,0,20261123"), FileFault.OTHER_DAY, 3),
        (GOOD.replace(b"END,2,1750", b"END,3,1750"), FileFault.UNBALANCED, 4),
        (GOOD.replace(b"END,2,1750", b"END,2,1751"), FileFault.UNBALANCED, 4),
        (GOOD.replace(b"END,2,1750", b"END,2"), FileFault.BAD_LINE, 4),
        (GOOD.replace(b"END,2,1750", b"END,02,1750"), FileFault.BAD_LINE, 4),
        (GOOD.replace(b",1250,", b",1250.0,"), FileFault.BAD_LINE, 2),
        (GOOD.replace(b",1250,", b",-1250,"), FileFault.BAD_LINE, 2),
        (GOOD.replace(b",1250,", b",01250,"), FileFault.BAD_LINE, 2),
        (GOOD.replace(b",1250,", b",0,"), FileFault.BAD_LINE, 2),
        (GOOD.replace(b",1250,", b",1e3,"), FileFault.BAD_LINE, 2),
        (GOOD.replace(b",1250,", ",١٢٥٠,".encode()), FileFault.BAD_LINE, 2),
        (GOOD.replace(b",43,", b",-43,"), FileFault.BAD_LINE, 2),
        (GOOD.replace(b",43,", b",9999999999999999,"), FileFault.BAD_LINE, 2),
        (GOOD.replace(b"ch_capture_1,", b'"ch_capture_1",'), FileFault.BAD_LINE, 2),
        (GOOD.replace(b"ch_capture_1,", b"ch,capture_1,"), FileFault.BAD_LINE, 2),
        (GOOD.replace(b"ch_capture_1,", b",", 1), FileFault.BAD_LINE, 2),
        (GOOD.replace(b"ch_capture_1,", b"=cmd(),"), FileFault.BAD_LINE, 2),
        (GOOD + GOOD, FileFault.BAD_LINE, 4),
    ],
)
def test_a_bad_file_is_refused_whole_with_the_line(raw: bytes, fault: FileFault, line: int) -> None:
    refused = read(raw)
    assert isinstance(refused, RefusedFile)
    assert (refused.fault, refused.line) == (fault, line)


def test_a_file_of_too_many_lines_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("data_pipeline.domain.settlement.LINES_MAX", 1)
    refused = read(GOOD)
    assert isinstance(refused, RefusedFile)
    assert refused.fault is FileFault.TOO_LARGE


def test_a_line_cannot_be_made_with_an_amount_that_is_no_payment() -> None:
    with pytest.raises(AssertionError):
        a_line(1, amount_minor=0)
    with pytest.raises(AssertionError):
        a_line(1, fee_minor=-1)


def test_the_day_is_part_of_what_is_asked_for() -> None:
    refused = parse(GOOD, channel="card_sim", day=date(2026, 11, 22))
    assert isinstance(refused, RefusedFile)
    assert refused.fault is FileFault.OTHER_DAY
