"""Find the payment that a person means: by id, by the merchant's reference, by refund or assessment."""

from __future__ import annotations

from data_pipeline.operations.deps import Deps
from data_pipeline.store import facts as fact_store


async def find_payment(deps: Deps, query: str) -> str | None:
    """The newest payment that `query` names exactly, or None."""
    if not query.isprintable():
        return None  # no id or reference of ours; U+0000 would be refused by Postgres
    async with deps.engine.connect() as conn:
        return await fact_store.find(conn, query)
