"""A merchant's category, and every merchant told once as it is now: history begins with that.

Revision: 20261127_facts
Expand only: the version that runs now must work with the schema after this.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261127_facts"
down_revision = "20261127_risk_refusals"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("merchant", sa.Column("mcc", sa.String(4)), schema="payments")
    # As operations/merchant_events.py tells a change; what was true before now is not known.
    op.execute(
        """
        INSERT INTO payments.outbox_event (id, type, aggregate_id, merchant_id, data, occurred_at)
        SELECT 'evt_' || substr(m.id, 5), 'merchant.updated.v1', m.id, NULL,
               jsonb_build_object(
                   'merchant', jsonb_build_object(
                       'id', m.id, 'object', 'merchant', 'name', m.name, 'country', m.country, 'mcc', NULL,
                       'api_version', m.api_version,
                       'disabled_at', to_char(m.disabled_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                       'created_at', to_char(m.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
                   ),
                   'terms', jsonb_build_object(
                       'settlement_delay_days', coalesce(t.settlement_delay_days, 2),
                       'settlement_currency', t.settlement_currency, 'fee_plan', t.fee_plan,
                       'reserve', CASE WHEN t.reserve_days IS NOT NULL THEN jsonb_build_object(
                           'basis_points', t.reserve_basis_points, 'days', t.reserve_days) END
                   )
               ), now()
        FROM payments.merchant m LEFT JOIN payments.merchant_terms t ON t.merchant_id = m.id
        WHERE starts_with(m.id, 'mer_') ORDER BY m.id
        """
    )
