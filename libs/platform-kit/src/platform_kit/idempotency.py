"""Idempotency keys: one row per (scope, key), written in the same transaction as the effect.

Header per IETF draft-ietf-httpapi-idempotency-key-header-07 (a structured-field string) and bare, as Stripe takes it.
The scope is the caller and the route, so that the same key on another route is unrelated; the fingerprint says
whether a repeated key carries the same request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Column, DateTime, LargeBinary, MetaData, SmallInteger, String, Table, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.datastructures import Headers

from platform_kit.problems import Problem

HEADER = "Idempotency-Key"
REPLAY_HEADER = "Idempotent-Replayed"
LIFETIME = timedelta(hours=72)  # published; Stripe keeps keys for at least 24 hours
KEY_LENGTH_MAX = 255
CLOSED = b""
"""Fingerprint of a key that was closed before any request came with it: its answer is for every request."""

Fingerprint = Callable[[str, bytes], bytes]
"""Of a path and a body, as `fingerprint_of`."""


class KeyMissing(Problem):
    status, code, title = 400, "idempotency-key-missing", "This request needs an Idempotency-Key"


class KeyInvalid(Problem):
    status, code, title = 400, "idempotency-key-invalid", "The Idempotency-Key is not acceptable"


class KeyReused(Problem):
    status, code, title = 422, "idempotency-key-reuse", "This key was used with another request"


class KeyInProgress(Problem):
    status, code, title = 409, "idempotency-in-progress", "A request with this key is still being worked on"

    def __init__(self) -> None:
        super().__init__("Nothing was done by this request; ask again shortly.", headers={"Retry-After": "1"})


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """What a finished key answers to every repetition, byte for byte."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """The wish to act once under a key. `subject` names what the action works on (for example a payment's id)."""

    scope: str
    key: str
    fingerprint: bytes
    subject: str


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A client's key as it came with a request. `scope` is where it counts; None = the caller's own route."""

    key: str
    fingerprint: bytes
    scope: str | None = None

    def claim(self, route: str, subject: str) -> Claim:
        """The wish to act on `subject` once. `route` is the scope of a key that has none of its own."""
        return Claim(self.scope or route, self.key, self.fingerprint, subject)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as stored; `response` is None while its request is in progress."""

    fingerprint: bytes
    subject: str
    response: StoredResponse | None

    def replay_for(self, claim: Claim) -> StoredResponse:
        """The stored response, or the refusal: KeyReused for another request, KeyInProgress while unfinished."""
        if self.fingerprint not in (claim.fingerprint, CLOSED):
            raise KeyReused("Use a new key for a new request.")
        if self.response is None:
            raise KeyInProgress()
        return self.response


def key_of(headers: Headers) -> str:
    """The request's key, without the quotes of the structured form. Raises KeyMissing or KeyInvalid."""
    values = headers.getlist(HEADER)
    if not values:
        raise KeyMissing(f"Send a unique {HEADER} header; repeat it when you repeat the request.")
    value = values[0].strip()
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    if (
        len(values) > 1
        or not 1 <= len(value) <= KEY_LENGTH_MAX
        or not (value.isascii() and value.isprintable())
    ):
        raise KeyInvalid(f"Send one {HEADER} of 1 to {KEY_LENGTH_MAX} printable ASCII characters.")
    return value


def fingerprint_of(path: str, body: bytes) -> bytes:
    """Tells one request from another under the same key: the concrete path and the exact bytes."""
    return hashlib.blake2b(path.encode() + b"\n" + body, digest_size=16).digest()


def idempotency_table(metadata: MetaData) -> Table:
    """`idempotency_key` of a service. A row with no `status` is a claim in progress."""
    return Table(
        "idempotency_key",
        metadata,
        Column("scope", String(collation="C"), primary_key=True),
        Column("key", String(collation="C"), primary_key=True),
        Column("fingerprint", LargeBinary, nullable=False),
        Column("subject", String(collation="C"), nullable=False),
        Column("status", SmallInteger),
        Column("body", LargeBinary),
        Column(
            "created_at", DateTime(timezone=True), nullable=False, server_default=text("now()"), index=True
        ),
    )


async def find(
    conn: AsyncConnection, table: Table, claims: Sequence[Claim]
) -> dict[tuple[str, str], KeyRecord]:
    """The stored rows of these (scope, key) pairs; by primary key."""
    statement = text(f"SELECT {', '.join(COLUMNS)} {where_wanted(table)}")
    parameters = {"scopes": [c.scope for c in claims], "keys": [c.key for c in claims]}
    return records(await conn.execute(statement, parameters))


COLUMNS: Final = ("k.scope", "k.key", "k.fingerprint", "k.subject", "k.status", "k.body")
"""What `records` reads, in its order."""


def where_wanted(table: Table) -> str:
    """The rest of a SELECT of keys after its columns; parameters `scopes` and `keys`."""
    return (
        f"FROM {table.fullname} k"
        " JOIN unnest(CAST(:scopes AS text[]), CAST(:keys AS text[])) AS wanted (scope, key)"
        " ON k.scope = wanted.scope AND k.key = wanted.key"
    )


def records(rows: Iterable[Sequence[Any]]) -> dict[tuple[str, str], KeyRecord]:
    """By (scope, key)."""
    found = {}
    for scope, key, fingerprint, subject, status, body in rows:
        response = None if status is None else StoredResponse(status, bytes(body))
        found[scope, key] = KeyRecord(bytes(fingerprint), subject, response)
    return found


async def insert(
    conn: AsyncConnection, table: Table, claims: Sequence[tuple[Claim, StoredResponse | None]]
) -> int:
    """Insert claims, open or finished; returns how many this call won. The others belong to somebody who committed
    first."""
    return (await conn.execute(*inserting(table, claims))).rowcount


def inserting(
    table: Table, claims: Sequence[tuple[Claim, StoredResponse | None]]
) -> tuple[TextClause, dict[str, Any]]:
    """The statement of `insert` and its parameters. Keys in order, so two callers never deadlock."""
    ordered = sorted(claims, key=lambda c: (c[0].scope, c[0].key))
    return _statements(table)["insert"], {
        "scopes": [c.scope for c, _ in ordered],
        "keys": [c.key for c, _ in ordered],
        "fingerprints": [c.fingerprint for c, _ in ordered],
        "subjects": [c.subject for c, _ in ordered],
        "statuses": [r.status if r else None for _, r in ordered],
        "bodies": [r.body if r else None for _, r in ordered],
    }


async def finish(
    conn: AsyncConnection, table: Table, responses: Mapping[tuple[str, str], StoredResponse]
) -> None:
    """Store the responses of open claims by (scope, key); a key that is already finished keeps its answer."""
    await conn.execute(*finishing(table, responses))


def finishing(
    table: Table, responses: Mapping[tuple[str, str], StoredResponse]
) -> tuple[TextClause, dict[str, Any]]:
    """The statement of `finish` and its parameters."""
    return _statements(table)["finish"], {
        "scopes": [scope for scope, _ in responses],
        "keys": [key for _, key in responses],
        "statuses": [response.status for response in responses.values()],
        "bodies": [response.body for response in responses.values()],
    }


def releasing(table: Table, keys: Sequence[tuple[str, str]]) -> tuple[TextClause, dict[str, Any]]:
    """The statement that gives open claims back, and its parameters: their request did nothing, and the same key may
    try again."""
    return _statements(table)["release"], {"scopes": [s for s, _ in keys], "keys": [k for _, k in keys]}


@lru_cache(maxsize=8)
def _statements(table: Table) -> dict[str, TextClause]:
    name = table.fullname
    sources = {
        "insert": f"INSERT INTO {name} (scope, key, fingerprint, subject, status, body)"  # noqa: S608 - our own names
        " SELECT * FROM unnest(CAST(:scopes AS text[]), CAST(:keys AS text[]), CAST(:fingerprints AS bytea[]),"
        " CAST(:subjects AS text[]), CAST(:statuses AS smallint[]), CAST(:bodies AS bytea[]))"
        " ON CONFLICT (scope, key) DO NOTHING",
        "finish": f"UPDATE {name} k SET status = done.status, body = done.body"  # noqa: S608 - our own names
        " FROM unnest(CAST(:scopes AS text[]), CAST(:keys AS text[]), CAST(:statuses AS smallint[]),"
        " CAST(:bodies AS bytea[])) AS done (scope, key, status, body)"
        " WHERE k.scope = done.scope AND k.key = done.key AND k.status IS NULL",
        "release": f"DELETE FROM {name} k"  # noqa: S608 - our own names
        " USING unnest(CAST(:scopes AS text[]), CAST(:keys AS text[])) AS given (scope, key)"
        " WHERE k.scope = given.scope AND k.key = given.key AND k.status IS NULL",
    }
    return {purpose: text(source) for purpose, source in sources.items()}


async def reap(conn: AsyncConnection, table: Table, before: datetime) -> int:
    """Delete finished keys older than `before`; an expired key is a new request. Returns how many went."""
    statement = text(f"DELETE FROM {table.fullname} WHERE created_at < :before AND status IS NOT NULL")  # noqa: S608 - our own table name
    return (await conn.execute(statement, {"before": before})).rowcount
