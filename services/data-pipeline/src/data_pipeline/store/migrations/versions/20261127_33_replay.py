"""Replay into copies: who asked for it, how far it is, and the two functions that may make and swap tables.

Revision: 20261127_33
Expand only: the version that runs now must work with the schema after this.

The program may not create or rename tables. These functions run as the owner and take no argument: the program can ask
for exactly this, and for nothing else.
"""

# ruff: noqa: S608 - the lists of tables are constants of this file

from alembic import op

revision = "20261127_33"
down_revision = "20261127_32"
branch_labels = None
depends_on = None

TABLES = (
    "ARRAY['fact_payment', 'fact_refund', 'fact_transfer', 'fact_assessment', 'rollup', 'rollup_latency']"
)
APPEND_ONLY = "ARRAY['fact_transfer', 'fact_assessment']"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE pipeline.replay_run (
            id varchar COLLATE "C" CONSTRAINT replay_run_pkey PRIMARY KEY,
            state varchar COLLATE "C" NOT NULL,
            actor varchar COLLATE "C" NOT NULL,
            reason varchar NOT NULL,
            may_differ boolean NOT NULL,
            open_slot smallint CONSTRAINT replay_run_open_slot_key UNIQUE,
            started_at timestamptz NOT NULL,
            finished_at timestamptz,
            row_count bigint NOT NULL DEFAULT 0,
            done_count bigint NOT NULL DEFAULT 0,
            refused_count bigint NOT NULL DEFAULT 0,
            totals json,
            detail varchar,
            CONSTRAINT replay_run_state_check
                CHECK (state IN ('building', 'cancelled', 'differs', 'failed', 'requested', 'swapped')),
            CONSTRAINT replay_run_open_check CHECK ((open_slot IS NULL) = (finished_at IS NOT NULL))
        )
        """
    )
    op.execute(
        """
        CREATE TABLE pipeline.replay_file (
            run_id varchar COLLATE "C" NOT NULL,
            path varchar COLLATE "C" NOT NULL,
            is_done boolean NOT NULL DEFAULT false,
            CONSTRAINT replay_file_pkey PRIMARY KEY (run_id, path)
        )
        """
    )
    op.execute(
        f"""
        CREATE FUNCTION pipeline.begin_replay() RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pipeline, pg_temp AS $$
        DECLARE name text; found record;
        BEGIN
            FOREACH name IN ARRAY {TABLES} LOOP
                EXECUTE format('DROP TABLE IF EXISTS pipeline.%I', 'previous_' || name);
                EXECUTE format('DROP TABLE IF EXISTS pipeline.%I', 'rebuilt_' || name);
                EXECUTE format('CREATE TABLE pipeline.%I (LIKE pipeline.%I INCLUDING ALL EXCLUDING INDEXES)',
                               'rebuilt_' || name, name);
                FOR found IN
                    SELECT i.relname AS index, pg_get_indexdef(i.oid) AS definition,
                           pg_get_constraintdef(c.oid) AS keyed
                    FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
                    LEFT JOIN pg_constraint c ON c.conindid = i.oid AND c.contype IN ('p', 'u')
                    WHERE x.indrelid = ('pipeline.' || name)::regclass
                LOOP
                    IF found.keyed IS NOT NULL THEN
                        EXECUTE format('ALTER TABLE pipeline.%I ADD CONSTRAINT %I %s',
                                       'rebuilt_' || name, 'rebuilt_' || found.index, found.keyed);
                    ELSE
                        EXECUTE replace(found.definition, found.index || ' ON pipeline.' || name || ' ',
                                        'rebuilt_' || found.index || ' ON pipeline.rebuilt_' || name || ' ');
                    END IF;
                END LOOP;
            END LOOP;
        END $$
        """
    )
    op.execute(
        f"""
        CREATE FUNCTION pipeline.swap_replayed() RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pipeline, pg_temp
        SET lock_timeout = '5s' AS $$
        DECLARE name text; found record;
        BEGIN
            -- In one order, the consumer's cursors are held already: nobody waits crosswise.
            FOREACH name IN ARRAY {TABLES} LOOP
                EXECUTE format('LOCK TABLE pipeline.%I IN ACCESS EXCLUSIVE MODE', name);
            END LOOP;
            FOREACH name IN ARRAY {TABLES} LOOP
                FOR found IN SELECT indexrelid::regclass::text AS index FROM pg_index
                             WHERE indrelid = ('pipeline.' || name)::regclass LOOP
                    EXECUTE format('ALTER INDEX pipeline.%I RENAME TO %I', found.index, 'previous_' || found.index);
                END LOOP;
                EXECUTE format('ALTER TABLE pipeline.%I RENAME TO %I', name, 'previous_' || name);
                EXECUTE format('ALTER TABLE pipeline.%I RENAME TO %I', 'rebuilt_' || name, name);
                FOR found IN SELECT indexrelid::regclass::text AS index FROM pg_index
                             WHERE indrelid = ('pipeline.' || name)::regclass LOOP
                    EXECUTE format('ALTER INDEX pipeline.%I RENAME TO %I', found.index,
                                   regexp_replace(found.index, '^rebuilt_', ''));
                END LOOP;
                EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON pipeline.%I FROM pipeline_app',
                               'previous_' || name);
            END LOOP;
            FOREACH name IN ARRAY {APPEND_ONLY} LOOP
                EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON pipeline.%I FROM pipeline_app', name);
            END LOOP;
        END $$
        """
    )
    for function in ("begin_replay", "swap_replayed"):
        op.execute(f"REVOKE ALL ON FUNCTION pipeline.{function}() FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION pipeline.{function}() TO pipeline_app")
