"""The third side of a day: what each channel's file comes to, against the lines of the bank's statement a day later."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from data_pipeline.domain.layouts import read_file
from data_pipeline.domain.payouts import (
    OVERDUE_AFTER,
    THE_BANK,
    JudgedPayout,
    Payout,
    PayoutState,
    UnexpectedEntries,
    judge_payouts,
    payouts_of,
    unexpected_entries,
)
from data_pipeline.domain.reconciliation import BreakClass, break_id
from data_pipeline.domain.settlement import SettlementFile, SettlementType
from data_pipeline.domain.statements import RefusedStatement, Statement, StatementEntry, as_asked
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.find_late_payouts import READERS, earlier_batches, late_arrivals
from data_pipeline.store import breaks as break_store
from data_pipeline.store import payouts as payout_store
from data_pipeline.store import runs, settlement_files
from data_pipeline.store.breaks import BreakRow, Counterparts, Finding
from data_pipeline.store.payouts import PayoutRow, StatementRow
from platform_kit import canonical
from platform_kit.ids import new_id
from platform_kit.logging import get_logger

PAID_AFTER: Final = timedelta(days=1)
LOOK_BACK: Final = timedelta(days=30)
"""How far back currencies are known from payouts, and a statement that never came is still asked for."""
BREAKS: Final = {
    PayoutState.MISSING: BreakClass.PAYOUT_NOT_RECEIVED,
    PayoutState.DIFFERS: BreakClass.PAYOUT_AMOUNT_DIFFERS,
}


log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Taken:
    """A statement that was not refused."""

    sha256: str
    entries: tuple[StatementEntry, ...]


async def reconcile_payouts(deps: Deps, day: date) -> list[JudgedPayout]:
    """The payouts of a day that is over, each as it stands at the bank. By currency: a statement that has not come, or
    is refused, leaves its currency expected and moves none of its breaks, until the day is OVERDUE_AFTER old. Then
    what is expected is not received. A statement that came once stands until a newer one is taken.

    A line that names a batch of an earlier day is that batch's: its day is judged again, with what came late."""
    judged, earlier = await _judge_day(deps, day)
    for other in sorted(earlier):
        await _judge_day(deps, other)
    return judged


async def _judge_day(deps: Deps, day: date) -> tuple[list[JudgedPayout], set[date]]:
    """The payouts of the day, and the days before whose batches its statements name."""
    batches = await _batches(deps, day)
    everything = [payout for payouts in batches.values() for payout in payouts]
    statements = await _statements(deps, day, {payout.currency for payout in everything})
    entries = {currency: one.entries for currency, one in statements.items()}
    late = await late_arrivals(deps, everything, day + PAID_AFTER)
    earlier = await earlier_batches(deps, entries, day)
    judged = {channel: judge_payouts(payouts, entries, late) for channel, payouts in batches.items()}
    unexpected = unexpected_entries(everything, entries, earlier)
    broken = await _keep(deps, day, judged, unexpected, statements)
    canonical.add(payout_count=len(everything), payout_breaks=broken)
    return [one for payouts in judged.values() for one in payouts], set(earlier.values())


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


async def _statements(deps: Deps, day: date, currencies: Collection[str]) -> dict[str, Taken]:
    """Currency -> the statement on which the day's batches are booked. Currencies of the weeks before are asked for,
    too: a line may be there that no batch expects."""
    async with deps.engine.connect() as conn:
        known = await payout_store.currencies_of(conn, day - LOOK_BACK, day)
    found = {}
    for currency in sorted({*currencies, *known}):
        taken = await _statement(deps, currency, day + PAID_AFTER)
        if taken is not None:
            found[currency] = taken
    return found


async def _statement(deps: Deps, currency: str, booked_on: date) -> Taken | None:
    """As the bank gives it now, else as it was taken last."""
    fetched = await deps.files.statement(currency, booked_on, deps.settings.statement_format)
    if fetched is not None:
        read = _read(deps, fetched, deps.settings.statement_format, currency, booked_on)
        async with deps.engine.begin() as conn:
            await payout_store.keep_statement(
                conn, _row(currency, booked_on, fetched, read, deps.clock.now())
            )
        if isinstance(read, Statement):
            return Taken(hashlib.sha256(fetched).hexdigest(), read.entries)
        log.warning(
            "statement refused",
            currency=currency,
            date=booked_on.isoformat(),
            fault=read.fault,
            reason=read.detail,
        )
    async with deps.engine.connect() as conn:
        kept = await payout_store.newest_taken(conn, currency, booked_on)
    if kept is None:
        return None
    read = _read(deps, kept, "camt053" if kept.startswith(b"<") else "mt940", currency, booked_on)
    return Taken(hashlib.sha256(kept).hexdigest(), read.entries) if isinstance(read, Statement) else None


def _read(deps: Deps, raw: bytes, form: str, currency: str, booked_on: date) -> Statement | RefusedStatement:
    return as_asked(
        READERS[form](raw),
        currency=currency,
        booked_on=booked_on,
        account=deps.settings.statement_account,
    )


def _row(
    currency: str, day: date, raw: bytes, read: Statement | RefusedStatement, at: datetime
) -> StatementRow:
    sha256 = hashlib.sha256(raw).hexdigest()
    if isinstance(read, RefusedStatement):
        return StatementRow(currency, day, sha256, raw, None, str(read.fault), read.detail, at)
    return StatementRow(currency, day, sha256, raw, len(read.entries), None, None, at)


async def _keep(
    deps: Deps,
    day: date,
    judged: Mapping[str, list[JudgedPayout]],
    unexpected: Sequence[UnexpectedEntries],
    statements: Mapping[str, Taken],
) -> int:
    """How many breaks the day has now."""
    now = deps.clock.now()
    is_overdue = now.date() - day > OVERDUE_AFTER
    of_late = {one.payout.currency for payouts in judged.values() for one in payouts if one.late}
    decided = (
        None if is_overdue else tuple({*statements, *of_late})
    )  # what has no statement yet moves no break
    channels = deps.settings.channels
    count = 0
    async with deps.engine.begin() as conn:
        for channel in (*channels, THE_BANK):
            payouts = judged.get(channel, [])
            await runs.lock_day(conn, channel, day)
            await payout_store.save(conn, [_payout_row(one, statements, now) for one in payouts])
            finding = Finding(new_id("por"), day, channel, now, of_payouts=True, currencies=decided)
            broken = [
                _break_row(one, found, statements, finding)
                for one in payouts
                if (found := _break_class(one, is_overdue=is_overdue))
            ]
            broken += [
                _unexpected_row(one, statements, finding)
                for one in unexpected
                if one.channel(channels) == channel
            ]
            came = _arrivals(payouts, statements, is_overdue=is_overdue)
            await break_store.replace_breaks(conn, finding, broken, came)
            count += len(broken)
    return count


def _arrivals(
    payouts: Sequence[JudgedPayout], statements: Mapping[str, Taken], *, is_overdue: bool
) -> Counterparts:
    """On which statement the money is that a payout's break waited for; or, while it is not all there, which break
    stands in its place."""
    came: dict[str, dict[str, Any]] = {}
    for one in payouts:
        if broken := _break_class(one, is_overdue=is_overdue):
            came[one.payout.batch] = {"replaced_by": broken}
        elif found := _statement_of(one, statements):
            came[one.payout.batch] = {
                "statement_sha256": found, "booked_on": _arrived_on(one), "late": bool(one.late),
            }  # fmt: skip
    return lambda closed: {
        row["id"]: came[row["channel_reference"]] for row in closed if row["channel_reference"] in came
    }


def _statement_of(one: JudgedPayout, statements: Mapping[str, Taken]) -> str | None:
    """The SHA-256 of the last statement that speaks of the batch; None while none has come."""
    if one.late:
        return one.late[-1].sha256
    taken = statements.get(one.payout.currency)
    return taken.sha256 if taken else None


def _arrived_on(one: JudgedPayout) -> date:
    return one.late[-1].booked_on if one.late else one.payout.settled_on + PAID_AFTER


def _break_class(one: JudgedPayout, *, is_overdue: bool) -> BreakClass | None:
    if one.state is PayoutState.EXPECTED:
        return BreakClass.PAYOUT_NOT_RECEIVED if is_overdue else None
    return BREAKS.get(one.state)


def _payout_row(one: JudgedPayout, statements: Mapping[str, Taken], at: datetime) -> PayoutRow:
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
        statement_sha256=_statement_of(one, statements),
        checked_at=at,
        arrived_on=_arrived_on(one) if one.late else None,
    )


def _break_row(
    one: JudgedPayout, found: BreakClass, statements: Mapping[str, Taken], finding: Finding
) -> BreakRow:
    payout = one.payout
    return _row_of_bank(
        finding,
        found,
        identity=(payout.batch,),
        reference=payout.batch,
        settled_type=SettlementType.CHARGE if payout.net_minor > 0 else SettlementType.REFUND,
        currency=payout.currency,
        file_minor=abs(payout.net_minor),
        fee_minor=payout.fee_minor,
        bank_minor=one.received_minor,
        bank_sha256=_statement_of(one, statements),
    )


def _unexpected_row(one: UnexpectedEntries, statements: Mapping[str, Taken], finding: Finding) -> BreakRow:
    """The channel's file comes to nothing of it."""
    return _row_of_bank(
        finding,
        BreakClass.UNEXPECTED_ON_STATEMENT,
        identity=(one.reference, one.currency),
        reference=one.reference,
        settled_type=SettlementType.CHARGE if one.amount_minor >= 0 else SettlementType.REFUND,
        currency=one.currency,
        file_minor=0,
        fee_minor=None,
        bank_minor=one.amount_minor,
        bank_sha256=statements[one.currency].sha256,
    )


def _row_of_bank(
    finding: Finding,
    found: BreakClass,
    *,
    identity: tuple[str, ...],
    reference: str,
    settled_type: SettlementType,
    currency: str,
    file_minor: int,
    fee_minor: int | None,
    bank_minor: int | None,
    bank_sha256: str | None,
) -> BreakRow:
    return BreakRow(
        id=break_id(finding.day, finding.channel, found, identity),
        day=finding.day,
        channel=finding.channel,
        break_class=found,
        settled_type=settled_type,
        rule="batch",
        journal_id=None,
        payment_id=None,
        channel_reference=reference,
        channel_key=None,
        ledger_amount_minor=None,
        ledger_currency=None,
        ledger_at=None,
        file_amount_minor=file_minor,
        file_currency=currency,
        file_line=None,
        file_sha256=None,
        file_text=None,
        file_fee_minor=fee_minor,
        expected_fee_minor=None,
        ledger_status=None,
        bank_amount_minor=bank_minor,
        bank_sha256=bank_sha256,
        run_id=finding.run_id,
        opened_at=finding.at,
        last_seen_at=finding.at,
    )
