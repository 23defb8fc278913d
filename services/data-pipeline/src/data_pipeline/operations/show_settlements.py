"""Settlements as they are shown: lists, one with its figures, its lines, and the links to its statement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from data_pipeline.domain.exports import signature
from data_pipeline.domain.merchant_statement import SECTIONS, StatementFormat
from data_pipeline.domain.settlement_batch import ACCOUNTS, Section, State, rule_on, section_of
from data_pipeline.operations.deps import Deps
from data_pipeline.store import settlement_lines
from data_pipeline.store import settlements as settlement_store
from platform_kit.problems import NotFound

LIST_MAX: Final = 200
LINES_MAX: Final = 1_000
STRIDE_MAX: Final = 5_000  # movements read at once: those between the merchant's accounts are passed over


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which batches; None is any."""

    state: State | None = None
    merchant_id: str | None = None
    currency: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def list_settlements(
    deps: Deps, wanted: Wanted, before: tuple[datetime, str] | None, limit: int
) -> list[dict[str, Any]]:
    """The newest first; an open batch has the figures of the last look at it, at most a minute ago."""
    async with deps.engine.connect() as conn:
        found = await settlement_store.page(
            conn,
            state=wanted.state,
            merchant_id=wanted.merchant_id,
            currency=wanted.currency,
            since=wanted.since,
            until=wanted.until,
            before=before,
            limit=limit,
        )
    return [shown(batch) for batch in found]


async def count_settlements(deps: Deps) -> dict[str, int]:
    """State -> how many batches, 10,001 for more; an open one without movements counts for nothing."""
    async with deps.engine.connect() as conn:
        return await settlement_store.state_counts(conn)


async def show_settlement(deps: Deps, batch_id: str) -> dict[str, Any]:
    """One batch with its payouts and the links to its statement. Raises NotFound."""
    async with deps.engine.connect() as conn:
        batch = await settlement_store.read(conn, batch_id)
        if batch is None:
            raise NotFound("There is no such settlement.")
        payouts = await settlement_store.payouts(conn, batch_id)
    return shown(batch) | {
        "payouts": payouts,
        "statements": [
            _link(deps, batch, format_) for format_ in StatementFormat if _is_made(batch, format_)
        ],
    }


async def show_lines(
    deps: Deps, batch_id: str, after: settlement_lines.LineKey | None, limit: int
) -> list[dict[str, Any]]:
    """The lines of a batch in order of time; of an open one as it stands now. Raises NotFound."""
    async with deps.engine.connect() as conn:
        batch = await settlement_store.read(conn, batch_id)
        if batch is None:
            raise NotFound("There is no such settlement.")
        if batch["state"] != State.OPEN:
            return await settlement_lines.lines(conn, batch_id, after, limit)
        return await _open_lines(conn, batch, after, limit)


async def _open_lines(
    conn: AsyncConnection, batch: Mapping[str, Any], after: settlement_lines.LineKey | None, limit: int
) -> list[dict[str, Any]]:
    """Movements become lines one by one: a page costs what it shows, however many there are."""
    found: list[dict[str, Any]] = []
    stride = 2 * limit
    while len(found) < limit:
        moved = await settlement_lines.open_lines(conn, batch, after, stride)
        found += [line for one in moved if (line := _line(batch["merchant_id"], one))]
        if len(moved) < stride:
            break
        after = (moved[-1]["occurred_at"], moved[-1]["journal_id"], moved[-1]["line"])
        stride = min(2 * stride, STRIDE_MAX)
    return found[:limit]


def _line(merchant_id: str, moved: Mapping[str, Any]) -> dict[str, Any] | None:
    """A movement as the line that it will be; None for one that stands on no statement."""
    ruling = rule_on(moved["debit"], moved["credit"], merchant_id)
    section = section_of(ruling, moved["is_late"]) if ruling else Section.BETWEEN
    if ruling is None or section is Section.BETWEEN or moved["is_settled"]:
        return None
    told = {name: value for name, value in moved.items() if name not in ("aggregate_id", "is_settled")}
    effect_minor = ruling.sign * moved["amount_minor"]
    return told | {
        "section": section,
        "kind": ruling.kind,
        "object_id": moved["aggregate_id"],
        "effect_minor": effect_minor,
    }


def shown(batch: Mapping[str, Any]) -> dict[str, Any]:
    """A batch without what is kept for the next one only. `net_minor` is what could be paid out, what came back of
    earlier payouts among it: it is what was paid out and what is carried over."""
    hidden = {"seen_from", "manifest", "accounts"} | {f"{section}_minor" for section in SECTIONS}
    accounts = {
        account: batch["accounts"].get(account, {"opening_minor": 0, "closing_minor": 0})
        for account in ACCOUNTS
    }
    return {name: value for name, value in batch.items() if name not in hidden} | {
        "differences": batch["differences"] or {},
        "sections": {str(section): batch[f"{section}_minor"] for section in SECTIONS},
        "net_minor": batch["closing_minor"] - batch["payouts_minor"] + batch["came_back_minor"],
        "accounts": accounts,
    }


def statement_key(batch_id: str, format_: StatementFormat) -> str:
    """What a link to a file is signed for."""
    return f"{batch_id}.{format_}"


def _is_made(batch: Mapping[str, Any], format_: StatementFormat) -> bool:
    return format_ in ((batch["manifest"] or {}).get("files") or {})


def _link(deps: Deps, batch: Mapping[str, Any], format_: StatementFormat) -> dict[str, Any]:
    until = deps.clock.now().replace(microsecond=0) + timedelta(seconds=deps.settings.export_link_s)
    key = deps.settings.internal_token.get_secret_value()
    signed = signature(key, statement_key(batch["id"], format_), until)
    path = f"/v1/settlements/{batch['id']}/statement.{format_}"
    described: dict[str, Any] = batch["manifest"]["files"][format_]
    return described | {
        "format": str(format_),
        "download": {
            "path": f"{path}?expires={int(until.timestamp())}&signature={signed}",
            "expires_at": until,
        },
    }
