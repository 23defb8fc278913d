"""Group commit: an outcome is a value, and one place makes it durable.

Callers hand in items; whatever waits when the previous flush returned goes into the next one. A flush is one
transaction with a few set-based statements, whatever the number of items, and each caller gets its own item's result
after the commit. A batch of one is the same code. An item alone waits for nothing. While several come at once, a flush
may wait for company (`gather_max_s`): its round trips cost the same whatever it carries, and on busy cores a flush that
does not wait finds two items where it could find ten (commit_delay with commit_siblings in Postgres is the same idea).

`flush(connection, items) -> results` is the service's own. It must keep three promises:
- it decides each item on its own, so that a refusal is a result and never aborts the neighbours;
- it may run again for the same items (each carries its own key): an item that a lost commit already applied is
  recognised and answered with what was stored;
- it makes no network call but to this connection.

A flush that needs one statement may make that its own transaction, by the driver's connection and before anything else
ran on this one: BEGIN and COMMIT are two round trips of three. It then raises CommitLost when the answer is lost.

Sources: architecture.md 4.3; reliability.md 1.1 row 3 and 1.3 (a COMMIT that raised is unknown, never failed).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from platform_kit import telemetry
from platform_kit.db import BY_KEY, is_unavailable, sqlstate
from platform_kit.logging import get_logger
from platform_kit.problems import Unavailable

Item = TypeVar("Item")
Result = TypeVar("Result")
Flush = Callable[[AsyncConnection, Sequence[Item]], Awaitable[Sequence[Result]]]

BATCH_MAX = 256  # beyond this the statements get longer, not cheaper per item
QUEUE_MAX = 2048  # about half a second of work at full speed: more would only wait past its deadline
TRIES_MAX = (
    5  # of a whole flush after a deadlock or a lost connection; it holds no network call, so that is safe
)
RETRY_DELAY_S = 0.05
RETRIED_STATES = frozenset({"40001", "40P01", "55P03"})  # serialization failure, deadlock, lock not available

SET_BY_KEY = text(
    "SELECT " + ", ".join(f"set_config('{name}', '{value}', false)" for name, value in BY_KEY.items())
)

log = get_logger(__name__)


class TryFlushAgain(Exception):
    """Raised by a flush whose reading was overtaken by another process: the transaction is rolled back and redone."""


class NotCommitted(Unavailable):
    """Postgres could not take the item; nothing of it was written. Safe to send again."""

    code, title = "not-committed", "The database is not available; nothing was written"


class CommitUnknown(Unavailable):
    """The COMMIT was sent and its answer lost, and the database stayed away: resolve by the item's own key."""

    code, title = "commit-unknown", "The outcome is not known yet; ask again with the same key"


class CommitLost(Exception):
    """COMMIT raised, or the statement of a flush that is its own transaction: it may or may not have happened."""


class Committer(Generic[Item, Result]):
    """One queue, `lanes` flushers. `submit` from any task of the loop that entered the committer as a context."""

    def __init__(
        self,
        engine: AsyncEngine,
        flush: Flush[Item, Result],
        *,
        name: str = "committer",
        batch_max: int = BATCH_MAX,
        queue_max: int = QUEUE_MAX,
        lanes: int = 1,
        gather_max_s: float = 0.0,
        reads_only: bool = False,
        weight: Callable[[Item], int] = lambda _: 1,
    ) -> None:
        """`gather_max_s`: a flush waits for company as long as the one before took, if that had some, but no longer.
        `reads_only`: no transaction. `weight`: of an item; a flush takes up to `batch_max` of it, but always one."""
        self._engine = engine
        self._flush = flush
        self._name = name
        self._batch_max = batch_max
        self._queue_max = queue_max
        self._lanes = lanes
        self._gather_max_s = gather_max_s
        self._reads_only = reads_only
        self._weight = weight
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Committer[Item, Result]:
        self._tasks = [asyncio.create_task(self._run(), name=f"{self._name}-{n}") for n in range(self._lanes)]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Flush what is queued, then stop (SIGTERM waits for this)."""
        self._closing = True
        self._wake.set()
        await asyncio.gather(*self._tasks)

    async def submit(self, item: Item) -> Result:
        """Wait until `item` is durable and return its result.

        Raises NotCommitted (nothing written), CommitUnknown, or what the flush raised for this item alone.
        A caller that is cancelled meanwhile leaves its item in the flush: it is committed all the same.
        """
        if self._closing or len(self._waiting) >= self._queue_max:
            raise NotCommitted("The queue in front of the database is full." if not self._closing else None)
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._wake.set()
        # Not shielded: a cancelled future is one that nobody waits for (`_settle` looks), and its item stays.
        return await future

    async def _run(self) -> None:
        """One lane: its own connection, for as long as that lasts, and one flush after the other."""
        async with _OwnConnection(self._engine, autocommit=self._reads_only) as own:
            gather_s = 0.0
            while True:
                if not self._waiting:
                    if self._closing:
                        return
                    self._wake.clear()
                    await self._wake.wait()
                    continue
                if gather_s and len(self._waiting) < self._batch_max:
                    await asyncio.sleep(gather_s)
                batch = self._take()
                took_s = await self._settle(own, batch)
                gather_s = min(took_s, self._gather_max_s) if len(batch) > 1 else 0.0

    def _take(self) -> Sequence[tuple[Item, asyncio.Future[Result]]]:
        """What goes into the next flush, in order of arrival."""
        taken = weight = 0
        for item, _ in self._waiting:
            weight += self._weight(item)
            if taken and weight > self._batch_max:
                break
            taken += 1
        batch, self._waiting = self._waiting[:taken], self._waiting[taken:]
        return batch

    async def _settle(
        self, own: _OwnConnection, batch: Sequence[tuple[Item, asyncio.Future[Result]]]
    ) -> float:
        """Give every future of the batch its result or its error; returns how long it took, in seconds."""
        started = time.perf_counter()
        try:
            results = await self._attempt(own, [item for item, _ in batch])
        except Unavailable as error:
            for _, future in batch:
                _fail(future, error)
        except Exception as error:
            if len(batch) == 1:
                _fail(batch[0][1], error)
            else:  # the statement said no to somebody: find out who, and let the others through
                log.exception("a flush was refused whole; running its items one by one", items=len(batch))
                for one in batch:
                    await self._settle(own, [one])
        else:
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)
        took_s = time.perf_counter() - started
        telemetry.observe_flush(self._name, len(batch), took_s, len(self._waiting))
        return took_s

    async def _attempt(self, own: _OwnConnection, items: Sequence[Item]) -> Sequence[Result]:
        """One flush, tried again after deadlock, lost race or lost connection."""
        may_be_committed = False
        for attempt in range(1, TRIES_MAX + 1):
            try:
                return await self._flush_once(own, items)
            except CommitLost as error:
                may_be_committed = True
                log.warning("commit answer lost", error=repr(error.__cause__), attempt=attempt)
            except TryFlushAgain:
                # At once the first time: the other process has committed. Then it may be busy with the same keys.
                if attempt == 1:
                    continue
                if attempt == TRIES_MAX and len(items) > 1:
                    raise  # whoever races is found out one by one, and the others need not wait for it
            except (OSError, PoolTimeoutError) as error:
                log.warning("database not reachable", error=repr(error), attempt=attempt)
            except DBAPIError as error:
                if not (is_unavailable(error) or sqlstate(error) in RETRIED_STATES):
                    raise
                log.warning("flush is tried again", error=repr(error.orig), attempt=attempt)
            await asyncio.sleep(random.uniform(0, RETRY_DELAY_S * 2**attempt))
        raise CommitUnknown() if may_be_committed else NotCommitted()

    async def _flush_once(self, own: _OwnConnection, items: Sequence[Item]) -> Sequence[Result]:
        connection = await own.get()
        try:
            async with connection.begin() as transaction:
                results = await self._flush(connection, items)
                try:
                    await transaction.commit()
                except Exception as error:
                    raise CommitLost from error
        except TryFlushAgain:
            raise
        except BaseException:
            await (
                own.drop()
            )  # whatever it was, the next flush starts on a connection that knows nothing of it
            raise
        return results


class _OwnConnection:
    """A lane's connection, taken from the pool once: asking the pool, the ping and the reset of every flush would cost
    a tenth of it. A broken one is dropped and replaced."""

    def __init__(self, engine: AsyncEngine, *, autocommit: bool) -> None:
        self._engine = engine
        self._autocommit = autocommit
        self._connection: AsyncConnection | None = None

    async def __aenter__(self) -> _OwnConnection:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.drop()  # not back into the pool: its settings are a lane's

    async def get(self) -> AsyncConnection:
        if self._connection is None:
            connection = await self._engine.connect()
            try:
                await connection.execution_options(isolation_level="AUTOCOMMIT")
                await connection.execute(SET_BY_KEY)
                await connection.commit()  # asks nothing of Postgres: SQLAlchemy's own transaction ends
                if not self._autocommit:
                    await connection.execution_options(isolation_level="READ COMMITTED")
            except BaseException:
                await connection.invalidate()
                await connection.close()
                raise
            self._connection = connection
        return self._connection

    async def drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.invalidate()
            await connection.close()


def _fail(future: asyncio.Future[Result], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
