"""Chain what was stored, a batch at a time, away from the decisions; and recompute the chain."""

from typing import Any

from platform_kit.clock import isoformat
from platform_kit.logging import get_logger
from risk_engine.operations import metrics
from risk_engine.operations.deps import Deps
from risk_engine.store import assessment_chain

BATCH = 2_000
BATCHES_MAX = 20  # per run

log = get_logger(__name__)


async def chain_assessments(deps: Deps) -> int:
    """Returns how many were chained. The head goes to the log: a copy that Postgres cannot change."""
    chained, head, position = 0, b"", 0
    for _ in range(BATCHES_MAX):
        async with deps.engine.begin() as conn:
            found, position, head = await assessment_chain.extend(conn, BATCH)
        chained += found
        if found < BATCH:
            break
    if chained:
        metrics.chained_total.inc(chained)
        log.info("assessments chained", chained=chained, position=position, head=head.hex())
    return chained


async def check_chain(deps: Deps, after: int, limit: int) -> dict[str, Any]:
    """Recompute up to `limit` links behind position `after`; `next_after` leads on, None at the end."""
    async with deps.engine.connect() as conn:
        found = await assessment_chain.recompute(conn, after, limit)
        behind = await assessment_chain.behind(conn)
        swept_at = await assessment_chain.swept_at(conn)
    return {
        "object": "chain_check",
        "checked": found.length,
        "broken_at": found.broken_at,
        "behind": behind,
        "swept_at": None if swept_at is None else isoformat(swept_at),
        "next_after": found.last if found.length == limit else None,
    }
