"""The five-section layout: round trips to the byte, and every way in which a file may be wrong refuses it whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline_rig import TODAY, a_line

from data_pipeline.domain import settlement
from data_pipeline.domain.batch_layout import (
    BatchFile,
    BatchRow,
    JournalType,
    Transaction,
    generate,
    journal,
    paid_out,
    parse,
)
from data_pipeline.domain.layouts import read_file
from data_pipeline.domain.payouts import payouts_of
from data_pipeline.domain.settlement import FileFault, RefusedFile, SettlementFile, SettlementType

CHANNEL = "card_sim_2"
TYPES = [JournalType.SETTLED, JournalType.REFUNDED, JournalType.CHARGEBACK]
CURRENCIES = st.sampled_from(["EUR", "JPY", "KWD"])
TOKEN = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.:/=+-]{0,20}", fullmatch=True)
FEE = st.integers(0, 500)
TRANSACTION = st.builds(
    Transaction, st.sampled_from(TYPES), TOKEN, TOKEN, CURRENCIES, st.integers(1, 10**12), FEE, FEE, FEE, FEE
).filter(lambda one: one.net_minor != 0)
MOVED = st.integers(-(10**9), 10**9).filter(bool)


@st.composite
def files(draw: st.DrawFn) -> BatchFile:
    fees = st.builds(BatchRow, st.just(JournalType.FEE), CURRENCIES, MOVED)
    corrections = st.builds(
        BatchRow,
        st.sampled_from([JournalType.INVOICE_DEDUCTION, JournalType.DEPOSIT_CORRECTION]),
        CURRENCIES,
        MOVED,
    )
    file = BatchFile(
        CHANNEL,
        TODAY,
        tuple(draw(st.lists(TRANSACTION, max_size=6))),
        tuple(draw(st.lists(fees, max_size=2))),
        tuple(draw(st.lists(corrections, max_size=2))),
    )
    return replace(file, payouts=paid_out(file))


def a_file() -> BatchFile:
    file = BatchFile(
        CHANNEL,
        TODAY,
        (
            Transaction(JournalType.SETTLED, "ch_1", "att_1", "EUR", 1250, 7, 12, 32, 13),
            Transaction(JournalType.REFUNDED, "ch_2", "att_2", "EUR", 250),
            Transaction(JournalType.SETTLED, "ch_3", "att_3", "JPY", 900, 10),
            Transaction(JournalType.SETTLED, "ch_4", "att_4", "KWD", 1250, 0, 250),
        ),
        (BatchRow(JournalType.FEE, "EUR", -86),),
        (BatchRow(JournalType.DEPOSIT_CORRECTION, "KWD", 1000),),
    )
    return replace(file, payouts=paid_out(file))


@given(file=files())
def test_what_is_generated_is_parsed_back_and_generates_the_same_bytes(file: BatchFile) -> None:
    raw = generate(file)
    read = parse(raw, channel=CHANNEL, day=TODAY)
    assert read == file
    assert generate(file) == raw


def test_the_form_is_the_documented_one_with_the_decimals_of_each_currency() -> None:
    assert generate(a_file()).decode().split("\n") == [
        "HDR,batch/1,card_sim_2,2026-11-23,4,1,1,3",
        "TX,Settled,ch_1,att_1,EUR,,12.50,EUR,,11.86,1,0.07,0.12,0.32,0.13,card_sim_2-20261123-EUR",
        "TX,Refunded,ch_2,att_2,EUR,2.50,,EUR,2.50,,1,0.00,0.00,0.00,0.00,card_sim_2-20261123-EUR",
        "TX,Settled,ch_3,att_3,JPY,,900,JPY,,890,1,10,0,0,0,card_sim_2-20261123-JPY",
        "TX,Settled,ch_4,att_4,KWD,,1.250,KWD,,1.000,1,0.000,0.250,0.000,0.000,card_sim_2-20261123-KWD",
        "FEE,Fee,EUR,0.86,,card_sim_2-20261123-EUR",
        "COR,DepositCorrection,KWD,,1.000,card_sim_2-20261123-KWD",
        "PAY,MerchantPayout,EUR,8.50,,card_sim_2-20261123-EUR",
        "PAY,MerchantPayout,JPY,890,,card_sim_2-20261123-JPY",
        "PAY,MerchantPayout,KWD,2.000,,card_sim_2-20261123-KWD",
        "",
    ]


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda raw: raw[: raw.rindex(b"PAY")], FileFault.TRUNCATED),
        (lambda raw: raw[:-1], FileFault.TRUNCATED),
        (lambda raw: raw + raw, FileFault.TRUNCATED),
        (lambda raw: b"\xef\xbb\xbf" + raw, FileFault.BYTE_ORDER_MARK),
        (lambda raw: raw.replace(b"\n", b"\r\n"), FileFault.CARRIAGE_RETURN),
        (lambda raw: raw.replace(b",ch_1,", b',"ch,1",'), FileFault.BAD_LINE),
        (lambda raw: raw.replace(b"0.07,", b"-0.07,"), FileFault.BAD_LINE),
        (lambda raw: raw.replace(b"0.07,", b"0.7,"), FileFault.BAD_LINE),
        (lambda raw: raw.replace(b"TX,Settled,ch_1", b"TX,Teleported,ch_1"), FileFault.UNKNOWN_TYPE),
        (lambda raw: raw.replace(b"Fee,EUR", b"MerchantPayout,EUR"), FileFault.UNKNOWN_TYPE),
        (lambda raw: raw.replace(b"JPY", b"XAU"), FileFault.UNKNOWN_CURRENCY),
        (lambda raw: raw.replace(b"EUR,,11.86", b"USD,,11.86"), FileFault.BAD_LINE),
        (lambda raw: raw.replace(b"EUR,8.50", b"EUR,8.51"), FileFault.UNBALANCED),
        (lambda raw: raw.replace(b"EUR,,11.86", b"EUR,,11.87"), FileFault.BAD_LINE),
        (lambda raw: raw.replace(b"HDR,batch/1,card_sim_2", b"HDR,batch/1,card_sim"), FileFault.OTHER_CHANNEL),
        (lambda raw: raw.replace(b"2026-11-23", b"2026-11-24"), FileFault.OTHER_DAY),
        (lambda raw: raw.replace(b"batch/1", b"batch/2"), FileFault.BAD_HEADER),
        (lambda _: b"HDR,\xff\n", FileFault.NOT_UTF8),
    ],
    ids=[
        "cut", "no_end", "twice", "bom", "crlf", "quoted", "negative_fee", "decimals", "type", "section",
        "currency", "other_currency", "sum", "net", "channel", "day", "version", "bytes",
    ],
)  # fmt: skip
def test_a_file_with_anything_wrong_is_refused_whole(
    spoil: Callable[[bytes], bytes], fault: FileFault
) -> None:
    refused = read_file(spoil(generate(a_file())), channel=CHANNEL, day=TODAY)
    assert isinstance(refused, RefusedFile)
    assert refused.fault is fault


@given(raw=st.binary(max_size=200))
def test_no_bytes_make_the_reader_raise(raw: bytes) -> None:
    assert isinstance(parse(b"HDR,batch/1," + raw, channel=CHANNEL, day=TODAY), RefusedFile)


def test_both_layouts_come_to_the_same_journal_lines() -> None:
    line = a_line(1, channel=CHANNEL, fee_minor=64)
    one = Transaction(
        JournalType.SETTLED, line.channel_reference, line.channel_key, "EUR", 1250, 7, 12, 32, 13
    )
    file = BatchFile(CHANNEL, TODAY, (one,))
    batch = generate(replace(file, payouts=paid_out(file)))
    flat = settlement.generate([line])
    read = [read_file(raw, channel=CHANNEL, day=TODAY) for raw in (batch, flat)]
    assert read[0] == read[1] == SettlementFile((line,))


def test_fees_and_corrections_of_a_batch_are_in_its_payout() -> None:
    read = journal(a_file())
    assert [line.type for line in read.lines[:2]] == [SettlementType.CHARGE, SettlementType.REFUND]
    found = payouts_of(CHANNEL, TODAY, read.lines, read.adjustments)
    assert [(one.currency, one.net_minor) for one in found] == [("EUR", 850), ("JPY", 890), ("KWD", 2000)]
