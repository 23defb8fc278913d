"""How the payments of cases stand at the gateway, as its events tell. The order of locks is that of store/cases.py."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from risk_engine.domain.case_effects import ENDED, PaymentStatus
from risk_engine.domain.cases import Case
from risk_engine.store.cases import LOCK_UNCLOSED, case_of

# By primary key, or by case_payment_payment_id_idx where the gateway decided alone. A payment that was sent again after
# a lost answer has another id than the one that was assessed: it is known by its assessment, and the case learns its
# id. An event that comes late changes nothing.
MOVE_PAYMENTS = text("""
    UPDATE risk.case_payment p
    SET payment_status = new.status, payment_version = new.version, is_manual = new.is_manual,
        payment_id = new.payment_id
    FROM unnest(CAST(:payment_id AS text[]), CAST(:assessment_id AS text[]), CAST(:status AS text[]),
                CAST(:version AS int[]), CAST(:is_manual AS boolean[]))
      AS new (payment_id, assessment_id, status, version, is_manual)
    WHERE p.assessment_id = coalesce(
            (SELECT one.assessment_id FROM risk.case_payment one WHERE one.assessment_id = new.assessment_id),
            (SELECT one.assessment_id FROM risk.case_payment one WHERE one.payment_id = new.payment_id LIMIT 1))
      AND p.payment_version < new.version
    RETURNING p.case_id
""")

# Of these cases, locked already, those in which no payment can be taken or given up any more. A statement of its own:
# one that waits for a row's lock looks again at the row, and not at the payments that were added meanwhile.
WITHOUT_MONEY = text("""
    SELECT c.id FROM unnest(CAST(:ids AS text[])) AS c (id)
    WHERE NOT EXISTS (SELECT 1 FROM risk.case_payment p
                      WHERE p.case_id = c.id AND p.payment_status <> ALL (CAST(:ended AS text[])))
""")


@dataclass(frozen=True, slots=True)
class Moved:
    """How a payment stands now, by one of the gateway's events; `version` grows with each of its changes."""

    payment_id: str
    assessment_id: str | None  # None: the gateway decided alone
    status: PaymentStatus
    version: int
    is_manual: bool


async def move_payments(conn: AsyncConnection, moved: Sequence[Moved]) -> Sequence[Case]:
    """Note how payments of cases stand; returns, under their locks, the unclosed cases in which nothing is left to
    decide. `moved` has each payment once."""
    ordered = sorted(moved, key=lambda one: one.payment_id)
    columns = [asdict(one) for one in ordered]
    names = ("payment_id", "assessment_id", "status", "version", "is_manual")
    values = {name: [one[name] for one in columns] for name in names}
    touched = {row.case_id for row in await conn.execute(MOVE_PAYMENTS, values)}
    if not touched:
        return []
    unclosed = {row.id: row for row in await conn.execute(LOCK_UNCLOSED, {"ids": sorted(touched)})}
    ended = await conn.scalars(WITHOUT_MONEY, {"ids": sorted(unclosed), "ended": sorted(ENDED)})
    return [case_of(unclosed[case_id]) for case_id in sorted(ended)]
