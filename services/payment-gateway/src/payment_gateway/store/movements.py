"""What merchants' balances consist of: the transfers of their pending and available accounts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import TextClause, text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.store.pages import Window

_LAST: Final = 9223372036854775807
_SIDES: Final = ("credit_account_id", "debit_account_id")

_OWN: Final = """
    SELECT id, kind FROM payments.account
    WHERE owner = :owner AND kind IN ('pending', 'available')
      AND (CAST(:currency AS text) IS NULL OR currency = :currency)"""
_WHENEVER: Final = (
    f"WITH own AS (SELECT id, kind, CAST(0 AS bigint) AS first, {_LAST} AS beyond FROM ({_OWN}) AS a)"  # noqa: S608
)
# One row of an account is looked for by both columns of transfer_by_credit_idx or transfer_by_debit_idx as one value:
# two conditions and `ORDER BY id LIMIT 1` would invite a walk along the primary key, to its end where a side has none.
_LATEST: Final = ", ".join(
    f"(SELECT id FROM payments.transfer WHERE ({side}, id) >= (account.id, 0)"  # noqa: S608
    f" AND ({side}, id) <= (account.id, {_LAST}) ORDER BY {side} DESC, id DESC LIMIT 1)"
    for side in _SIDES
)
_NEXT: Final = " UNION ALL ".join(
    f"(SELECT id, recorded_at FROM payments.transfer WHERE ({side}, id) >= (border.account_id, (low + high) / 2)"  # noqa: S608
    f" AND ({side}, id) <= (border.account_id, {_LAST}) ORDER BY {side}, id LIMIT 1)"
    for side in _SIDES
)
# An account's transfers are numbered in the order of their commits, so that where a time begins among them is found by
# halving, some thirty looks into an index, and no index on the time is written for each transfer. `recorded_at` is when
# the transaction began: one that waited for a lock may stand behind a later one, by as long as statements may take.
# Hence the minutes; the comparison with the time itself stands beside it.
_BETWEEN_TIMES: Final = f"""
    WITH RECURSIVE account AS ({_OWN}), border (account_id, is_first, at, low, high) AS (
        SELECT account.id, ends.is_first, ends.at, CAST(0 AS bigint), 1 + GREATEST(0, {_LATEST})
        FROM account, (VALUES
            (TRUE, CAST(:created_from AS timestamptz) - interval '5 minutes'),
            (FALSE, CAST(:created_to AS timestamptz) + interval '5 minutes')) AS ends (is_first, at)
        WHERE ends.at IS NOT NULL
        UNION ALL
        SELECT account_id, is_first, at, CASE WHEN is_earlier THEN found.id + 1 ELSE low END,
            CASE WHEN is_earlier THEN high ELSE (low + high) / 2 END
        FROM border LEFT JOIN LATERAL ({_NEXT} ORDER BY id LIMIT 1) AS found ON TRUE
        CROSS JOIN LATERAL (SELECT COALESCE(found.id < high AND found.recorded_at < at, FALSE)) AS e (is_earlier)
        WHERE low < high
    ), own AS (
        SELECT id, kind,
            COALESCE((SELECT max(low) FROM border WHERE account_id = account.id AND is_first), 0) AS first,
            COALESCE((SELECT max(low) FROM border WHERE account_id = account.id AND NOT is_first), {_LAST}) AS beyond
        FROM account
    )"""  # noqa: S608 - our own words


def _lines(own: str, order: str, times: str = "") -> TextClause:
    """Lines on one side of the line `position`, the nearest first: transfer_by_credit_idx, transfer_by_debit_idx."""
    first, beyond = (
        ("first", "LEAST(beyond, CAST(:position AS bigint))")
        if order == "DESC"
        else ("GREATEST(first, CAST(:position AS bigint) + 1)", "beyond")
    )
    both = " UNION ".join(
        f"SELECT x.* FROM own CROSS JOIN LATERAL (SELECT * FROM payments.transfer"  # noqa: S608
        f" WHERE {side} = own.id AND id >= {first} AND id < {beyond} {times}"
        f" AND kind IN ('posted', 'post') ORDER BY id {order} LIMIT :limit) x"
        for side in _SIDES
    )
    return text(f"""
    {own}
    SELECT t.id, t.journal_id, t.amount_minor, t.currency, t.payment_id, t.recorded_at, d.kind AS debit,
        c.kind AS credit
    FROM ({both}) t
    JOIN payments.account d ON d.id = t.debit_account_id JOIN payments.account c ON c.id = t.credit_account_id
    ORDER BY t.id {order} LIMIT :limit
""")  # noqa: S608 - our own words


_TIMES: Final = (
    "AND recorded_at >= COALESCE(CAST(:created_from AS timestamptz), '-infinity')"
    " AND recorded_at < COALESCE(CAST(:created_to AS timestamptz), 'infinity')"
)
WHENEVER: Final = {order: _lines(_WHENEVER, order) for order in ("ASC", "DESC")}
BETWEEN_TIMES: Final = {order: _lines(_BETWEEN_TIMES, order, _TIMES) for order in ("ASC", "DESC")}
# transfer_journal_id_idx
GET_MOVEMENTS = text("""
    SELECT t.journal_id, t.amount_minor, t.currency, t.payment_id, t.recorded_at, d.kind AS debit, c.kind AS credit
    FROM payments.transfer t
    JOIN payments.account d ON d.id = t.debit_account_id JOIN payments.account c ON c.id = t.credit_account_id
    WHERE t.journal_id = :journal_id AND t.kind IN ('posted', 'post')
      AND (CAST(:currency AS text) IS NULL OR t.currency = :currency)
      AND ((d.owner = :owner AND d.kind IN ('pending', 'available'))
        OR (c.owner = :owner AND c.kind IN ('pending', 'available')))
    ORDER BY t.id DESC
""")
# transfer_by_payment_idx
MOVEMENTS_OF_PAYMENT = text("""
    SELECT t.journal_id, t.amount_minor, t.currency, t.payment_id, t.recorded_at, d.kind AS debit, c.kind AS credit
    FROM payments.transfer t
    JOIN payments.account d ON d.id = t.debit_account_id JOIN payments.account c ON c.id = t.credit_account_id
    WHERE t.payment_id = :payment_id AND t.kind IN ('posted', 'post')
      AND ((d.owner = :owner AND d.kind IN ('pending', 'available'))
        OR (c.owner = :owner AND c.kind IN ('pending', 'available')))
    ORDER BY t.id
""")
FIND_MOVEMENTS = text("""
    SELECT min(t.id) AS first, max(t.id) AS last FROM payments.transfer t
    JOIN payments.account a ON a.id IN (t.debit_account_id, t.credit_account_id)
    WHERE t.journal_id = :journal_id AND a.owner = :owner
      AND (CAST(:currency AS text) IS NULL OR t.currency = :currency)
""")


@dataclass(frozen=True, slots=True)
class Movement:
    """One transfer of a merchant's pending or available balance; `debit` and `credit` are the kinds of account."""

    journal_id: str
    amount_minor: int
    currency: str
    payment_id: str | None
    recorded_at: datetime
    debit: str
    credit: str


_OF_MOVEMENT = tuple(one.name for one in fields(Movement))


async def of_window(
    conn: AsyncConnection, merchant_id: str, window: Window, *, limit: int, currency: str | None
) -> Sequence[Movement]:
    """The nearest of the window, which names transactions (`transaction_id`): newest first, or oldest first for those
    after one. One may end a page only whole: ask for more lines than a journal has."""
    position = None
    if named := window.after or window.before:
        wanted = _named(named) | {"owner": f"merchant:{merchant_id}"}
        ends = (await conn.execute(FIND_MOVEMENTS, wanted)).one()
        if ends.first is None:
            return []
        position = ends.last if window.after else ends.first
    statement, wanted = asked(merchant_id, window, limit=limit, currency=currency, position=position)
    return [_movement(row) for row in await conn.execute(statement, wanted)]


def asked(
    merchant_id: str, window: Window, *, limit: int, currency: str | None, position: int | None
) -> tuple[TextClause, dict[str, Any]]:
    """The statement for a window's lines, and what it is given."""
    order = "ASC" if window.after else "DESC"
    wanted: dict[str, Any] = {
        "owner": f"merchant:{merchant_id}", "position": position, "limit": limit, "currency": currency,
    }  # fmt: skip
    if window.created_from is None and window.created_to is None:
        return WHENEVER[order], wanted
    times = {"created_from": window.created_from, "created_to": window.created_to}
    return BETWEEN_TIMES[order], wanted | times


async def of_transaction(conn: AsyncConnection, merchant_id: str, transaction_id: str) -> Sequence[Movement]:
    """The lines of one transaction that touch the merchant's pending or available balance."""
    wanted = _named(transaction_id) | {"owner": f"merchant:{merchant_id}"}
    return [_movement(row) for row in await conn.execute(GET_MOVEMENTS, wanted)]


async def of_payment(conn: AsyncConnection, merchant_id: str, payment_id: str) -> Sequence[Movement]:
    """All lines of a payment that touch the merchant's pending or available balance, oldest first."""
    wanted = {"payment_id": payment_id, "owner": f"merchant:{merchant_id}"}
    return [_movement(row) for row in await conn.execute(MOVEMENTS_OF_PAYMENT, wanted)]


def _movement(row: Row[Any]) -> Movement:
    return Movement(*(getattr(row, name) for name in _OF_MOVEMENT))


def _named(transaction_id: str) -> dict[str, str | None]:
    """The journal, and the currency where the journal has several: `je_…`, `je_…_usd`."""
    prefix, number, *currency = transaction_id.split("_", 2)
    return {"journal_id": f"{prefix}_{number}", "currency": currency[0].upper() if currency else None}
