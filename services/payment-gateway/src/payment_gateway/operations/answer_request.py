"""From the result of a commit to the one answer that a request gets, and its repetitions get again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from payment_gateway.domain.objects import payment_object, refund_object
from payment_gateway.domain.payment import Payment, Status
from payment_gateway.domain.refund import Refund
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.problems import problem_of
from payment_gateway.store import payments
from payment_gateway.store.commit import AlreadyClaimed, Commit, Done, Refused
from platform_kit.idempotency import Claim, KeyInProgress, StoredResponse

PENDING = frozenset({Status.PROCESSING, Status.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body to send; `replayed` marks the repetition of a stored one."""

    status: int
    body: bytes
    replayed: bool = False


def payment_response(payment: Payment, status: int = 201) -> StoredResponse:
    """The final answer about a payment. A decline is a result: it is created like any other."""
    return StoredResponse(status, orjson.dumps(payment_object(payment)))


def refund_response(refund: Refund) -> StoredResponse:
    return StoredResponse(201, orjson.dumps(refund_object(refund)))


def accepted(body: dict[str, Any]) -> Answer:
    """Not final yet: ask again later. The key stays open and will answer with the outcome."""
    return Answer(202, orjson.dumps(body))


async def claim(deps: Deps, commit: Commit) -> Done | Answer:
    """Commit under a key. The result of this request's own work, or the answer that the key gives from now on.

    Raises KeyReused, KeyInProgress, or the Problem of a refusal that the key may try again.
    """
    assert commit.claim is not None
    match await deps.committer.submit(commit):
        case Done() as done:
            return done
        case Refused(response=StoredResponse() as stored):
            return Answer(stored.status, stored.body)
        case Refused(error=error):
            raise problem_of(error)
        case AlreadyClaimed(record=record):
            if record.response is None and record.fingerprint == commit.claim.fingerprint:
                return await _still_open(deps, record.subject)
            stored = record.replay_for(commit.claim)
            return Answer(stored.status, stored.body, replayed=True)


async def _still_open(deps: Deps, subject: str) -> Answer:
    """The key's request has not ended. While its sender works: 409. When the answer was lost: how it stands."""
    async with deps.engine.connect() as connection:
        payment = await payments.get(connection, subject, merchant_id=None)
    if payment is None or payment.status is not Status.UNKNOWN:
        raise KeyInProgress()
    return Answer(202, orjson.dumps(payment_object(payment)), replayed=True)


async def find_stored(deps: Deps, wanted: Claim) -> Answer | None:
    """The stored answer of a repeated key, before any work is done for it. Raises KeyReused or KeyInProgress."""
    record = await deps.replays.submit(wanted)
    if record is None:
        return None
    if record.response is None and record.fingerprint == wanted.fingerprint:
        return await _still_open(deps, record.subject)
    stored = record.replay_for(wanted)
    return Answer(stored.status, stored.body, replayed=True)
