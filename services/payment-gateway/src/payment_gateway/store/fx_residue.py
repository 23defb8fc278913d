"""What rounding has left of conversions: the part that is carried on, and whether the rounding account agrees."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.fx import ATTO, Rate, Residue
from payment_gateway.store import rows
from payment_gateway.store.tables import fx_residue as table
from platform_kit.writes import Writes

# A row that is not there cannot be locked: two first conversions into a currency would both begin at nothing.
OPEN_RESIDUES = text(
    "INSERT INTO payments.fx_residue (id, carried_atto) SELECT id, 0 FROM unnest(CAST(:ids AS text[])) AS new (id)"
    " ON CONFLICT (id) DO NOTHING"
)
LOCK_RESIDUES = text(
    "SELECT id, carried_atto FROM payments.fx_residue WHERE id = ANY(CAST(:ids AS text[])) ORDER BY id FOR UPDATE"
)
# Both legs as the merchant sees them: what it sold, what it bought; negative when a debt was converted. Of the
# transfers, not of what the journal says about itself; a leg that somebody took away moved nothing.
CONVERSIONS = text("""
    SELECT j.metadata,
        COALESCE(sum(CASE d.kind WHEN 'available' THEN t.amount_minor ELSE -t.amount_minor END)
            FILTER (WHERE t.currency = j.metadata ->> 'sell'), 0) AS sold_minor,
        COALESCE(sum(CASE c.kind WHEN 'available' THEN t.amount_minor ELSE -t.amount_minor END)
            FILTER (WHERE t.currency = j.metadata ->> 'buy'), 0) AS bought_minor
    FROM payments.journal j JOIN payments.transfer t ON t.journal_id = j.id
    JOIN payments.account d ON d.id = t.debit_account_id JOIN payments.account c ON c.id = t.credit_account_id
    WHERE j.merchant_id IS NULL AND j.metadata ? 'residue_atto' AND 'available' IN (d.kind, c.kind)
    GROUP BY j.id
""")
# Either may be there alone once somebody has written past us.
BOOKED = text("""
    SELECT id, COALESCE(r.carried_atto, 0) AS carried_atto, COALESCE(a.booked_minor, 0) AS booked_minor
    FROM payments.fx_residue r FULL JOIN (
        SELECT currency AS id, credits_posted - debits_posted AS booked_minor
        FROM payments.account WHERE (owner, kind) = ('platform', 'fx_rounding')) AS a USING (id)
    ORDER BY id
""")

_INSERT = rows.insert_statement(table)
_UPDATE = rows.update_statement(table, ("carried_atto",))


@dataclass(frozen=True, slots=True)
class Rounding:
    """The rounding account of a currency beside the conversions that explain it."""

    currency: str
    booked_minor: int
    carried_atto: int
    conversions: int
    residue_atto: int
    """Recomputed from the conversions: their rates and what their transfers moved."""

    @property
    def explained(self) -> bool:
        return self.booked_minor * ATTO + self.carried_atto == self.residue_atto


async def lock(conn: AsyncConnection, ids: Collection[str]) -> dict[str, Residue]:
    """What is carried in these currencies, locked until the transaction ends; the first time nothing."""
    await conn.execute(OPEN_RESIDUES, {"ids": sorted(ids)})
    return {
        row.id: Residue(row.id, row.carried_atto)
        for row in await conn.execute(LOCK_RESIDUES, {"ids": sorted(ids)})
    }


def insert(writes: Writes, residues: Iterable[Residue]) -> None:
    rows.add(writes, _INSERT, map(asdict, residues))


def update(writes: Writes, residues: Iterable[Residue]) -> None:
    rows.add(writes, _UPDATE, map(asdict, residues))


async def roundings(conn: AsyncConnection) -> Sequence[Rounding]:
    """Every currency into which something was converted; call it in one REPEATABLE READ transaction."""
    residues: dict[str, list[int]] = defaultdict(list)
    for told, sold_minor, bought_minor in await conn.execute(CONVERSIONS):
        rate = Rate(
            told["sell"], told["buy"], int(told["numerator"]), int(told["denominator"]), told["source"],
            datetime.fromisoformat(told["at"]),
        )  # fmt: skip
        residues[rate.buy].append(rate.residue_atto(int(sold_minor), int(bought_minor)))
    return [
        Rounding(
            row.id, int(row.booked_minor), row.carried_atto, len(residues[row.id]), sum(residues[row.id])
        )
        for row in await conn.execute(BOOKED)
    ]
