"""What an operation hands to the committer, and the flush that makes a batch of such values durable.

The order inside a flush: read keys, lock payments and accounts in id order, decide each value in arrival order in a
pure function over what was locked, write set-based. A refusal is a result: it never touches its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.answer import SuccessOutOfTurn
from payment_gateway.domain.attempt import Attempt, Outcome
from payment_gateway.domain.ledger import (
    AboveCeiling,
    Account,
    AccountName,
    InsufficientFunds,
    Journal,
    Posting,
    Trail,
    apply,
)
from payment_gateway.domain.ledger_hold import HoldClosed
from payment_gateway.domain.ledger_journal import AlreadyReversed, EffectiveTimeRefused
from payment_gateway.domain.moves import IllegalMove
from payment_gateway.domain.payment import (
    AmountExceedsRemaining,
    IllegalTransition,
    OperationInProgress,
    Payment,
)
from payment_gateway.store import attempts, ledger, payments
from payment_gateway.store.tables import channel_event, idempotency_key, outbox
from platform_kit import idempotency
from platform_kit.committer import TryFlushAgain
from platform_kit.idempotency import Claim, KeyRecord, StoredResponse
from platform_kit.outbox import Event, appending
from platform_kit.writes import Writes


class UnknownAccount(Exception):
    """A transfer names an account that nobody opened."""

    def __init__(self, account: AccountName) -> None:
        self.account = account
        super().__init__(f"{account} is not open")


class RowKind(Protocol):
    """How rows other than payments are locked and written; the modules of this package are such (`store.refunds`)."""

    async def lock(self, conn: AsyncConnection, ids: Collection[str], /) -> dict[str, Any]: ...
    def insert(self, writes: Writes, rows: Iterable[Any], /) -> None: ...
    def update(self, writes: Writes, rows: Iterable[Any], /) -> None: ...


Refusal = (
    IllegalTransition
    | IllegalMove
    | AmountExceedsRemaining
    | OperationInProgress
    | InsufficientFunds
    | UnknownAccount
    | AboveCeiling
    | HoldClosed
    | AlreadyReversed
    | EffectiveTimeRefused
    | SuccessOutOfTurn
)
REFUSALS = (
    IllegalTransition,
    IllegalMove,
    AmountExceedsRemaining,
    OperationInProgress,
    InsufficientFunds,
    UnknownAccount,
    AboveCeiling,
    HoldClosed,
    AlreadyReversed,
    EffectiveTimeRefused,
    SuccessOutOfTurn,
)


@dataclass(frozen=True, slots=True)
class Locked:
    """What a decision may look at: the rows that the flush has locked, and the database's time."""

    payment: Payment | None
    rows: Mapping[str, Any]
    """What `Commit.also` asked for, by id."""
    now: datetime
    accounts: Mapping[AccountName, Account] = field(default_factory=dict)
    """The accounts that the commit names, after what came before it in the flush."""


@dataclass(frozen=True, slots=True)
class Effects:
    """What a decision wants written, all of it or nothing."""

    payment: Payment | None = None
    rows: tuple[tuple[RowKind, Any], ...] = ()
    """Further rows as they shall stand: new ones, or changed ones that `Commit.also` has locked."""
    attempt: Attempt | None = None
    """A question that is about to be sent."""
    answers: tuple[tuple[Attempt, Outcome, datetime | None], ...] = ()
    """What came of questions, and when to ask again about one that is not settled."""
    journal: Journal | None = None
    journals: tuple[Journal, ...] = ()
    """Further ones, whose postings fit one after the other."""
    events: tuple[Event, ...] = ()
    response: StoredResponse | None = None
    """The final answer of the client's key."""
    releases: bool = False
    """Nothing was done after all: give the claimed key back, so that it may try again."""

    @property
    def written(self) -> tuple[Journal, ...]:
        """All journals."""
        return (self.journal, *self.journals) if self.journal else self.journals


@dataclass(frozen=True, slots=True)
class ChannelEventReceived:
    """A report that a channel sent by itself: stored once under the channel's event id."""

    channel: str
    event_id: str
    attempt_id: str | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Commit:
    """One outcome. `decide` sees the locked rows and returns Effects or raises a Refusal."""

    decide: Callable[[Locked], Effects]
    payment_id: str | None = None
    also: tuple[tuple[RowKind, str], ...] = ()
    """Further rows to lock (kind and id): a refund, a dispute, a payout."""
    accounts: tuple[AccountName, ...] = ()
    opens_accounts: bool = True
    needs_accounts: bool = True
    """Refused when one of its accounts is not open; otherwise `decide` just does not get that one."""
    claim: Claim | None = None
    """Key to claim with this commit; finished at once when the effects (or the refusal) carry a response."""
    finishes: tuple[str, str] | None = None
    """Key claimed by an earlier commit, whose answer is in these effects."""
    refusal_response: Callable[[Exception], StoredResponse | None] = field(default=lambda _: None)
    """What the key shall answer for ever after a refusal; None leaves the key unclaimed, so that it may try again."""
    received: ChannelEventReceived | None = None
    weight: int = 1
    """How many ordinary commits it counts for in a flush: its transfers, when it is a batch of them."""
    context: Context = field(default_factory=copy_context)
    """The request's own: its ids and trace go into what the committer's task decides for it."""


@dataclass(frozen=True, slots=True)
class Done:
    """The effects are durable. `payment` and `rows` are as they now stand; `attempt` is what to send."""

    payment: Payment | None
    response: StoredResponse | None
    attempt: Attempt | None = None
    rows: Mapping[str, Any] = field(default_factory=dict)
    """The rows that `Commit.also` locked and those that the effects wrote, by id."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing moved. `error` is one of REFUSALS; `response` is what the key now answers, if it was claimed."""

    error: Exception
    response: StoredResponse | None = None


@dataclass(frozen=True, slots=True)
class AlreadyClaimed:
    """The key belongs to an earlier request."""

    record: KeyRecord


Result = Done | Refused | AlreadyClaimed


async def flush(conn: AsyncConnection, commits: Sequence[Commit]) -> list[Result]:
    """Make a batch durable (the committer's flush). May run again for the same commits."""
    batch = _Batch(commits)
    if also := _by_kind(locked for commit in commits for locked in commit.also):
        # A row that is not there yet cannot be locked: its payment's lock stands for it, and so has to come first.
        if ids := sorted({c.payment_id for c in commits if c.payment_id}):
            await conn.execute(_LOCK_PAYMENTS, {"payment_ids": ids})
        for kind, wanted in also:
            batch.rows |= await kind.lock(conn, set(wanted))
    await _read(conn, batch)
    results = batch.decide()
    await _write(conn, batch)
    return results


async def find_keys(conn: AsyncConnection, claims: Sequence[Claim]) -> list[KeyRecord | None]:
    """The stored records of these keys, for many waiting requests by one statement."""
    found = await idempotency.find(conn, idempotency_key, claims)
    return [found.get((claim.scope, claim.key)) for claim in claims]


_LOCK_PAYMENTS = text(payments.LOCK_PAYMENTS)
# One round trip for all that most flushes look at. Rows that are locked come as they stand under the lock. A key may be
# read too early while the statement waits for one: then its insertion finds out, or the refusal stores nothing.
_READ = text(
    f"SELECT now(), ARRAY(SELECT ROW({', '.join(idempotency.COLUMNS)}) {idempotency.where_wanted(idempotency_key)}),"
    f" ARRAY({payments.LOCK_PAYMENTS}), ARRAY({ledger.LOCK_ACCOUNTS})"
)


async def _read(conn: AsyncConnection, batch: _Batch) -> None:
    """The database's time, the keys, and payments and accounts, locked."""
    commits = batch.commits
    claims = [c.claim for c in commits if c.claim]
    names = {name for c in commits for name in c.accounts}
    parameters = {
        "scopes": [claim.scope for claim in claims],
        "keys": [claim.key for claim in claims],
        "payment_ids": sorted({c.payment_id for c in commits if c.payment_id}),
        **ledger.columns(names),
    }
    batch.now, keys, locked, accounts = (await conn.execute(_READ, parameters)).one()
    batch.keys = idempotency.records(keys)
    batch.payments = payments.locked(locked)
    batch.accounts = ledger.locked(accounts)
    if new := {n for c in commits if c.opens_accounts for n in c.accounts} - batch.accounts.keys():
        await ledger.open_accounts(conn, new)
        batch.accounts |= await ledger.lock(conn, names)


def _by_kind(pairs: Iterable[tuple[RowKind, Any]]) -> list[tuple[RowKind, list[Any]]]:
    """What belongs to each kind, the kinds in the order of their names: two flushes lock them alike."""
    found: dict[RowKind, list[Any]] = {}
    for kind, member in pairs:
        found.setdefault(kind, []).append(member)
    return sorted(found.items(), key=lambda item: str(getattr(item[0], "__name__", item[0])))


class _Batch:
    """The state of one flush: what was read, and what is to be written."""

    def __init__(self, commits: Sequence[Commit]) -> None:
        self.commits = commits
        self.now: datetime | None = None
        self.keys: dict[tuple[str, str], KeyRecord] = {}
        self.payments: dict[str, Payment] = {}
        self.rows: dict[str, Any] = {}
        self.accounts: dict[AccountName, Account] = {}
        self.new_payments: dict[str, Payment] = {}
        self.changed_payments: dict[str, Payment] = {}
        self.new_rows: dict[str, tuple[RowKind, Any]] = {}
        self.changed_rows: dict[str, tuple[RowKind, Any]] = {}
        self.new_attempts: list[Attempt] = []
        self.answers: list[tuple[Attempt, Outcome, datetime | None]] = []
        self.touched_accounts: dict[AccountName, Account] = {}
        self.journals: list[Journal] = []
        self.trail: list[Trail] = []  # one for each posting of `journals`, in their order
        self.events: list[Event] = []
        self.claims: list[tuple[Claim, StoredResponse | None]] = []
        self.finished: dict[tuple[str, str], StoredResponse] = {}
        self.released: list[tuple[str, str]] = []
        self.received: list[tuple[ChannelEventReceived, str]] = []

    def decide(self) -> list[Result]:
        """Each commit in arrival order, over what those before it left behind."""
        return [self._decide_one(commit) for commit in self.commits]

    def _decide_one(self, commit: Commit) -> Result:
        claim = commit.claim
        if claim and (record := self.keys.get((claim.scope, claim.key))):
            return AlreadyClaimed(record)
        try:
            effects = self._effects(commit)
        except REFUSALS as error:
            response = commit.context.run(commit.refusal_response, error) if claim else None
            if claim and response:
                self._claim(claim, response)
            return Refused(error, response)
        self._keep(commit, effects)
        if commit.received:
            told_something = effects.answers or effects.rows
            self.received.append((commit.received, "applied" if told_something else "stale"))
        if claim:
            self._claim(claim, effects.response)
        elif commit.finishes and effects.response:
            self.finished[commit.finishes] = effects.response
        elif commit.finishes and effects.releases:
            self.released.append(commit.finishes)
        locked = {id: self.rows[id] for _, id in commit.also if id in self.rows}
        return Done(
            effects.payment or self.payments.get(commit.payment_id or ""),
            effects.response,
            effects.attempt,
            locked | {row.id: row for _, row in effects.rows},
        )

    def _effects(self, commit: Commit) -> Effects:
        """Decide and try the postings; raises a refusal before anything of the batch has changed."""
        for name in commit.accounts:
            if name not in self.accounts and commit.needs_accounts:
                raise UnknownAccount(name)
        assert self.now is not None
        payment = self.payments.get(commit.payment_id) if commit.payment_id else None
        rows = {id: self.rows[id] for _, id in commit.also if id in self.rows}
        accounts = {name: self.accounts[name] for name in commit.accounts if name in self.accounts}
        effects = commit.context.run(commit.decide, Locked(payment, rows, self.now, accounts))
        if written := effects.written:
            touched = apply(self.accounts, (p for journal in written for p in journal.postings), self.trail)
            self.accounts |= touched
            self.touched_accounts |= touched
        return effects

    def _keep(self, commit: Commit, effects: Effects) -> None:
        if effects.payment:
            is_new = commit.payment_id is None or effects.payment.id in self.new_payments
            (self.new_payments if is_new else self.changed_payments)[effects.payment.id] = effects.payment
            self.payments[effects.payment.id] = effects.payment
        for kind, row in effects.rows:
            is_new = row.id not in self.rows or row.id in self.new_rows
            (self.new_rows if is_new else self.changed_rows)[row.id] = (kind, row)
            self.rows[row.id] = row
        if effects.attempt:
            self.new_attempts.append(effects.attempt)
        self.answers.extend(effects.answers)
        self.journals.extend(effects.written)
        self.events.extend(effects.events)

    def _claim(self, claim: Claim, response: StoredResponse | None) -> None:
        self.claims.append((claim, response))
        self.keys[claim.scope, claim.key] = KeyRecord(claim.fingerprint, claim.subject, response)


async def _write(conn: AsyncConnection, batch: _Batch) -> None:
    """One statement for nearly all; a second for what must see it: answers to questions that the same flush may have
    written, and journals, which triggers want after their transfers."""
    writes = Writes()
    if batch.claims:
        claims = writes.add(*idempotency.inserting(idempotency_key, batch.claims))
    if batch.new_payments:
        payments.insert(writes, batch.new_payments.values())
    if batch.changed_payments:
        payments.update(writes, batch.changed_payments.values())
    for kind, rows in _by_kind(batch.new_rows.values()):
        kind.insert(writes, rows)
    for kind, rows in _by_kind(batch.changed_rows.values()):
        kind.update(writes, rows)
    if batch.new_attempts:
        attempts.insert(writes, batch.new_attempts)
    if batch.journals:
        ledger.append(writes, batch.journals, batch.trail, batch.touched_accounts.values())
    if batch.received:
        _insert_received(writes, batch.received)
    if batch.events:
        writes.add(*appending(outbox, batch.events))
    if batch.finished:
        writes.add(*idempotency.finishing(idempotency_key, batch.finished))
    if batch.released:
        writes.add(*idempotency.releasing(idempotency_key, batch.released))
    counts = await writes.run(conn)
    if batch.claims and counts[claims] < len(batch.claims):
        raise TryFlushAgain  # another process claimed between our read and now
    following = Writes()
    if batch.answers:
        attempts.record_answers(following, batch.answers)
    if batch.journals:
        ledger.close(following, batch.journals)
    await following.run(conn)


_INSERT_RECEIVED = text(
    f"INSERT INTO {channel_event.fullname} (channel, event_id, attempt_id, body, effect)"  # noqa: S608
    " SELECT * FROM unnest(CAST(:channels AS text[]), CAST(:event_ids AS text[]), CAST(:attempt_ids AS text[]),"
    " CAST(:bodies AS jsonb[]), CAST(:effects AS text[])) ON CONFLICT (channel, event_id) DO NOTHING"
)


def _insert_received(writes: Writes, received: Sequence[tuple[ChannelEventReceived, str]]) -> None:
    writes.add(
        _INSERT_RECEIVED,
        {
            "channels": [r.channel for r, _ in received],
            "event_ids": [r.event_id for r, _ in received],
            "attempt_ids": [r.attempt_id for r, _ in received],
            "bodies": [r.body.decode() for r, _ in received],
            "effects": [effect for _, effect in received],
        },
    )


def postings_accounts(postings: Sequence[Posting]) -> tuple[AccountName, ...]:
    """The accounts that a commit must declare for these postings."""
    return tuple({name: None for p in postings for name in (p.debit, p.credit)})
