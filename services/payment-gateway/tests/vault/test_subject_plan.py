"""Whoever pays for the first time waits for the vault: that must not take longer with each customer that it knows."""

import base64
import json

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from payment_gateway.store.vault.subjects import FIND_OR_ADD
from platform_cli.embedded.testing import FreshDatabase
from platform_kit.ids import new_id

KNOWN, NEW = 5_000, 3
WRAPPED = base64.b64encode(b"x" * 60).decode()


async def test_a_subject_is_found_or_added_without_walking_over_the_others(
    fresh_database: FreshDatabase,
) -> None:
    """No statistics, as it is when a table grows quickly: the plan must not need them."""
    database = await fresh_database("payments")
    engine = create_async_engine(database.url("vault_app").replace("postgresql://", "postgresql+asyncpg://"))
    wanted = [
        {
            "id": new_id("sub"),
            "merchant_id": "mer_1",
            "reference": reference,
            "kek_id": "k",
            "wrapped_key": WRAPPED,
        }
        for reference in ["known-17", *(f"new-{n}" for n in range(NEW))]
    ]
    async with engine.begin() as connection:
        await connection.execute(
            text("""
                INSERT INTO vault.subject (id, merchant_id, reference, kek_id, wrapped_key)
                SELECT id, 'mer_1', 'known-' || n, 'k', CAST(repeat('x', 60) AS bytea)
                FROM unnest(CAST(:ids AS text[])) WITH ORDINALITY AS s (id, n)
            """),
            {"ids": [new_id("sub") for _ in range(KNOWN)]},
        )
        explained = text(f"EXPLAIN (ANALYZE, FORMAT JSON) {FIND_OR_ADD.text}")
        plan = await connection.scalar(explained, {"rows": json.dumps(wanted)})
    await engine.dispose()

    read = [int(node["Actual Rows"] * node["Actual Loops"]) for node in nodes(plan[0]["Plan"])]
    assert max(read) <= 2 * len(wanted), plan


def nodes(plan: dict) -> list[dict]:  # type: ignore[type-arg]
    """A node of a plan and all below it."""
    return [plan, *(node for child in plan.get("Plans", []) for node in nodes(child))]
