"""Pages of a table by keyset: newest first, in both directions, stable under inserts because ids rise with time, or
because of the time itself where an id tells something else (`by_time`).

A list between two times reads what was made then, and not all that is newer: where ids tell the time, they bound it in
the index that the page is read from. Beside them stands the comparison with `created_at`, which decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Table, TextClause, text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from platform_kit.ids import earliest_id

ID_AND_TIME_APART: Final = timedelta(minutes=5)
"""How far an id, which a process makes, and its row's `created_at`, which Postgres tells, are apart at most: their
clocks, and the seconds that a request waits for its flush."""
_FIRST, _LAST = datetime(1970, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
"""What ids can tell."""
_BELOW_ALL, _ABOVE_ALL = "", "~"  # of all ids, by bytes

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of a list: older than the id `before`, newer than the id `after` (then the nearest ones), made
    between two times (the first included, the second not)."""

    limit: int
    before: str | None = None
    after: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None

    def spans(self, at: datetime) -> bool:
        """Whether something that was made then is in it, as far as times go."""
        first, end = self.created_from, self.created_to
        return (first is None or at >= first) and (end is None or at < end)


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Newest first. `has_more`: whether the list goes on beyond it, in the direction that was asked for."""

    items: Sequence[Item]
    has_more: bool

    @property
    def next_before(self) -> str | None:
        """The id to continue before; None at the end."""
        return self.items[-1].id if self.has_more and self.items else None  # type: ignore[attr-defined]


_BETWEEN_IDS: Final = "id < :before AND id > :after"
_BEYOND_A_ROW: Final = " AND ".join(
    f"(CAST(:{name} AS text) IS NULL OR (created_at, id) {side}"  # noqa: S608 - our own names
    f" (SELECT created_at, id FROM TABLE WHERE id = :{name} AND merchant_id = :merchant_id))"
    for name, side in (("before", "<"), ("after", ">"))
)


class PageQuery:
    """The statements for one table. `filters`: parameter -> condition in terms of `:parameter`; one that is given None
    does not filter. `where` always holds."""

    def __init__(
        self,
        table: Table,
        columns: str,
        filters: Mapping[str, str],
        where: str = "TRUE",
        *,
        ids: str | None = None,
        by_time: bool = False,
    ) -> None:
        """`ids`: the prefix of the table's ids, where they are made when the row is (see `ID_AND_TIME_APART`)."""
        self._filters, self._ids, self._by_time = tuple(filters), ids, by_time
        conditions = "".join(
            f" AND (CAST(:{name} AS text) IS NULL OR {rule})" for name, rule in filters.items()
        )
        key = "(created_at, id)" if by_time else "id"
        order = {
            way: ", ".join(f"{one} {way}" for one in key.strip("()").split(", ")) for way in ("ASC", "DESC")
        }
        # Nothing is compared with what may be NULL: a plan that is made once for all values would walk the whole index.
        body = (
            f"SELECT {columns} FROM {table.fullname} WHERE merchant_id = :merchant_id AND {where}"  # noqa: S608 - our own names
            f" AND {_BEYOND_A_ROW.replace('TABLE', table.fullname) if by_time else _BETWEEN_IDS}"
            " AND created_at >= COALESCE(CAST(:created_from AS timestamptz), '-infinity')"
            " AND created_at < COALESCE(CAST(:created_to AS timestamptz), 'infinity')"
            f"{conditions} ORDER BY"
        )
        self._newest_first = text(f"{body} {order['DESC']} LIMIT :limit")
        self._oldest_first = text(f"{body} {order['ASC']} LIMIT :limit")

    async def rows(
        self, conn: AsyncConnection, merchant_id: str, window: Window, **filters: str | None
    ) -> tuple[list[Row[Any]], bool]:
        """The rows of a window, newest first, and whether there are more."""
        found = list(
            await conn.execute(self.statement(window), self.parameters(merchant_id, window, **filters))
        )
        kept = found[: window.limit]
        return (kept if window.after is None else kept[::-1]), len(found) > window.limit

    def statement(self, window: Window) -> TextClause:
        return self._newest_first if window.after is None else self._oldest_first

    def parameters(self, merchant_id: str, window: Window, **filters: str | None) -> dict[str, Any]:
        """What `statement` is given for this window."""
        beyond = (
            {"before": window.before, "after": window.after} if self._by_time else self._between_ids(window)
        )
        return {
            "merchant_id": merchant_id,
            **beyond,
            "created_from": window.created_from,
            "created_to": window.created_to,
            "limit": window.limit + 1,
            **dict.fromkeys(self._filters),
            **filters,
        }

    def _between_ids(self, window: Window) -> dict[str, str]:
        """Above the one and below the other are all rows of the window, and few besides."""
        below = [_ABOVE_ALL if window.before is None else window.before]
        above = [_BELOW_ALL if window.after is None else window.after]
        if self._ids and window.created_to:
            below.append(_border(self._ids, window.created_to, ID_AND_TIME_APART))
        if self._ids and window.created_from:
            above.append(_border(self._ids, window.created_from, -ID_AND_TIME_APART))
        return {"before": min(below), "after": max(above)}


def _border(prefix: str, at: datetime, apart: timedelta) -> str:
    return earliest_id(prefix, min(max(at, _FIRST), _LAST) + apart)
