"""Holds as rows of a commit (a `RowKind`): locked before their accounts, in id order."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.ledger import AccountName
from payment_gateway.domain.ledger_hold import Hold, HoldState
from platform_kit.writes import Writes

_SELECT = """
    SELECT h.id, h.amount_minor, h.posted_minor, h.released_minor, h.expires_at, h.state, h.currency,
        d.owner AS debit_owner, d.kind AS debit_kind, c.owner AS credit_owner, c.kind AS credit_kind
    FROM payments.hold h JOIN payments.account d ON d.id = h.debit_account_id
    JOIN payments.account c ON c.id = h.credit_account_id
"""
LOCK = text(_SELECT + " WHERE h.id = ANY(:ids) ORDER BY h.id FOR UPDATE OF h")
GET = text(_SELECT + " WHERE h.id = :id AND d.owner = :owner")
# hold_by_debit_idx and hold_by_credit_idx, each as far as the page goes. No hold has one account on both sides.
_SIDE = """
    (SELECT id FROM payments.hold WHERE {}_account_id = :account AND (CAST(:before AS text) IS NULL OR id < :before)
        AND (CAST(:state AS text) IS NULL OR state = :state) ORDER BY id DESC LIMIT :limit)"""
OF_ACCOUNT = text(
    _SELECT + f" WHERE h.id IN ({_SIDE.format('debit')} UNION ALL {_SIDE.format('credit')})"
    " ORDER BY h.id DESC LIMIT :limit"
)
# Whose time is over by the database's clock; hold_due_idx.
DUE = text(
    _SELECT + " WHERE h.state = 'pending' AND h.expires_at <= now() ORDER BY h.expires_at LIMIT :limit"
)
INSERT = text("""
    INSERT INTO payments.hold (id, debit_account_id, credit_account_id, currency, amount_minor, posted_minor,
        released_minor, expires_at, state)
    SELECT n.id, d.id, c.id, n.currency, n.amount, n.posted, n.released, n.expires_at, n.state
    FROM unnest(CAST(:ids AS text[]), CAST(:debit_owners AS text[]), CAST(:debit_kinds AS text[]),
        CAST(:credit_owners AS text[]), CAST(:credit_kinds AS text[]), CAST(:currencies AS text[]),
        CAST(:amounts AS bigint[]), CAST(:posted AS bigint[]), CAST(:released AS bigint[]),
        CAST(:expire AS timestamptz[]), CAST(:states AS text[]))
        AS n (id, debit_owner, debit_kind, credit_owner, credit_kind, currency, amount, posted, released, expires_at,
            state)
    JOIN payments.account d ON (d.owner, d.kind, d.currency) = (n.debit_owner, n.debit_kind, n.currency)
    JOIN payments.account c ON (c.owner, c.kind, c.currency) = (n.credit_owner, n.credit_kind, n.currency)
""")
UPDATE = text("""
    UPDATE payments.hold h SET posted_minor = n.posted, released_minor = n.released, state = n.state
    FROM unnest(CAST(:ids AS text[]), CAST(:posted AS bigint[]), CAST(:released AS bigint[]), CAST(:states AS text[]))
        AS n (id, posted, released, state) WHERE h.id = n.id
""")


async def lock(conn: AsyncConnection, ids: Collection[str]) -> dict[str, Hold]:
    """The holds of these ids that exist, locked until the transaction ends."""
    return {row.id: _hold(row) for row in await conn.execute(LOCK, {"ids": list(ids)})}


def insert(writes: Writes, rows: Iterable[Hold]) -> None:
    holds = list(rows)
    writes.add(
        INSERT,
        _changes(holds)
        | {
            "debit_owners": [hold.debit.owner for hold in holds],
            "debit_kinds": [hold.debit.kind for hold in holds],
            "credit_owners": [hold.credit.owner for hold in holds],
            "credit_kinds": [hold.credit.kind for hold in holds],
            "currencies": [hold.debit.currency for hold in holds],
            "amounts": [hold.amount_minor for hold in holds],
            "expire": [hold.expires_at for hold in holds],
        },
        rows=len(holds),
    )


def update(writes: Writes, rows: Iterable[Hold]) -> None:
    holds = list(rows)
    writes.add(UPDATE, _changes(holds), rows=len(holds))


async def get(conn: AsyncConnection, hold_id: str, owner: str) -> Hold | None:
    """A hold on an account of `owner`."""
    row = (await conn.execute(GET, {"id": hold_id, "owner": owner})).first()
    return _hold(row) if row else None


async def of_account(
    conn: AsyncConnection, account_id: int, state: str | None, before: str | None, limit: int
) -> list[Hold]:
    """Holds from or to an account, newest first, older than the hold `before`."""
    parameters = {"account": account_id, "state": state, "before": before, "limit": limit}
    return [_hold(row) for row in await conn.execute(OF_ACCOUNT, parameters)]


async def due(conn: AsyncConnection, limit: int) -> list[Hold]:
    """Pending holds whose time is over, oldest first."""
    return [_hold(row) for row in await conn.execute(DUE, {"limit": limit})]


def _changes(holds: list[Hold]) -> dict[str, Any]:
    return {
        "ids": [hold.id for hold in holds],
        "posted": [hold.posted_minor for hold in holds],
        "released": [hold.released_minor for hold in holds],
        "states": [hold.state.value for hold in holds],
    }


def _hold(row: Any) -> Hold:
    return Hold(
        id=row.id,
        debit=AccountName(row.debit_owner, row.debit_kind, row.currency),
        credit=AccountName(row.credit_owner, row.credit_kind, row.currency),
        amount_minor=row.amount_minor,
        expires_at=row.expires_at,
        posted_minor=row.posted_minor,
        released_minor=row.released_minor,
        state=HoldState(row.state),
    )
