"""Roll-up of the ledger's accounts, and the indexes by which an account's entries are found.

Revision: 20261127_73
Expand only: the version that runs now must work with the schema after this. It writes no such rows; the first batch of
the next version makes them from the transfers.

The two functions of a replay take their list of tables from a third one now: the next table is one line.
"""

from alembic import op

revision = "20261127_73"
down_revision = "20261127_61"
branch_labels = None
depends_on = None

WERE = "ARRAY['fact_payment', 'fact_refund', 'fact_transfer', 'fact_assessment', 'rollup', 'rollup_latency']"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE pipeline.rollup_account (
            account varchar COLLATE "C" NOT NULL,
            currency varchar COLLATE "C" NOT NULL,
            period varchar COLLATE "C" NOT NULL,
            bucket_at timestamptz NOT NULL,
            debits_minor bigint NOT NULL,
            credits_minor bigint NOT NULL,
            debits_held_minor bigint NOT NULL,
            credits_held_minor bigint NOT NULL,
            entry_count bigint NOT NULL,
            CONSTRAINT rollup_account_pkey PRIMARY KEY (account, currency, period, bucket_at),
            CONSTRAINT rollup_account_period_check CHECK (period IN ('all', 'day', 'hour')),
            CONSTRAINT rollup_account_counters_check
                CHECK (debits_minor >= 0 AND credits_minor >= 0 AND entry_count > 0)
        ) WITH (fillfactor = 70)
        """
    )
    op.execute(
        "CREATE INDEX rollup_account_period_idx"
        " ON pipeline.rollup_account (period, bucket_at, account, currency)"
    )
    for side in ("debit", "credit"):
        op.execute(
            f"CREATE INDEX fact_transfer_{side}_idx"
            f" ON pipeline.fact_transfer ({side}, currency, occurred_at, position, line)"
        )
    op.execute("CREATE INDEX fact_transfer_time_idx ON pipeline.fact_transfer USING brin (occurred_at)")
    op.execute(
        f"""
        CREATE FUNCTION pipeline.replayed_tables() RETURNS text[]
        LANGUAGE sql IMMUTABLE RETURN {WERE} || 'rollup_account'::text
        """
    )
    op.execute("REVOKE ALL ON FUNCTION pipeline.replayed_tables() FROM PUBLIC")
    for function in ("begin_replay", "swap_replayed"):
        op.execute(
            f"""
            DO $body$
            DECLARE is_now text := pg_get_functiondef('pipeline.{function}()'::regprocedure);
                    becomes text := replace(is_now, $list${WERE}$list$, 'pipeline.replayed_tables()');
            BEGIN
                IF becomes = is_now THEN
                    RAISE EXCEPTION '{function} does not list the tables as expected';
                END IF;
                EXECUTE becomes;
            END $body$
            """
        )
