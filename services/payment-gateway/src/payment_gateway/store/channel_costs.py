"""What channels took in since their cost was last booked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# A charge is one journal, whatever its legs (price, surcharge). Transfers of one account are numbered in the order of
# their commits (its row was locked), so nothing can turn up below the last number later. Grouped by amount: a day of
# charges is few rows. transfer_by_debit_idx. What the platform books there by itself is no charge of a payer.
DUE_COSTS = text("""
    SELECT a.owner, a.currency, COALESCE(s.transfer_id, 0) AS booked_to, charge.amount_minor,
        count(*) AS charges, max(charge.transfer_id) AS transfer_id
    FROM payments.account a
    LEFT JOIN payments.settlement s ON s.id = a.owner || ':' || a.currency
    CROSS JOIN LATERAL (
        SELECT sum(t.amount_minor)::bigint AS amount_minor, max(t.id) AS transfer_id
        FROM payments.transfer t JOIN payments.account o ON o.id = t.credit_account_id
        WHERE t.debit_account_id = a.id AND t.id > COALESCE(s.transfer_id, 0) AND t.kind IN ('posted', 'post')
          AND o.owner <> 'platform'
        GROUP BY t.journal_id
    ) AS charge
    WHERE a.kind = 'receivable' AND a.owner LIKE 'channel:%'
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 4
""")


@dataclass(frozen=True, slots=True)
class DueCosts:
    """Charges of one channel and currency whose cost is not booked: those after the transfer `booked_to`, up to
    `transfer_id`, as (amount in minor units, how many of it)."""

    channel: str
    currency: str
    booked_to: int
    transfer_id: int
    charges: tuple[tuple[int, int], ...]


async def due(conn: AsyncConnection) -> Sequence[DueCosts]:
    """All of it, one for each channel and currency."""
    found = (await conn.execute(DUE_COSTS)).all()
    costs = []
    for (owner, currency, booked_to), group in groupby(
        found, key=lambda row: (row.owner, row.currency, row.booked_to)
    ):
        rows = list(group)
        costs.append(
            DueCosts(
                channel=owner.removeprefix("channel:"),
                currency=currency,
                booked_to=booked_to,
                transfer_id=max(row.transfer_id for row in rows),
                charges=tuple((row.amount_minor, row.charges) for row in rows),
            )
        )
    return costs
