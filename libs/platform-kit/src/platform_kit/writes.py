"""Many writes in one round trip: what a flush has to write, gathered and sent as one statement.

A round trip costs the process and Postgres about 200 us each, whatever it carries, and a flush touches up to ten
tables. Here each write becomes a data-modifying WITH of one statement.

They share one snapshot, none sees another's rows, and statement triggers fire after all of them. So a write that must
see another, that changes a row which another changes, or that a trigger wants after another, belongs into a second
`Writes` (https://www.postgresql.org/docs/current/queries-with.html#QUERIES-WITH-MODIFYING).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import TextClause
from sqlalchemy.ext.asyncio import AsyncConnection

_PARAMETER: Final = re.compile(r"(?<!:):([a-z_]+)")
COMBINATIONS_MAX: Final = 256  # the tables that one flush touches make few different sets


class WriteMissed(Exception):
    """A write did not hit as many rows as it had to: what was locked has changed under the lock."""


class Writes:
    """Collects INSERTs, UPDATEs and DELETEs with `:name` parameters; `run` sends them."""

    def __init__(self) -> None:
        self._statements: list[str] = []
        self._parameters: list[Mapping[str, Any]] = []
        self._expected: list[int | None] = []

    def add(self, statement: TextClause, parameters: Mapping[str, Any], *, rows: int | None = None) -> int:
        """Returns where its row count will stand. `rows` is how many it must hit."""
        self._statements.append(statement.text)
        self._parameters.append(parameters)
        self._expected.append(rows)
        return len(self._statements) - 1

    async def run(self, connection: AsyncConnection) -> tuple[int, ...]:
        """Send them, and return how many rows each has hit. Raises WriteMissed and what the statement raises."""
        if not self._statements:
            return ()
        sql, names = _combined(tuple(self._statements))
        values = tuple(self._parameters[write][name] for write, name in names)
        counts = tuple((await connection.exec_driver_sql(sql, values)).one())
        for statement, expected, count in zip(self._statements, self._expected, counts, strict=True):
            if expected is not None and count != expected:
                raise WriteMissed(f"{count} rows instead of {expected}: {statement[:60]}")
        return counts


@lru_cache(maxsize=COMBINATIONS_MAX)
def _combined(statements: tuple[str, ...]) -> tuple[str, tuple[tuple[int, str], ...]]:
    """One statement of all, and whose parameter stands at each `$n`."""
    names: list[tuple[int, str]] = []

    def numbered(write: int, statement: str) -> str:
        def number(match: re.Match[str]) -> str:
            name = (write, match[1])
            if name not in names:
                names.append(name)
            return f"${names.index(name) + 1}"

        return _PARAMETER.sub(number, statement)

    parts = [
        f"w{n} AS ({numbered(n, one)}{'' if ' RETURNING ' in one else ' RETURNING 1'})"
        for n, one in enumerate(statements)
    ]
    counts = (f"(SELECT count(*) FROM w{n})" for n in range(len(statements)))  # noqa: S608 - our own names
    return f"WITH {', '.join(parts)} SELECT {', '.join(counts)}", tuple(names)
