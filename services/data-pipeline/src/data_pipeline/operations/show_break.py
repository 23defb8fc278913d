"""Breaks as people work on them: with their age, the money that is missing, and what was done about them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson

from data_pipeline.domain import closing
from data_pipeline.domain.ageing import age_band, days_open
from data_pipeline.domain.break_filter import BreakFilter
from data_pipeline.operations.deps import Deps
from data_pipeline.store import break_list, breaks, runs
from platform_kit.problems import NotFound

LIST_MAX: Final = 500


Key = tuple[datetime, str]
"""Where a page ends: when its last break was opened, and its id."""


async def list_breaks(
    deps: Deps, wanted: BreakFilter, after: Key | None = None, limit: int = 100
) -> list[dict[str, Any]]:
    """At most LIST_MAX, the oldest first."""
    now = deps.clock.now()
    async with deps.engine.connect() as conn:
        found = await break_list.page(conn, wanted, now, after, min(limit, LIST_MAX))
        booked = await breaks.booked_of(conn, [one["id"] for one in found])
    return [_shown(deps, one, booked.get(one["id"], {}), now) for one in found]


async def was_reconciled(deps: Deps) -> bool:
    """Whether any file was ever judged: before that, no break means nothing."""
    async with deps.engine.connect() as conn:
        return await runs.any_judged(conn)


async def show_break(deps: Deps, break_id: str) -> dict[str, Any]:
    """One break with its acts. Raises NotFound."""
    async with deps.engine.connect() as conn:
        await conn.execution_options(isolation_level="REPEATABLE READ")
        found = await breaks.get(conn, break_id)
        if found is None:
            raise NotFound("There is no such break.")
        acts = await breaks.acts_of(conn, break_id)
        booked = await breaks.booked_of(conn, [break_id])
    return _shown(deps, found, booked.get(break_id, {}), deps.clock.now()) | {"acts": acts}


async def bundle_evidence(deps: Deps, break_id: str) -> dict[str, Any]:
    """All that is known of a break, to hand to an auditor or to the channel: both lines, the file by its hash and line,
    the rule, amounts, who did what. `sha256` is over the bundle without it, with sorted keys. Raises NotFound."""
    found = await show_break(deps, break_id)
    bundle: dict[str, Any] = {
        "break": {
            name: found[name]
            for name in (
                "id", "break_class", "day", "channel", "settled_type", "rule", "run_id", "opened_at",
                "last_seen_at", "closed_at", "state", "resolution", "decided_by", "owner",
            )
        },
        "ledger": {
            "journal_id": found["journal_id"],
            "payment_id": found["payment_id"],
            "amount_minor": found["ledger_amount_minor"],
            "currency": found["ledger_currency"],
            "occurred_at": found["ledger_at"],
            "status": found["ledger_status"],
            "expected_fee_minor": found["expected_fee_minor"],
        },
        "channel_file": {
            "sha256": found["file_sha256"],
            "line": found["file_line"],
            "text": found["file_text"],
            "channel_reference": found["channel_reference"],
            "channel_key": found["channel_key"],
            "amount_minor": found["file_amount_minor"],
            "currency": found["file_currency"],
            "fee_minor": found["file_fee_minor"],
        },
        "bank": {"sha256": found["bank_sha256"], "amount_minor": found["bank_amount_minor"]},
        "difference_minor": found["difference_minor"],
        "acts": found["acts"],
    }  # fmt: skip
    raw = orjson.dumps(bundle, option=orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z)
    return bundle | {"sha256": hashlib.sha256(raw).hexdigest()}


def _shown(deps: Deps, found: dict[str, Any], booked: Mapping[str, int], now: datetime) -> dict[str, Any]:
    sides = breaks.sides_of(found, booked)
    days = days_open(found["opened_at"], found["closed_at"] or now)
    return found | {
        "difference_minor": closing.differences(sides),
        "left_minor": closing.left_minor(sides),
        "takes_four_eyes": closing.needs_four_eyes(sides, deps.settings.four_eyes_above),
        "days_open": days,
        "age_band": age_band(days),
    }
