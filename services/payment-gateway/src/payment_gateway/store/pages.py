"""Pages of a table by keyset: newest first, in both directions, stable under inserts because ids rise with time, or
because of the time itself where an id tells something else (`by_time`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Table, TextClause, text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

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


_BY_TIME = (
    "(created_at, id)",
    "(SELECT created_at, id FROM TABLE WHERE id = :{} AND merchant_id = :merchant_id)",
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
        by_time: bool = False,
    ) -> None:
        self._filters = tuple(filters)
        conditions = "".join(
            f" AND (CAST(:{name} AS text) IS NULL OR {rule})" for name, rule in filters.items()
        )
        key, given = ("id", ":{}") if not by_time else _BY_TIME
        given = given.replace("TABLE", table.fullname)
        order = {
            way: ", ".join(f"{one} {way}" for one in key.strip("()").split(", ")) for way in ("ASC", "DESC")
        }
        body = (
            f"SELECT {columns} FROM {table.fullname} WHERE merchant_id = :merchant_id AND {where}"  # noqa: S608 - our own names
            f" AND (CAST(:before AS text) IS NULL OR {key} < {given.format('before')})"
            f" AND (CAST(:after AS text) IS NULL OR {key} > {given.format('after')})"
            " AND (CAST(:created_from AS timestamptz) IS NULL OR created_at >= :created_from)"
            " AND (CAST(:created_to AS timestamptz) IS NULL OR created_at < :created_to)"
            f"{conditions} ORDER BY"
        )
        self._newest_first = text(f"{body} {order['DESC']} LIMIT :limit")
        self._oldest_first = text(f"{body} {order['ASC']} LIMIT :limit")

    async def rows(
        self, conn: AsyncConnection, merchant_id: str, window: Window, **filters: str | None
    ) -> tuple[list[Row[Any]], bool]:
        """The rows of a window, newest first, and whether there are more."""
        statement: TextClause = self._newest_first if window.after is None else self._oldest_first
        parameters = {
            "merchant_id": merchant_id,
            "before": window.before,
            "after": window.after,
            "created_from": window.created_from,
            "created_to": window.created_to,
            "limit": window.limit + 1,
            **dict.fromkeys(self._filters),
            **filters,
        }
        found = list(await conn.execute(statement, parameters))
        kept = found[: window.limit]
        return (kept if window.after is None else kept[::-1]), len(found) > window.limit
