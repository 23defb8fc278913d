"""Merchants' terms, and how far they are settled."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.fees import plan_of
from payment_gateway.domain.reserve import ReservePlan
from payment_gateway.domain.terms import Settlement, Terms
from payment_gateway.store import rows
from payment_gateway.store.tables import settlement as table
from platform_kit.writes import Writes

GET_TERMS = text(
    "SELECT settlement_delay_days, payout_destination, fee_plan, settlement_currency, reserve_basis_points,"
    " reserve_days"
    " FROM payments.merchant_terms WHERE merchant_id = :id"
)
PUT_TERMS = text(
    "INSERT INTO payments.merchant_terms (merchant_id, settlement_delay_days, payout_destination, fee_plan,"
    " settlement_currency, reserve_basis_points, reserve_days)"
    " SELECT id, :delay, :destination, CAST(:fee_plan AS jsonb), :currency, :reserve_basis_points, :reserve_days"
    " FROM payments.merchant WHERE id = :id"
    " ON CONFLICT (merchant_id) DO UPDATE SET settlement_delay_days = excluded.settlement_delay_days,"
    " payout_destination = excluded.payout_destination, fee_plan = excluded.fee_plan,"
    " settlement_currency = excluded.settlement_currency, reserve_basis_points = excluded.reserve_basis_points,"
    " reserve_days = excluded.reserve_days RETURNING merchant_id"
)
# What came into and went out of each merchant's pending account since it was last settled, as far as the delay of its
# terms allows. Transfers of one account are numbered in the order of their commits (its row was locked), so nothing can
# turn up below the last number later. transfer_by_credit_idx, transfer_by_debit_idx.
DUE_FOR_SETTLEMENT = text("""
    SELECT a.owner, a.currency, s.transfer_id AS settled_to, moved.transfer_id, moved.amount_minor,
        t.reserve_basis_points, t.reserve_days
    FROM payments.account a
    LEFT JOIN payments.settlement s ON s.id = a.owner || ':' || a.currency
    LEFT JOIN payments.merchant_terms t ON 'merchant:' || t.merchant_id = a.owner
    CROSS JOIN LATERAL (
        SELECT max(id) AS transfer_id, COALESCE(sum(amount), 0) AS amount_minor FROM (
            SELECT id, amount_minor AS amount, kind, recorded_at, debit_account_id AS other
            FROM payments.transfer WHERE credit_account_id = a.id AND id > COALESCE(s.transfer_id, 0)
            UNION ALL
            SELECT id, -amount_minor, kind, recorded_at, credit_account_id
            FROM payments.transfer WHERE debit_account_id = a.id AND id > COALESCE(s.transfer_id, 0)
        ) AS side
        WHERE kind IN ('posted', 'post')
          AND recorded_at <= now() - make_interval(days => COALESCE(t.settlement_delay_days, 2))
          AND NOT EXISTS (SELECT 1 FROM payments.account o
              WHERE o.id = side.other AND o.owner = a.owner AND o.kind = 'available')
    ) AS moved
    WHERE a.kind = 'pending' AND a.owner LIKE 'merchant:%' AND a.credits_posted <> a.debits_posted
      AND moved.transfer_id IS NOT NULL
    ORDER BY a.id LIMIT :limit
""")
# A row that is not there cannot be locked: two runs of a first settlement would both believe to be the first.
OPEN_SETTLEMENTS = text(
    "INSERT INTO payments.settlement (id, transfer_id) SELECT id, 0 FROM unnest(CAST(:ids AS text[])) AS new (id)"
    " ON CONFLICT (id) DO NOTHING"
)
LOCK_SETTLEMENTS = text(
    "SELECT id, transfer_id FROM payments.settlement WHERE id = ANY(CAST(:ids AS text[])) ORDER BY id FOR UPDATE"
)
# payout_merchant_id_currency_slot_key
PAYABLE = text("""
    SELECT t.merchant_id, a.currency, t.payout_destination AS destination
    FROM payments.merchant_terms t
    JOIN payments.account a ON a.owner = 'merchant:' || t.merchant_id AND a.kind = 'available'
    WHERE t.payout_destination IS NOT NULL AND a.currency = COALESCE(t.settlement_currency, a.currency)
      AND a.credits_posted - a.debits_posted - a.debits_pending > 0
      AND NOT EXISTS (SELECT 1 FROM payments.payout p
          WHERE p.merchant_id = t.merchant_id AND p.currency = a.currency AND p.slot = :slot)
    ORDER BY t.merchant_id, a.currency LIMIT :limit
""")
FOREIGN = text("""
    SELECT t.merchant_id, a.currency, t.settlement_currency AS wanted,
        a.credits_posted - a.debits_posted - a.debits_pending AS available_minor
    FROM payments.merchant_terms t
    JOIN payments.account a ON a.owner = 'merchant:' || t.merchant_id AND a.kind = 'available'
    WHERE t.settlement_currency <> a.currency AND a.credits_posted - a.debits_posted - a.debits_pending <> 0
      AND (t.merchant_id, a.currency) > (:merchant_id, :currency)
    ORDER BY t.merchant_id, a.currency LIMIT :limit
""")


_INSERT = rows.insert_statement(table)
_UPDATE = rows.update_statement(table, ("transfer_id",))


@dataclass(frozen=True, slots=True)
class Due:
    """What may move from pending to available: the sum since the transfer `settled_to`, up to `transfer_id`."""

    merchant_id: str
    currency: str
    settled_to: int
    transfer_id: int
    amount_minor: int
    reserve: ReservePlan | None
    """Of the merchant's terms: what is kept back of it."""


@dataclass(frozen=True, slots=True)
class Payable:
    """A merchant that is paid out by itself, and has something in this currency."""

    merchant_id: str
    currency: str
    destination: str


@dataclass(frozen=True, slots=True)
class Foreign:
    """A merchant has so many minor units of `currency` available (or owes them), and is settled in `wanted`."""

    merchant_id: str
    currency: str
    wanted: str
    available_minor: int


async def get(conn: AsyncConnection, merchant_id: str) -> Terms:
    """The merchant's terms, or the defaults."""
    row = (await conn.execute(GET_TERMS, {"id": merchant_id})).first()
    if row is None:
        return Terms()
    return Terms(
        row.settlement_delay_days,
        row.payout_destination,
        plan_of(row.fee_plan),
        row.settlement_currency,
        _reserve_plan(row),
    )


async def put(conn: AsyncConnection, merchant_id: str, terms: Terms) -> bool:
    """False when there is no such merchant."""
    plan = orjson.dumps(asdict(terms.fee_plan)).decode() if terms.fee_plan else None
    values = {
        "id": merchant_id,
        "delay": terms.settlement_delay_days,
        "destination": terms.payout_destination,
        "fee_plan": plan,
        "currency": terms.settlement_currency,
        "reserve_basis_points": terms.reserve.basis_points if terms.reserve else None,
        "reserve_days": terms.reserve.days if terms.reserve else None,
    }
    return (await conn.execute(PUT_TERMS, values)).first() is not None


async def due(conn: AsyncConnection, limit: int) -> Sequence[Due]:
    """What is to be settled now."""
    return [
        Due(row.owner.removeprefix("merchant:"), row.currency, row.settled_to or 0, row.transfer_id,
            int(row.amount_minor), _reserve_plan(row))
        for row in await conn.execute(DUE_FOR_SETTLEMENT, {"limit": limit})
    ]  # fmt: skip


async def payable(conn: AsyncConnection, slot: str, limit: int) -> Sequence[Payable]:
    """Who is to be paid out by itself, and has not been in this slot."""
    found = await conn.execute(PAYABLE, {"slot": slot, "limit": limit})
    return [Payable(row.merchant_id, row.currency, row.destination) for row in found]


async def foreign(conn: AsyncConnection, after: Foreign | None, limit: int) -> Sequence[Foreign]:
    """Balances to be converted, from the one behind `after` on."""
    position = {
        "merchant_id": after.merchant_id if after else "",
        "currency": after.currency if after else "",
    }
    found = await conn.execute(FOREIGN, position | {"limit": limit})
    return [Foreign(row.merchant_id, row.currency, row.wanted, row.available_minor) for row in found]


async def lock(conn: AsyncConnection, ids: Collection[str]) -> dict[str, Settlement]:
    """How far merchants are settled, locked until the transaction ends; the first time from 0 on."""
    await conn.execute(OPEN_SETTLEMENTS, {"ids": sorted(ids)})
    found = await conn.execute(LOCK_SETTLEMENTS, {"ids": sorted(ids)})
    return {row.id: Settlement(row.id, row.transfer_id) for row in found}


def insert(writes: Writes, settlements: Iterable[Settlement]) -> None:
    rows.add(writes, _INSERT, map(asdict, settlements))


def update(writes: Writes, settlements: Iterable[Settlement]) -> None:
    rows.add(writes, _UPDATE, map(asdict, settlements))


def _reserve_plan(row: Row[Any]) -> ReservePlan | None:
    return ReservePlan(row.reserve_basis_points, row.reserve_days) if row.reserve_days else None
