"""What a Stripe-shaped endpoint asked for, in Stripe's words: one of our types is told under several of them.

Revision: 20261128_gw5
Expand only: the version that runs now must work with the schema after this.
"""

import sqlalchemy as sa
from alembic import op

revision = "20261128_gw5"
down_revision = "20261128_gw2"
branch_labels = None
depends_on = None

# Endpoints of before heard of these types under these names alone; more is told to those who ask for it.
HEARD = """
    UPDATE payments.webhook_endpoint AS endpoint SET event_names = (
        SELECT array_agg(DISTINCT heard.name ORDER BY heard.name)
        FROM (VALUES
            ('payment.created.v1', 'payment_intent.created'),
            ('payment.confirmed.v1', 'payment_intent.processing'),
            ('payment.unknown.v1', 'payment_intent.processing'),
            ('payment.requires_action.v1', 'payment_intent.requires_action'),
            ('payment.authorised.v1', 'payment_intent.amount_capturable_updated'),
            ('payment.captured.v1', 'payment_intent.succeeded'),
            ('payment.captured.v1', 'charge.captured'),
            ('payment.declined.v1', 'payment_intent.payment_failed'),
            ('payment.failed.v1', 'payment_intent.payment_failed'),
            ('payment.cancelled.v1', 'payment_intent.canceled'),
            ('payment.voided.v1', 'payment_intent.canceled'),
            ('payment.expired.v1', 'payment_intent.canceled'),
            ('refund.created.v1', 'refund.created'),
            ('refund.succeeded.v1', 'refund.updated'),
            ('refund.failed.v1', 'refund.failed'),
            ('dispute.opened.v1', 'charge.dispute.created'),
            ('dispute.updated.v1', 'charge.dispute.updated'),
            ('dispute.won.v1', 'charge.dispute.closed'),
            ('dispute.lost.v1', 'charge.dispute.closed'),
            ('payout.created.v1', 'payout.created'),
            ('payout.in_transit.v1', 'payout.updated'),
            ('payout.paid.v1', 'payout.paid'),
            ('payout.failed.v1', 'payout.failed'),
            ('payout.returned.v1', 'payout.failed'),
            ('payout.cancelled.v1', 'payout.canceled')
        ) AS heard (type, name)
        WHERE heard.type = ANY(endpoint.event_types))
    WHERE style = 'stripe' AND event_types IS NOT NULL"""


def upgrade() -> None:
    names: sa.Column[list[str]] = sa.Column(
        "event_names",
        sa.ARRAY(sa.String),
        comment="what of event_types, in the words of its style; null = all",
    )
    op.add_column("webhook_endpoint", names, schema="payments")
    op.execute(HEARD)
