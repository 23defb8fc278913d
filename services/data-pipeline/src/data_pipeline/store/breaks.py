"""Breaks. One keeps its id and age over re-runs, and closes when it is not found again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Final

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.domain.closing import Act, Correction, Decision, Sides, Standing, State
from data_pipeline.domain.reconciliation import OF_PAYOUTS, Break, BreakClass
from data_pipeline.domain.settlement import SettlementType
from data_pipeline.store.arrays import arrays, insert_many, unnested
from data_pipeline.store.runs import RunRow
from data_pipeline.store.settlement_files import KeptFile
from data_pipeline.store.tables import reconciliation_break
from platform_kit.ids import new_id

THE_PLATFORM: Final = "platform"
"""Who acts when nobody asked: a run."""

_BY_PEOPLE = ("closed_at", "state", "resolution", "decided_by", "owner")  # no run writes these
_COLUMNS = tuple(column.name for column in reconciliation_break.columns if column.name not in _BY_PEOPLE)
_SAME = ("id", "day", "channel", "break_class", "opened_at")  # what a re-run may not change
_MONEY = (
    "ledger_amount_minor", "ledger_currency", "file_amount_minor", "file_currency", "file_fee_minor",
    "expected_fee_minor", "bank_amount_minor",
)  # fmt: skip

OPEN_BREAKS = insert_many(
    reconciliation_break,
    _COLUMNS,
    # What a person closed stays closed, as long as both sides say what they said then: REOPEN_CHANGED came before.
    "ON CONFLICT (id) DO UPDATE SET closed_at = CASE reconciliation_break.state WHEN 'resolved' "
    "THEN reconciliation_break.closed_at END, "
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name not in _SAME),
)
REOPEN_CHANGED = text(
    f"""
    UPDATE pipeline.reconciliation_break AS b SET state = 'open', resolution = NULL, decided_by = NULL
    FROM {unnested(reconciliation_break, ("id", *_MONEY))}
    WHERE b.id = r.id AND b.state IN ('resolved', 'proposed')
      AND ({", ".join(f"b.{name}" for name in _MONEY)}) IS DISTINCT FROM ({", ".join(f"r.{name}" for name in _MONEY)})
    RETURNING b.id
    """  # noqa: S608 - column names of our own table
)
CLOSE_OTHERS = text(
    """
    UPDATE pipeline.reconciliation_break SET closed_at = :at
    WHERE day = :day AND channel = :channel AND closed_at IS NULL AND run_id <> :run_id
      AND state <> 'booking'  -- it ends when the ledger has answered
      AND (break_class = ANY(:payout_classes)) = :of_payouts
      AND (CAST(:currencies AS text[]) IS NULL OR file_currency = ANY(CAST(:currencies AS text[])))
    RETURNING id, state, journal_id, settled_type, channel_reference
    """
)
ONE = text("SELECT * FROM pipeline.reconciliation_break WHERE id = :id")
LOCK = text("SELECT * FROM pipeline.reconciliation_break WHERE id = :id FOR UPDATE")
STAND = text(
    """
    UPDATE pipeline.reconciliation_break
    SET state = CAST(:state AS text), resolution = :resolution, decided_by = :decided_by, owner = :owner,
        closed_at = CASE WHEN CAST(:state AS text) = 'resolved' THEN coalesce(closed_at, :at) ELSE closed_at END
    WHERE id = :id
    """
)
BREAKS = text(
    """
    SELECT * FROM pipeline.reconciliation_break
    WHERE day BETWEEN :first AND :last AND closed_at IS NULL
    ORDER BY day DESC, channel, break_class, id LIMIT :limit
    """
)
COUNT_OPEN = text("SELECT count(*) FROM pipeline.reconciliation_break WHERE closed_at IS NULL")
ADD_ACT = text(
    """
    INSERT INTO pipeline.break_act (id, break_id, act, actor, note, owner, state, details, at)
    VALUES (:id, :break_id, :act, :actor, :note, :owner, :state, CAST(:details AS json), :at)
    """
)
ACTS_OF = text(
    """
    SELECT id, act, actor, note, owner, state, details, at
    FROM pipeline.break_act WHERE break_id = :id ORDER BY at, id
    """
)

# Acts that booked carry `booked_minor`; the act that agreed carries `decision`.
BOOKED = text(
    """
    SELECT a.break_id, b.key AS currency, sum(CAST(b.value AS bigint)) AS minor
    FROM pipeline.break_act a, json_each_text(a.details -> 'booked_minor') b
    WHERE a.break_id = ANY(CAST(:ids AS text[])) GROUP BY a.break_id, b.key
    """
)
LAST_DECISION = text(
    """
    SELECT actor, note, CAST(details -> 'decision' AS text) AS decision FROM pipeline.break_act
    WHERE break_id = :id AND details -> 'decision' IS NOT NULL
    ORDER BY CAST(details -> 'decision' ->> 'number' AS bigint) DESC LIMIT 1
    """
)


@dataclass(frozen=True, slots=True)
class BreakRow:
    """A break with the evidence of both sides; what one side does not have is None."""

    id: str
    day: date
    channel: str
    break_class: str
    settled_type: str
    rule: str | None
    journal_id: str | None
    payment_id: str | None
    channel_reference: str | None
    channel_key: str | None
    ledger_amount_minor: int | None
    ledger_currency: str | None
    ledger_at: datetime | None
    file_amount_minor: int | None
    file_currency: str | None
    file_line: int | None
    file_sha256: str | None
    file_text: str | None
    file_fee_minor: int | None
    expected_fee_minor: int | None
    ledger_status: str | None
    bank_amount_minor: int | None
    bank_sha256: str | None
    run_id: str
    opened_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class ActRow:
    """One act; `state` is how the break stands after it."""

    id: str
    break_id: str
    act: str
    actor: str
    note: str | None
    owner: str | None
    state: str
    details: dict[str, Any]
    at: datetime


def break_row(run: RunRow, file: KeptFile, broken: Break, text_of: Callable[[int], str]) -> BreakRow:
    """A break with the evidence of the sides that it has; `text_of` gives a line of the file by its number."""
    ours, theirs = broken.ledger, broken.file.line if broken.file else None
    settled_type = ours.type if ours else theirs.type if theirs else ""
    return BreakRow(
        id=broken.id,
        day=run.day,
        channel=run.channel,
        break_class=broken.break_class,
        settled_type=settled_type,
        rule=broken.rule,
        journal_id=ours.journal_id if ours else None,
        payment_id=ours.payment_id if ours else None,
        channel_reference=theirs.channel_reference if theirs else ours.channel_reference if ours else None,
        channel_key=theirs.channel_key if theirs else ours.channel_key if ours else None,
        ledger_amount_minor=ours.amount_minor if ours else None,
        ledger_currency=ours.currency if ours else None,
        ledger_at=ours.occurred_at if ours else None,
        file_amount_minor=theirs.amount_minor if theirs else None,
        file_currency=theirs.currency if theirs else None,
        file_line=broken.file.number if broken.file else None,
        file_sha256=file.sha256 if theirs else None,
        file_text=text_of(broken.file.number) if broken.file else None,
        file_fee_minor=theirs.fee_minor if theirs else None,
        expected_fee_minor=broken.expected_fee_minor,
        ledger_status=broken.ledger_status,
        bank_amount_minor=None,
        bank_sha256=None,
        run_id=run.id,
        opened_at=run.finished_at,
        last_seen_at=run.finished_at,
    )


@dataclass(frozen=True, slots=True)
class Finding:
    """A run that says which breaks a day and channel have: all between ledger and channel, or all of payouts, in these
    currencies alone if there are any named."""

    run_id: str
    day: date
    channel: str
    at: datetime
    of_payouts: bool = False
    currencies: tuple[str, ...] | None = None


Counterparts = Callable[[Sequence[Mapping[str, Any]]], Mapping[str, dict[str, Any]]]
"""Rows of breaks that close by themselves -> by id, where what they waited for is."""


def nowhere(_rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """No counterpart is known: the run's id alone says why they closed."""
    return {}


async def replace_breaks(
    conn: AsyncConnection,
    finding: Finding,
    breaks: Sequence[BreakRow],
    counterparts: Counterparts = nowhere,
) -> None:
    """Open what this run found, close what it did not find again; what people closed on other figures opens again. Each
    that closes has an act with the run and its counterpart."""
    changed = await conn.scalars(REOPEN_CHANGED, arrays(breaks, ("id", *_MONEY)))
    for break_id in changed.all():
        await add_act(conn, _by_run(finding, break_id, Act.REOPENED, State.OPEN))
    await conn.execute(OPEN_BREAKS, arrays(breaks, _COLUMNS))
    result = await conn.execute(
        CLOSE_OTHERS,
        {
            "day": finding.day,
            "channel": finding.channel,
            "run_id": finding.run_id,
            "at": finding.at,
            "payout_classes": sorted(OF_PAYOUTS),
            "of_payouts": finding.of_payouts,
            "currencies": None if finding.currencies is None else list(finding.currencies),
        },
    )
    closed = [dict(row) for row in result.mappings()]
    came = counterparts(closed) if closed else {}
    for row in closed:
        await add_act(
            conn, _by_run(finding, row["id"], Act.CLOSED, State(row["state"]), came.get(row["id"], {}))
        )


def _by_run(
    finding: Finding, break_id: str, act: Act, state: State, details: Mapping[str, Any] | None = None
) -> ActRow:
    told = {"run_id": finding.run_id} | dict(details or {})
    return ActRow(new_id("act"), break_id, act, THE_PLATFORM, None, None, state, told, finding.at)


async def open_breaks(conn: AsyncConnection, first: date, last: date, limit: int) -> list[dict[str, Any]]:
    result = await conn.execute(BREAKS, {"first": first, "last": last, "limit": limit})
    return [dict(row) for row in result.mappings()]


async def get(conn: AsyncConnection, break_id: str) -> dict[str, Any] | None:
    row = (await conn.execute(ONE, {"id": break_id})).mappings().one_or_none()
    return dict(row) if row else None


async def lock(conn: AsyncConnection, break_id: str) -> dict[str, Any] | None:
    """The break, which nobody else changes until the transaction ends."""
    row = (await conn.execute(LOCK, {"id": break_id})).mappings().one_or_none()
    return dict(row) if row else None


async def stand(conn: AsyncConnection, break_id: str, standing: Standing, at: datetime) -> None:
    """Keep how the break stands; `at` is when, should it be resolved now."""
    await conn.execute(
        STAND,
        {
            "id": break_id,
            "state": standing.state,
            "resolution": standing.resolution,
            "decided_by": standing.decided_by,
            "owner": standing.owner,
            "at": at,
        },
    )


async def add_act(conn: AsyncConnection, act: ActRow) -> None:
    await conn.execute(ADD_ACT, asdict(act) | {"details": orjson.dumps(act.details).decode()})


async def acts_of(conn: AsyncConnection, break_id: str) -> list[dict[str, Any]]:
    """The history of a break, oldest first."""
    return [dict(row) for row in (await conn.execute(ACTS_OF, {"id": break_id})).mappings()]


async def booked_of(conn: AsyncConnection, ids: Sequence[str]) -> dict[str, dict[str, int]]:
    """Break -> currency -> what decisions have booked of its difference; a break without entries is not in it."""
    found: dict[str, dict[str, int]] = {}
    for row in await conn.execute(BOOKED, {"ids": list(ids)}):
        found.setdefault(row.break_id, {})[row.currency] = int(row.minor)
    return found


async def last_decision(conn: AsyncConnection, break_id: str) -> Decision | None:
    """The newest that books; None when there never was one."""
    row = (await conn.execute(LAST_DECISION, {"id": break_id})).one_or_none()
    if row is None:
        return None
    kept = orjson.loads(row.decision)
    entries = tuple(Correction(**one) for one in kept["corrections"])
    return Decision(kept["number"], Act(kept["resolution"]), entries, row.actor, row.note)


def decision_details(decision: Decision) -> dict[str, Any]:
    """What `last_decision` reads; actor and note are the act's own."""
    return {
        "number": decision.number,
        "resolution": decision.resolution,
        "corrections": [asdict(one) for one in decision.corrections],
    }


def standing_of(found: dict[str, Any]) -> Standing:
    """How a row of the store stands."""
    return Standing(
        state=State(found["state"]),
        resolution=Act(found["resolution"]) if found["resolution"] else None,
        decided_by=found["decided_by"],
        owner=found["owner"],
        is_found=found["closed_at"] is None,
    )


def sides_of(found: dict[str, Any], booked_minor: Mapping[str, int]) -> Sides:
    """The money of a row of the store, with what was booked of it."""
    return Sides(
        break_class=BreakClass(found["break_class"]),
        settled_type=SettlementType(found["settled_type"]),
        ledger_minor=found["ledger_amount_minor"],
        ledger_currency=found["ledger_currency"],
        file_minor=found["file_amount_minor"],
        file_currency=found["file_currency"],
        expected_fee_minor=found["expected_fee_minor"],
        file_fee_minor=found["file_fee_minor"],
        bank_minor=found["bank_amount_minor"],
        booked_minor=booked_minor,
    )


async def count_open(conn: AsyncConnection) -> int:
    return int(await conn.scalar(COUNT_OPEN) or 0)
