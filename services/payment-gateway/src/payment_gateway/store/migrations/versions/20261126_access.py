"""Row-level security: who reads as payments_tenant sees the rows of one merchant.

Revision: 20261126_access
Expand only: payments_app, as which the version that runs now works, goes on seeing all rows.
"""

from alembic import op

revision = "20261126_access"
down_revision = "20261126_keys"
branch_labels = None
depends_on = None

# roles.sql makes the role. In the chart it runs when Postgres starts, which may be a moment after this job does.
WAIT_FOR_ROLE = """
    DO $$ BEGIN
        FOR attempt IN 1..60 LOOP
            EXIT WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = 'payments_tenant');
            PERFORM pg_sleep(0.5);
        END LOOP;
    END $$
"""

_MERCHANT = "current_setting('platform.merchant_id', true)"
_OWNERS = f"ANY (ARRAY['merchant:' || {_MERCHANT}, 'ledger:' || {_MERCHANT}])"
_OWN_ACCOUNTS = f"(SELECT id FROM payments.account WHERE owner = {_OWNERS})"  # noqa: S608
_BY_COLUMN = f"merchant_id = {_MERCHANT}"
# Either side of a transfer may be an account of the platform's; a merchant's other account is nobody else's to see.
_BY_ACCOUNT = f"debit_account_id IN {_OWN_ACCOUNTS} OR credit_account_id IN {_OWN_ACCOUNTS}"

VISIBLE = {
    **dict.fromkeys(
        (
            "payment",
            "refund",
            "customer",
            "payment_method",
            "setup_intent",
            "dispute",
            "payout",
            "merchant_terms",
            "journal",
            "outbox_event",
            "webhook_endpoint",
            "api_key",
        ),
        _BY_COLUMN,
    ),
    "account": f"owner = {_OWNERS} OR NOT (starts_with(owner, 'merchant:') OR starts_with(owner, 'ledger:'))",
    "transfer": _BY_ACCOUNT,
    "hold": _BY_ACCOUNT,
    "webhook_delivery": f"endpoint_id IN (SELECT id FROM payments.webhook_endpoint WHERE {_BY_COLUMN})",  # noqa: S608
    "webhook_attempt": "EXISTS (SELECT FROM payments.webhook_delivery d WHERE d.id = delivery_id)",
}


def upgrade() -> None:
    op.execute(WAIT_FOR_ROLE)
    for table, visible in VISIBLE.items():
        name = f"payments.{table}"
        op.execute(f"GRANT SELECT ON {name} TO payments_tenant")
        op.execute(f"CREATE POLICY all_rows ON {name} TO payments_app USING (true) WITH CHECK (true)")
        op.execute(f"CREATE POLICY own_rows ON {name} FOR SELECT TO payments_tenant USING ({visible})")
        op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
