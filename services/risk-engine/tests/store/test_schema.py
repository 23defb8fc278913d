"""What the database itself refuses, and that the migration is the schema of the code."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from risk_rig import an_assessment, settings_for
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine

from platform_cli.embedded.testing import FreshDatabase
from platform_kit.db import create_engine, sqlstate
from risk_engine import store
from risk_engine.operations.deps import Deps
from risk_engine.store import tables
from risk_engine.store.assessment_flush import flush, new_row

PERMISSION_DENIED = "42501"


async def test_the_migration_makes_the_schema_of_the_code(fresh_database: FreshDatabase) -> None:
    database = await fresh_database("risk")

    def differences(connection: Connection) -> list[object]:
        options = {
            "include_schemas": True,
            "include_name": lambda name, kind, _: kind != "schema" or name == tables.SCHEMA,
            "version_table_schema": tables.SCHEMA,
        }
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), tables.metadata))

    # As superuser: for the owner the schema is the default one, and Alembic would call it None.
    engine = create_async_engine(database.admin_url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


@pytest.mark.parametrize("table", tables.APPEND_ONLY)
@pytest.mark.parametrize(
    "statement", ["UPDATE risk.{} SET {} = {}", "DELETE FROM risk.{}", "TRUNCATE risk.{}"]
)
async def test_the_program_cannot_edit_or_delete_what_it_decided(
    deps: Deps, table: str, statement: str
) -> None:
    column = tables.metadata.tables[f"risk.{table}"].columns.keys()[1]
    with pytest.raises(DBAPIError) as refused:
        async with deps.engine.begin() as conn:
            await conn.execute(text(statement.format(table, column, column)))
    assert sqlstate(refused.value) == PERMISSION_DENIED


async def test_the_program_may_number_events_and_not_edit_them(deps: Deps) -> None:
    async with deps.engine.begin() as conn:
        await conn.execute(text("UPDATE risk.outbox_event SET position = 1 WHERE false"))
    with pytest.raises(DBAPIError) as refused:
        async with deps.engine.begin() as conn:
            await conn.execute(text("UPDATE risk.outbox_event SET type = 'x' WHERE false"))
    assert sqlstate(refused.value) == PERMISSION_DENIED


@pytest.mark.parametrize("role", ["payments_app", "pipeline_app"])
async def test_another_service_sees_nothing_of_this_schema(fresh_database: FreshDatabase, role: str) -> None:
    database = await fresh_database("risk")
    engine = create_engine(settings_for(database.url(role), "redis://127.0.0.1:1"))
    with pytest.raises(DBAPIError) as refused:
        async with engine.connect() as conn:
            await conn.execute(text("SELECT 1 FROM risk.assessment"))
    await engine.dispose()
    assert sqlstate(refused.value) == PERMISSION_DENIED


@pytest.mark.parametrize(("column", "value"), [("decision", "maybe"), ("score", 101), ("score", -1)])
async def test_the_database_refuses_what_the_domain_rules_out(deps: Deps, column: str, value: object) -> None:
    async with deps.engine.begin() as conn:
        await flush(conn, [new_row(an_assessment(), float("inf"))])
    copied = ", ".join(
        f":{name}" if name in (column, "id", "idempotency_key") else name
        for name in tables.assessment.columns.keys()  # noqa: SIM118 - a collection of columns, no dict
    )
    insert = text(f"INSERT INTO risk.assessment SELECT {copied} FROM risk.assessment")
    with pytest.raises(IntegrityError):
        async with deps.engine.begin() as conn:
            await conn.execute(insert, {"id": "asm_copy", "idempotency_key": "copy", column: value})


async def test_lists_and_look_ups_use_their_indexes(deps: Deps) -> None:
    """With sequential scans switched off a plan shows whether an index can serve the query at all."""
    plans = {
        "assessment_pkey": "SELECT 1 FROM risk.assessment WHERE id < 'asm_~' ORDER BY id DESC LIMIT 20",
        "assessment_decision_id_idx": (
            "SELECT 1 FROM risk.assessment WHERE decision = 'block' AND id < 'asm_~' ORDER BY id DESC LIMIT 20"
        ),
        "assessment_created_at_idx": (
            "SELECT decision, count(*) FROM risk.assessment WHERE created_at >= now() - interval '5 min' GROUP BY 1"
        ),
        "assessment_to_explain_idx": (
            "SELECT id FROM risk.assessment a WHERE decision <> 'allow' AND model = 'm' AND id > 'asm_' AND NOT EXISTS "
            "(SELECT 1 FROM risk.explanation e WHERE e.assessment_id = a.id) ORDER BY id LIMIT 100"
        ),
        "payment_outcome_seq_key": "SELECT 1 FROM risk.payment_outcome WHERE seq > 5 ORDER BY seq LIMIT 10",
        "decision_difference_found_at_idx": (
            "SELECT 1 FROM risk.decision_difference WHERE found_at > now() - interval '1 hour'"
            " ORDER BY found_at DESC LIMIT 9"
        ),
        "review_case_due_idx": (
            "SELECT 1 FROM risk.review_case WHERE status <> 'closed' AND (due_at, id) > (now(), 'cas_1') "
            "ORDER BY due_at, id LIMIT 20"
        ),
        "review_case_assignee_due_idx": (
            "SELECT 1 FROM risk.review_case WHERE status <> 'closed' AND assignee = 'ada' ORDER BY due_at, id LIMIT 20"
        ),
        "review_case_status_id_idx": (
            "SELECT 1 FROM risk.review_case WHERE status = 'closed' AND id < 'cas_~' ORDER BY id DESC LIMIT 20"
        ),
        "case_payment_case_id_idx": "SELECT 1 FROM risk.case_payment WHERE case_id = 'cas_1' ORDER BY assessment_id",
        "case_payment_payment_id_idx": "SELECT 1 FROM risk.case_payment WHERE payment_id = 'pay_1'",
        "case_act_case_id_idx": "SELECT 1 FROM risk.case_act WHERE case_id = 'cas_1' ORDER BY id DESC LIMIT 9",
        "alert_open_idx": "SELECT 1 FROM risk.alert WHERE status <> 'resolved' AND kind = 'k' AND scope = ''",
        "alert_status_id_idx": (
            "SELECT 1 FROM risk.alert WHERE id < 'alr_~' AND status = 'firing' ORDER BY id DESC LIMIT 20"
        ),
        "alert_act_alert_id_idx": "SELECT 1 FROM risk.alert_act WHERE alert_id = 'alr_1' ORDER BY id",
        "alert_delivery_due_idx": (
            "SELECT 1 FROM risk.alert_delivery WHERE channel = 'c' AND status = 'due' AND due_at <= now()"
            " ORDER BY due_at LIMIT 10"
        ),
        "alert_delivery_alert_id_idx": "SELECT 1 FROM risk.alert_delivery WHERE alert_id = 'alr_1' ORDER BY id",
        "drift_reference_model_id_idx": (
            "SELECT 1 FROM risk.drift_reference WHERE model = 'm' ORDER BY id DESC LIMIT 1"
        ),
        "decision_minute_pkey": "SELECT 1 FROM risk.decision_minute WHERE minute > now() - interval '6 hours'",
        "rule_set_publication_pkey": "SELECT rule_set FROM risk.rule_set_publication ORDER BY id DESC LIMIT 1",
    }
    async with deps.engine.begin() as conn:
        await conn.execute(text("SET LOCAL enable_seqscan = off"))
        for index, query in plans.items():
            plan = "\n".join((await conn.scalars(text(f"EXPLAIN {query}"))).all())
            assert index in plan, plan


def test_migrations_are_packaged_with_the_code_and_make_one_chain() -> None:
    scripts = ScriptDirectory(str(Path(store.__file__).parent / "migrations"))
    revisions = [revision.revision for revision in scripts.walk_revisions()]
    assert len(scripts.get_heads()) == 1
    assert revisions == sorted(revisions, reverse=True)
    assert revisions[-1] == "0001"
