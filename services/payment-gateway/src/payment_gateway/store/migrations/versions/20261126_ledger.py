"""The whole ledger: journals, holds, proofs on every transfer, ceilings, and a hash chain.

Revision: 20261126_ledger
Expand only: the version that runs now inserts transfers without journals, and may go on doing so.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261126_ledger"
down_revision = "20261126_money"
branch_labels = None
depends_on = None

# One check per statement, not per row: a flush writes any number of journals at the price of one.
JOURNAL_TRIGGERS = (
    """
    CREATE FUNCTION payments.check_journals() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE wrong text;
    BEGIN
        SELECT j.id INTO wrong FROM written j
        LEFT JOIN LATERAL (
            SELECT count(*) AS n, sum(t.amount_minor) AS total FROM payments.transfer t WHERE t.journal_id = j.id
        ) AS found ON true
        WHERE (found.n, found.total) IS DISTINCT FROM (j.transfer_count::bigint, j.amount_sum_minor::numeric) LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'journal % does not declare its transfers', wrong USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$
    """,
    "CREATE TRIGGER journal_declares_its_transfers AFTER INSERT ON payments.journal"
    " REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION payments.check_journals()",
    """
    CREATE FUNCTION payments.refuse_late_transfers() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE late text;
    BEGIN
        SELECT t.journal_id INTO late FROM written t JOIN payments.journal j ON j.id = t.journal_id LIMIT 1;
        IF FOUND THEN
            RAISE EXCEPTION 'journal % is complete', late USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$
    """,
    "CREATE TRIGGER transfer_comes_before_its_journal AFTER INSERT ON payments.transfer"
    " REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION payments.refuse_late_transfers()",
)
PRIVILEGES = (
    "REVOKE UPDATE, DELETE, TRUNCATE ON payments.transfer, payments.journal, payments.ledger_chain FROM payments_app",
    "REVOKE DELETE, TRUNCATE ON payments.hold FROM payments_app",
)

_ID = sa.String(collation="C")
_TIME = sa.DateTime(timezone=True)
_PROOF = (
    "debit_version",
    "debits_posted_after",
    "debits_pending_after",
    "credit_version",
    "credits_posted_after",
    "credits_pending_after",
)


def _account_key(table: str, side: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [f"{side}_account_id", "currency"],
        ["payments.account.id", "payments.account.currency"],
        name=op.f(f"{table}_{side}_account_id_currency_fkey"),
    )


def upgrade() -> None:
    op.add_column("account", sa.Column("ceiling_minor", sa.BigInteger(), nullable=True), schema="payments")
    op.add_column(
        "account",
        sa.Column("version", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        schema="payments",
    )
    op.create_check_constraint(
        op.f("account_not_above_ceiling_check"),
        "account",
        "ceiling_minor IS NULL OR credits_posted + credits_pending - debits_posted <= ceiling_minor",
        schema="payments",
    )
    op.add_column(
        "transfer",
        sa.Column("effective_at", _TIME, server_default=sa.text("now()"), nullable=False),
        schema="payments",
    )
    op.execute("UPDATE payments.transfer SET effective_at = recorded_at")
    op.add_column("transfer", sa.Column("hold_id", _ID, nullable=True), schema="payments")
    for column in _PROOF:
        op.add_column("transfer", sa.Column(column, sa.BigInteger(), nullable=True), schema="payments")
    for side in ("debit", "credit"):
        op.create_index(
            f"transfer_{side}_version_key",
            "transfer",
            [f"{side}_account_id", f"{side}_version"],
            unique=True,
            schema="payments",
        )
    op.create_index(
        "transfer_by_hold_idx",
        "transfer",
        ["hold_id"],
        schema="payments",
        postgresql_where=sa.text("hold_id IS NOT NULL"),
    )
    op.create_table(
        "journal",
        sa.Column("id", _ID, nullable=False),
        sa.Column("merchant_id", _ID, nullable=True),
        sa.Column("transfer_count", sa.Integer(), nullable=False),
        sa.Column("amount_sum_minor", sa.BigInteger(), nullable=False),
        sa.Column("reverses", _ID, nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("metadata", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("recorded_at", _TIME, server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("transfer_count > 0", name=op.f("journal_has_transfers_check")),
        sa.CheckConstraint("reverses <> id", name=op.f("journal_reverses_another_check")),
        sa.ForeignKeyConstraint(["reverses"], ["payments.journal.id"], name=op.f("journal_reverses_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("journal_pkey")),
        sa.UniqueConstraint("reverses", name=op.f("journal_reverses_key")),
        schema="payments",
    )
    op.create_index(
        "journal_by_merchant_idx",
        "journal",
        ["merchant_id", "id"],
        schema="payments",
        postgresql_where=sa.text("merchant_id IS NOT NULL"),
    )
    op.create_table(
        "hold",
        sa.Column("id", _ID, nullable=False),
        sa.Column("debit_account_id", sa.BigInteger(), nullable=False),
        sa.Column("credit_account_id", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("posted_minor", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("released_minor", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("expires_at", _TIME, nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created_at", _TIME, server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("hold_amount_is_positive_check")),
        sa.CheckConstraint("debit_account_id <> credit_account_id", name=op.f("hold_two_accounts_check")),
        sa.CheckConstraint(
            "posted_minor >= 0 AND released_minor >= 0 AND posted_minor + released_minor <= amount_minor",
            name=op.f("hold_within_amount_check"),
        ),
        sa.CheckConstraint(
            "state IN ('pending', 'posted', 'voided', 'expired')", name=op.f("hold_state_check")
        ),
        sa.CheckConstraint(
            "CASE state WHEN 'pending' THEN released_minor = 0 AND posted_minor < amount_minor"
            " WHEN 'posted' THEN posted_minor = amount_minor"
            " ELSE released_minor > 0 AND posted_minor + released_minor = amount_minor END",
            name=op.f("hold_state_fits_amounts_check"),
        ),
        _account_key("hold", "debit"),
        _account_key("hold", "credit"),
        sa.PrimaryKeyConstraint("id", name=op.f("hold_pkey")),
        schema="payments",
    )
    op.create_index(
        "hold_due_idx",
        "hold",
        ["expires_at"],
        schema="payments",
        postgresql_where=sa.text("state = 'pending' AND expires_at IS NOT NULL"),
    )
    op.create_table(
        "ledger_chain",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("transfer_id", sa.BigInteger(), nullable=False),
        sa.Column("previous", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("chained_at", _TIME, server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("position > 0", name=op.f("ledger_chain_position_is_positive_check")),
        sa.ForeignKeyConstraint(
            ["transfer_id"], ["payments.transfer.id"], name=op.f("ledger_chain_transfer_id_fkey")
        ),
        sa.PrimaryKeyConstraint("position", name=op.f("ledger_chain_pkey")),
        sa.UniqueConstraint("transfer_id", name=op.f("ledger_chain_transfer_id_key")),
        schema="payments",
    )
    op.create_index(
        "ledger_chain_by_time_idx", "ledger_chain", ["chained_at", "transfer_id"], schema="payments"
    )
    for statement in (*JOURNAL_TRIGGERS, *PRIVILEGES):
        op.execute(statement)
