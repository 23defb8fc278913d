"""Link payments that share a card, a customer, a device, an address or an e-mail, from the engine's own events as the
relay numbers them: a decision pays nothing for it, and a case shows them a moment later."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from platform_kit import inbox, outbox
from platform_kit.logging import get_logger
from platform_kit.process import sleep_unless
from risk_engine.domain.related_payments import related_by
from risk_engine.operations.deps import Deps
from risk_engine.store import payment_links, tables
from risk_engine.store.assessments import MADE

CONSUMER, STREAM = "links", "events:risk"
SLICE = 500
POLL_S = 1.0
RETRY_S = 2.0

log = get_logger(__name__)


async def follow_links(deps: Deps, stop: asyncio.Event) -> None:
    """Link what comes, until `stop`."""
    while not stop.is_set():
        try:
            read = await link_payments(deps)
            await sleep_unless(stop, 0 if read == SLICE else POLL_S)
        except (SQLAlchemyError, OSError) as error:
            log.warning("payments not linked", error=repr(error))
            await sleep_unless(stop, RETRY_S)


async def link_payments(deps: Deps) -> int:
    """Link the next slice of assessments, once: the cursor moves in the same transaction. Returns how many events."""
    async with deps.engine.begin() as conn:
        seen = await inbox.read_cursor(conn, tables.consumer_cursor, CONSUMER, STREAM)
        page = await outbox.events_after(conn, tables.outbox, seen, SLICE)
        if not page.events:
            return 0
        to = page.events[-1].position or seen
        if not await inbox.move_cursor(conn, tables.consumer_cursor, CONSUMER, STREAM, seen=seen, to=to):
            return 0  # another process was quicker
        made = [event.data["assessment"] for event in page.events if event.type == MADE]
        await payment_links.add(conn, [link for assessment in made for link in _links(deps, assessment)])
    return len(page.events)


def _links(deps: Deps, assessment: Mapping[str, Any]) -> list[tuple[str, datetime, str]]:
    at = datetime.fromisoformat(assessment["request"]["occurred_at"])
    entities = related_by(assessment["merchant_id"], assessment["request"])
    return [(deps.fingerprints.upgraded_entity(entity), at, assessment["id"]) for entity in entities]
