"""The third side of a day: what each channel's file comes to, against the lines of the bank's statement a day later."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final

from data_pipeline.domain import camt053, mt940
from data_pipeline.domain.layouts import read_file
from data_pipeline.domain.payouts import JudgedPayout, Payout, PayoutState, judge_payouts, payouts_of
from data_pipeline.domain.reconciliation import BreakClass, break_id
from data_pipeline.domain.settlement import SettlementFile, SettlementType
from data_pipeline.domain.statements import RefusedStatement, Statement
from data_pipeline.operations.deps import Deps
from data_pipeline.store import breaks as break_store
from data_pipeline.store import payouts as payout_store
from data_pipeline.store import runs, settlement_files
from data_pipeline.store.breaks import BreakRow, Finding
from data_pipeline.store.payouts import PayoutRow, StatementRow
from platform_kit import canonical
from platform_kit.ids import new_id

PAID_AFTER: Final = timedelta(days=1)
READERS: Final = {"camt053": camt053.parse, "mt940": mt940.parse}
BREAKS: Final = {
    PayoutState.MISSING: BreakClass.PAYOUT_NOT_RECEIVED,
    PayoutState.DIFFERS: BreakClass.PAYOUT_AMOUNT_DIFFERS,
}


async def reconcile_payouts(deps: Deps, day: date) -> list[JudgedPayout]:
    """The payouts of a day that is over, each as it stands at the bank. A statement that has not come, or is refused,
    leaves them expected and moves no break."""
    batches = await _batches(deps, day)
    currencies = sorted({payout.currency for payouts in batches.values() for payout in payouts})
    statements: dict[str, StatementRow] = {}
    taken: dict[str, Statement] = {}
    for currency in currencies:
        found = await deps.files.statement(currency, day + PAID_AFTER, deps.settings.statement_format)
        if found is not None:
            read = READERS[deps.settings.statement_format](found)
            statements[currency] = _row(currency, day + PAID_AFTER, found, read, deps.clock.now())
            if isinstance(read, Statement) and statements[currency].fault is None:
                taken[currency] = read
    judged = {
        channel: judge_payouts(payouts, {currency: one.entries for currency, one in taken.items()})
        for channel, payouts in batches.items()
    }
    await _keep(deps, day, judged, statements)
    everything = [one for payouts in judged.values() for one in payouts]
    canonical.add(payout_count=len(everything), payout_breaks=sum(one.state in BREAKS for one in everything))
    return everything


async def report_payouts(deps: Deps, first: date, last: date) -> list[dict[str, Any]]:
    """The money equation of each batch: charges - refunds - fees = net, received, and what is missing."""
    async with deps.engine.connect() as conn:
        found = await payout_store.list_payouts(conn, first, last)
    return [
        one
        | {
            "difference_minor": None
            if one["state"] == PayoutState.EXPECTED
            else (one["received_minor"] or 0) - one["net_minor"]
        }
        for one in found
    ]


async def _batches(deps: Deps, day: date) -> dict[str, list[Payout]]:
    """Channel -> its batches, of the newest file of the day that was taken."""
    batches = {}
    for channel in deps.settings.channels:
        async with deps.engine.connect() as conn:
            raw = await settlement_files.newest_accepted(conn, channel, day)
        read = await asyncio.to_thread(read_file, raw, channel=channel, day=day) if raw else None
        if isinstance(read, SettlementFile):
            batches[channel] = payouts_of(channel, day, read.lines, read.adjustments)
    return batches


def _row(
    currency: str, day: date, raw: bytes, read: Statement | RefusedStatement, at: datetime
) -> StatementRow:
    """Another account's or day's statement is refused, too: nothing of it is what was asked for."""
    fault, detail = None, None
    if isinstance(read, RefusedStatement):
        fault, detail = str(read.fault), read.detail
    elif (read.currency, read.booked_on) != (currency, day):
        fault, detail = "other_day", f"It is of {read.booked_on} in {read.currency}."
    count = len(read.entries) if isinstance(read, Statement) and fault is None else None
    return StatementRow(currency, day, hashlib.sha256(raw).hexdigest(), raw, count, fault, detail, at)


async def _keep(
    deps: Deps, day: date, judged: Mapping[str, list[JudgedPayout]], statements: Mapping[str, StatementRow]
) -> None:
    now = deps.clock.now()
    async with deps.engine.begin() as conn:
        for statement in statements.values():
            await payout_store.keep_statement(conn, statement)
        for channel, payouts in judged.items():
            await runs.lock_day(conn, channel, day)
            rows = [_payout_row(one, statements, now) for one in payouts]
            await payout_store.save(conn, rows)
            if any(one.state is PayoutState.EXPECTED for one in payouts):
                continue  # half a picture moves no break
            finding = Finding(new_id("por"), day, channel, now, of_payouts=True)
            broken = [_break_row(one, statements, finding) for one in payouts if one.state in BREAKS]
            await break_store.replace_breaks(conn, finding, broken)


def _payout_row(one: JudgedPayout, statements: Mapping[str, StatementRow], at: datetime) -> PayoutRow:
    payout = one.payout
    return PayoutRow(
        batch=payout.batch,
        channel=payout.channel,
        settled_on=payout.settled_on,
        currency=payout.currency,
        charge_minor=payout.charge_minor,
        refund_minor=payout.refund_minor,
        fee_minor=payout.fee_minor,
        net_minor=payout.net_minor,
        state=one.state,
        received_minor=one.received_minor,
        entry_count=one.entries,
        statement_sha256=statements[payout.currency].sha256
        if one.state is not PayoutState.EXPECTED
        else None,
        checked_at=at,
    )


def _break_row(one: JudgedPayout, statements: Mapping[str, StatementRow], finding: Finding) -> BreakRow:
    payout, found = one.payout, BREAKS[one.state]
    return BreakRow(
        id=break_id(finding.day, finding.channel, found, (payout.batch,)),
        day=finding.day,
        channel=finding.channel,
        break_class=found,
        settled_type=SettlementType.CHARGE if payout.net_minor > 0 else SettlementType.REFUND,
        rule="batch",
        journal_id=None,
        payment_id=None,
        channel_reference=payout.batch,
        channel_key=None,
        ledger_amount_minor=None,
        ledger_currency=None,
        ledger_at=None,
        file_amount_minor=abs(payout.net_minor),
        file_currency=payout.currency,
        file_line=None,
        file_sha256=None,
        file_text=None,
        file_fee_minor=payout.fee_minor,
        expected_fee_minor=None,
        ledger_status=None,
        bank_amount_minor=one.received_minor,
        bank_sha256=statements[payout.currency].sha256,
        run_id=finding.run_id,
        opened_at=finding.at,
        last_seen_at=finding.at,
    )
