"""One history played twice: payment by payment into the windows of Redis, and in pieces into SQL over tables."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import asyncpg
from risk_rig import a_subject

from risk_engine.clients.features import FeatureStore, Velocity
from risk_engine.domain.facts import Subject
from risk_engine.domain.simulator import STARTS_AT, Transactions
from risk_engine.domain.velocity import SERIES, Series
from risk_engine.store.window_sql import window_sql

Told = tuple[str, Subject, int]  # payments | declines | frauds, of whom, how much

PIECE = 5_000  # events between two comparisons: bounds what is kept of the online side
AT_ONCE = 64  # calls on their way; FeatureStore sends them one behind the other, in the order in which they were asked
COLUMNS = ("id", "entity", "at_ms", "amount", "card", "country")


def history_of(transactions: Transactions) -> Iterator[Told]:
    """The handbook's payments in their order, two milliseconds apart within a second. What it does not know is drawn:
    each customer has two cards, a device, a mailbox and a country, shares addresses with others, and three payments in
    a hundred are declined a millisecond later. Frauds are the simulator's, known by the time a window reads them."""
    draw, second, within = Random(7), -1, 0
    for row in range(len(transactions.at_s)):
        at_s, customer = int(transactions.at_s[row]), int(transactions.customer[row])
        within = within + 2 if at_s == second else 0
        second = at_s
        subject = a_subject(
            row,
            occurred_at=STARTS_AT + timedelta(seconds=at_s, milliseconds=within),
            card=f"card-{customer}-{draw.randrange(2)}",
            card_bin=f"4242{customer % 50:02}",
            customer_id=f"customer-{customer}",
            country=("DE", "FR", "US", "")[draw.randrange(4)],
            device=f"device-{customer if draw.random() < 0.9 else draw.randrange(50)}",
            ip=f"ip-{customer // 3}",
            email=f"email-{customer // 2}" if draw.random() < 0.8 else "",
            terminal=f"terminal-{transactions.terminal[row]}",
        )
        yield "payments", subject, max(int(transactions.amount_minor[row]), 1)
        if draw.random() < 0.03:
            yield "declines", replace(subject, occurred_at=subject.occurred_at + timedelta(milliseconds=1)), 0
        if transactions.scenario[row]:
            yield "frauds", subject, 0


class Parity:
    """Both sides of one history. `compared` counts payments, `differences` names the first of what was not equal,
    `seen` says of each window the largest value that both agreed on: one that stayed 0 was not compared at all.
    `reached_ms` is how long the history was as far as it was played."""

    def __init__(self, features: FeatureStore, connection: asyncpg.Connection) -> None:
        self._features = features
        self._connection = connection
        self.compared = self.windows = self.saturated = self.reached_ms = 0
        self.differences: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = []
        self.seen: dict[str, int] = {window.name: 0 for series in SERIES for window in series.windows}

    async def play(self, history: Iterator[Told], *, until_s: float = float("inf")) -> None:
        """As much of the history as there is time for (`until_s` by time.monotonic)."""
        await self._make_tables()
        piece: list[Told] = []
        for told in history:
            piece.append(told)
            if len(piece) >= PIECE:
                await self._compare(piece)
                piece = []
                if time.monotonic() > until_s:
                    return
        if piece:
            await self._compare(piece)

    async def _make_tables(self) -> None:
        columns = "id text, entity text, at_ms bigint, amount bigint, card text, country text"
        await self._connection.execute(f"CREATE TEMP TABLE points ({columns})")
        for series in SERIES:
            table = _table(series)
            await self._connection.execute(f"CREATE TEMP TABLE {table} ({columns})")
            await self._connection.execute(f"CREATE INDEX ON {table} (entity, at_ms)")

    async def _compare(self, piece: Sequence[Told]) -> None:
        online = await self._by_redis(piece)
        for series in SERIES:
            for key, offline in (await self._by_sql(series, piece)).items():
                if online[key][series.saturated]:
                    self.saturated += 1
                    continue
                self.windows += len(offline)
                answered = {name: online[key][name] for name in offline}
                if answered != offline:
                    self.differences.append((series.name, key, answered, offline))
                for name, value in offline.items():
                    self.seen[name] = max(self.seen[name], value)
        self.compared += len(online)
        self.reached_ms = piece[-1][1].occurred_at_ms - int(STARTS_AT.timestamp() * 1000)

    async def _by_redis(self, piece: Sequence[Told]) -> dict[str, dict[str, Any]]:
        online: dict[str, dict[str, Any]] = {}
        for start in range(0, len(piece), AT_ONCE):
            some = piece[start : start + AT_ONCE]
            answers = await self._ask(some)
            online |= {
                subject.key: dict(answer.windows)
                for (kind, subject, _), answer in zip(some, answers, strict=True)
                if kind == "payments"
            }
        return online

    async def _ask(self, some: Sequence[Told]) -> list[Velocity]:
        calls = (
            self._features._run(subject, amount, records=kind, timeout_s=60) for kind, subject, amount in some
        )
        return await asyncio.gather(*calls)

    async def _by_sql(self, series: Series, piece: Sequence[Told]) -> dict[str, dict[str, int]]:
        table, points = _table(series), list[tuple[Any, ...]]()
        events = list[tuple[Any, ...]]()
        for kind, subject, amount in piece:
            if entity := subject.entities().get(series.entity):
                at_ms = subject.occurred_at_ms
                row = (subject.key, entity, at_ms, amount, subject.card, subject.country)
                if kind == "payments":
                    points.append(row)
                if kind == series.kind:
                    events.append(row)
        await self._connection.execute("TRUNCATE points")
        await self._connection.copy_records_to_table("points", records=points, columns=COLUMNS)
        await self._connection.copy_records_to_table(table, records=events, columns=COLUMNS)
        await self._connection.execute(f"ANALYZE {table}")
        found = await self._connection.fetch(window_sql(series, events=table))
        return {row["id"]: {window.name: row[window.name] for window in series.windows} for row in found}


def _table(series: Series) -> str:
    return f"events_{series.name.replace('.', '_')}"
