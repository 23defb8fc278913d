"""Card payments per merchant, as the enumeration detector wants to see them."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from risk_engine.domain.card_testing import FAILED_MIN, SMALL_MINOR, MerchantCards

# Merchants with enough failures first (payment_outcome_occurred_at_idx, assessment_created_at_idx): only theirs are
# opened as JSON. What came of a payment is found by the primary key of payment_outcome.
MERCHANTS = text(f"""
    WITH failing AS (
        SELECT merchant_id FROM (
            SELECT merchant_id FROM risk.payment_outcome
            WHERE occurred_at >= :since AND outcome = 'declined' AND NOT is_own_block
            UNION ALL
            SELECT merchant_id FROM risk.assessment WHERE created_at >= :since AND decision = 'block'
        ) AS failed GROUP BY merchant_id HAVING count(*) >= {FAILED_MIN}
    )
    SELECT a.merchant_id, count(*) AS attempts, count(DISTINCT a.request ->> 'card') AS cards,
           count(DISTINCT a.request ->> 'device') AS devices, count(DISTINCT a.request ->> 'ip') AS ips,
           count(*) FILTER (WHERE CAST(a.facts ->> 'amount_reference_minor' AS bigint) BETWEEN 1 AND {SMALL_MINOR})
               AS small,
           count(*) FILTER (WHERE a.decision = 'block' OR EXISTS (
               SELECT FROM risk.payment_outcome o WHERE o.payment_id = a.payment_id AND o.outcome = 'declined'))
               AS failed
    FROM risk.assessment a JOIN failing USING (merchant_id)
    WHERE a.created_at >= :since AND a.request ->> 'card' IS NOT NULL
    GROUP BY a.merchant_id
""")  # noqa: S608 - our own constants


async def merchant_cards(conn: AsyncConnection, since: datetime) -> list[MerchantCards]:
    """The merchants whose payments since then failed often enough to be looked at."""
    return [MerchantCards(**row._mapping) for row in await conn.execute(MERCHANTS, {"since": since})]
