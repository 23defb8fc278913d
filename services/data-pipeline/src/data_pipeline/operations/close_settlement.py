"""Close a batch before its day is over: at the last event that was read, and by somebody with a name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.clients.event_sources import PAYMENTS
from data_pipeline.domain.settlement_batch import State
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.settle_merchants import close
from data_pipeline.settings import CONSUMER
from data_pipeline.store import positions, settlement_lines
from data_pipeline.store import settlements as settlement_store
from platform_kit.logging import get_logger
from platform_kit.problems import NotFound, Problem

log = get_logger(__name__)


class SettlementClosed(Problem):
    status, code, title = 409, "settlement-closed", "The settlement is closed already"


class NothingToSettle(Problem):
    status, code, title = 409, "nothing-to-settle", "Nothing has moved since the last settlement"


@dataclass(frozen=True, slots=True)
class CloseSettlement:
    """`actor` stands in the batch as the one who closed it."""

    batch_id: str
    actor: str


async def close_settlement(deps: Deps, command: CloseSettlement) -> None:
    """What happens later goes into the next batch, which is open from here on; what happened before and comes later,
    into its corrections. Raises NotFound, SettlementClosed, NothingToSettle."""
    async with deps.engine.begin() as conn:
        await settlement_lines.take_time(conn)
        batch = await settlement_store.lock(conn, command.batch_id)
        if batch is None:
            raise NotFound("There is no such settlement.")
        if batch["state"] != State.OPEN:
            raise SettlementClosed(f"It was closed by {batch['closed_by']} and never changes.")
        position, read_to = await _read_to(conn)
        if read_to is None or read_to <= batch["opened_at"]:
            raise NothingToSettle("No event was read since it was opened.")
        until = min(read_to, batch["closes_at"])
        if not await close(conn, batch, until, position, deps.clock.now(), command.actor):
            raise NothingToSettle("There is no movement of this merchant in this currency.")
    log.info("settlement closed early", batch=command.batch_id, actor=command.actor)


async def _read_to(conn: AsyncConnection) -> tuple[int, datetime | None]:
    """Our position, and the moment after its event."""
    for stream in await positions.read(conn, CONSUMER):
        if stream["stream"] == PAYMENTS and stream["event_at"] is not None:
            return stream["position"], stream["event_at"] + timedelta(microseconds=1)
    return 0, None
