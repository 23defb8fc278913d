"""Replay into copies: the two functions look themselves whether they may.

Revision: 20261127_62
Expand only: the version that runs now must work with the schema after this.

Whoever has the program's role can call them: a replay that nobody asked for must not get an empty copy into the place
of facts that can only be added to. And a migration may change a table while its copy is being built: then the copy has
the old shape, and must not take the new one's place.
"""

# ruff: noqa: S608 - the lists of tables are constants of this file

from alembic import op

revision = "20261127_62"
down_revision = "20261127_50"
branch_labels = None
depends_on = None

TABLES = (
    "ARRAY['fact_payment', 'fact_refund', 'fact_transfer', 'fact_assessment', 'rollup', 'rollup_latency']"
)
APPEND_ONLY = "ARRAY['fact_transfer', 'fact_assessment']"


def _shape(table: str) -> str:
    """Columns by their order, CHECK constraints and indexes of a table, a copy's names without their prefix."""
    return f"""
        SELECT array_agg(p.part) FROM (
            SELECT format('column %s %s %s%s%s', row_number() OVER (ORDER BY a.attnum), a.attname,
                          format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN ' NOT NULL' END,
                          ' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid))
            FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
            WHERE a.attrelid = {table}::regclass AND a.attnum > 0 AND NOT a.attisdropped
            UNION ALL
            SELECT format('constraint %s %s', c.conname, pg_get_expr(c.conbin, c.conrelid))
            FROM pg_constraint c WHERE c.conrelid = {table}::regclass AND c.contype = 'c'
            UNION ALL
            SELECT format('index %s', regexp_replace(i.relname, '^rebuilt_', ''))
            FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = {table}::regclass
        ) p (part)
    """


def upgrade() -> None:
    op.execute(
        f"""
        CREATE OR REPLACE FUNCTION pipeline.begin_replay() RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pipeline, pg_temp AS $$
        DECLARE name text; found_index record;
        BEGIN
            PERFORM FROM pipeline.replay_run WHERE open_slot = 1 AND state = 'requested' FOR UPDATE;
            IF NOT FOUND THEN
                RAISE EXCEPTION 'No replay is requested: no copies are made.';
            END IF;
            FOREACH name IN ARRAY {TABLES} LOOP
                EXECUTE format('DROP TABLE IF EXISTS pipeline.%I', 'previous_' || name);
                EXECUTE format('DROP TABLE IF EXISTS pipeline.%I', 'rebuilt_' || name);
                EXECUTE format('CREATE TABLE pipeline.%I (LIKE pipeline.%I INCLUDING ALL EXCLUDING INDEXES)',
                               'rebuilt_' || name, name);
                FOR found_index IN
                    SELECT i.relname AS index, pg_get_indexdef(i.oid) AS definition,
                           pg_get_constraintdef(c.oid) AS keyed
                    FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
                    LEFT JOIN pg_constraint c ON c.conindid = i.oid AND c.contype IN ('p', 'u')
                    WHERE x.indrelid = ('pipeline.' || name)::regclass
                LOOP
                    IF found_index.keyed IS NOT NULL THEN
                        EXECUTE format('ALTER TABLE pipeline.%I ADD CONSTRAINT %I %s',
                                       'rebuilt_' || name, 'rebuilt_' || found_index.index, found_index.keyed);
                    ELSE
                        EXECUTE replace(found_index.definition, found_index.index || ' ON pipeline.' || name || ' ',
                                        'rebuilt_' || found_index.index || ' ON pipeline.rebuilt_' || name || ' ');
                    END IF;
                END LOOP;
            END LOOP;
        END $$
        """
    )
    op.execute(
        f"""
        CREATE OR REPLACE FUNCTION pipeline.swap_replayed() RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pipeline, pg_temp
        SET lock_timeout = '5s' AS $$
        DECLARE name text; found_index record; live text[]; rebuilt text[]; is_emptied boolean;
        BEGIN
            PERFORM FROM pipeline.replay_run WHERE open_slot = 1 AND state = 'building' FOR UPDATE;
            IF NOT FOUND THEN
                RAISE EXCEPTION 'No replay is being built: nothing is swapped.';
            END IF;
            -- In one order, the consumer's cursors are held already: nobody waits crosswise.
            FOREACH name IN ARRAY {TABLES} LOOP
                EXECUTE format('LOCK TABLE pipeline.%I IN ACCESS EXCLUSIVE MODE', name);
            END LOOP;
            FOREACH name IN ARRAY {TABLES} LOOP
                IF to_regclass('pipeline.rebuilt_' || name) IS NULL THEN
                    RAISE EXCEPTION 'There is no copy of %: nothing is swapped.', name;
                END IF;
                live := ({_shape("('pipeline.' || name)")});
                rebuilt := ({_shape("('pipeline.rebuilt_' || name)")});
                IF NOT (live @> rebuilt AND rebuilt @> live) THEN
                    RAISE EXCEPTION '% was changed while its copy was built (%): start the replay again.', name, (
                        SELECT string_agg(part, '; ') FROM (
                            (SELECT unnest(live) EXCEPT SELECT unnest(rebuilt))
                            UNION (SELECT unnest(rebuilt) EXCEPT SELECT unnest(live))
                        ) p (part)
                    );
                END IF;
                EXECUTE format('SELECT EXISTS (SELECT FROM pipeline.%I) AND NOT EXISTS (SELECT FROM pipeline.%I)',
                               name, 'rebuilt_' || name) INTO is_emptied;
                IF is_emptied THEN
                    RAISE EXCEPTION 'The copy of % is empty and the table is not: nothing is swapped.', name;
                END IF;
            END LOOP;
            FOREACH name IN ARRAY {TABLES} LOOP
                FOR found_index IN SELECT indexrelid::regclass::text AS index FROM pg_index
                                   WHERE indrelid = ('pipeline.' || name)::regclass LOOP
                    EXECUTE format('ALTER INDEX pipeline.%I RENAME TO %I',
                                   found_index.index, 'previous_' || found_index.index);
                END LOOP;
                EXECUTE format('ALTER TABLE pipeline.%I RENAME TO %I', name, 'previous_' || name);
                EXECUTE format('ALTER TABLE pipeline.%I RENAME TO %I', 'rebuilt_' || name, name);
                FOR found_index IN SELECT indexrelid::regclass::text AS index FROM pg_index
                                   WHERE indrelid = ('pipeline.' || name)::regclass LOOP
                    EXECUTE format('ALTER INDEX pipeline.%I RENAME TO %I', found_index.index,
                                   regexp_replace(found_index.index, '^rebuilt_', ''));
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
