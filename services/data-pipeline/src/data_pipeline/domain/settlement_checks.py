"""Whether a closed batch is what it should be: what its lines come to, what the one before it left, what the books say.

Each difference has a name and a sign: what the batch says less what it should, in minor units where the name says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from data_pipeline.domain.settlement_batch import ACCOUNTS, BALANCE, Section, own_account

ROUND_EVERY: Final = timedelta(days=1)
"""So often everything that is old is looked at again: each closed batch, and each movement."""


@dataclass(frozen=True, slots=True)
class LineSum:
    """Lines of a batch added up by section and accounts."""

    section: Section
    debit: str
    credit: str
    count: int
    amount_minor: int
    effect_minor: int


def unlike_lines(batch: Mapping[str, Any], sums: Iterable[LineSum]) -> dict[str, int]:
    """Where a batch does not say what its lines come to: by section, by account of the merchant, and how many they are.

    Sections are taken as they were written: a later version may have a word for what was `other` then.
    """
    sections: Counter[Section] = Counter()
    moved: Counter[str] = Counter()
    line_count = 0
    for one in sums:
        sections[one.section] += one.effect_minor
        line_count += one.count
        for account, sign in ((one.debit, -1), (one.credit, 1)):
            if own := own_account(account, batch["merchant_id"]):
                moved[own] += sign * one.amount_minor
    found = {
        f"{section}_minor": (0 if section is Section.BETWEEN else batch[f"{section}_minor"])
        - sections[section]
        for section in Section
    }
    for account in ACCOUNTS:
        should = _side(batch, account, "opening_minor") + moved[account]
        found[f"account_{account}_minor"] = _side(batch, account, "closing_minor") - should
    for side in ("opening_minor", "closing_minor"):
        found[f"accounts_{side}"] = batch[side] - sum(_side(batch, account, side) for account in BALANCE)
    return _named(found | {"line_count": batch["line_count"] - line_count})


def unlike_previous(batch: Mapping[str, Any], previous: Mapping[str, Any] | None) -> dict[str, int]:
    """Where a batch does not open as the one before it closed; the first one opens with nothing."""
    before: Mapping[str, Any] = previous or {"closing_minor": 0, "accounts": {}}
    found = {"opening_minor": batch["opening_minor"] - before["closing_minor"]}
    for account in ACCOUNTS:
        left = _side(before, account, "closing_minor")
        found[f"opening_{account}_minor"] = _side(batch, account, "opening_minor") - left
    if previous is not None:
        found["opened_after_us"] = (batch["opened_at"] - previous["closes_at"]) // timedelta(microseconds=1)
    return _named(found)


def unlike_books(closing: Mapping[str, int], books: Mapping[str, int]) -> dict[str, int]:
    """Where the newest batches and what waits for the next one do not come to the balances of the ledger's accounts."""
    return _named(
        {f"books_{account}_minor": closing.get(account, 0) - books.get(account, 0) for account in ACCOUNTS}
    )


def is_round_due(
    began_at: datetime | None, ended_at: datetime | None, swapped_at: datetime | None, now: datetime
) -> bool:
    """Whether all movements are looked through from the first one: after a day, and at once after a replay, which may
    have brought some that nobody has seen."""
    if began_at is None or (swapped_at is not None and swapped_at > began_at):
        return True
    is_over = ended_at is not None and ended_at >= began_at
    return is_over and now - began_at >= ROUND_EVERY


def _side(batch: Mapping[str, Any], account: str, side: str) -> int:
    sides: Mapping[str, int] = batch["accounts"].get(account, {})
    return sides.get(side, 0)


def _named(found: Mapping[str, int]) -> dict[str, int]:
    return {name: difference for name, difference in found.items() if difference}
