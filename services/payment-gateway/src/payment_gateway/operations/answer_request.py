"""From the result of a commit to the one answer that a request gets, and its repetitions get again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from payment_gateway.domain.attempt import Attempt
from payment_gateway.domain.objects import payment_object, refund_object
from payment_gateway.domain.payment import Payment
from payment_gateway.domain.refund import Refund
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.problems import problem_of
from payment_gateway.store import attempts, payments, refunds
from payment_gateway.store.commit import AlreadyClaimed, Commit, Done, Refused
from platform_kit.idempotency import Claim, KeyInProgress, KeyRecord, StoredResponse


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body to send; `replayed` marks the repetition of a stored one."""

    status: int
    body: bytes
    replayed: bool = False

    @property
    def object(self) -> dict[str, Any]:
        """The body, parsed."""
        parsed: dict[str, Any] = orjson.loads(self.body)
        return parsed


def payment_response(payment: Payment, status: int = 201) -> StoredResponse:
    """The final answer about a payment. A decline is a result: it is created like any other."""
    return StoredResponse(status, orjson.dumps(payment_object(payment)))


CREATE_ROUTE: Final = "POST /v1/payments"


def created_status(claimed: tuple[str, str] | None) -> int:
    """201 for the key that created the payment, 200 for one that confirmed it later."""
    return 201 if claimed is None or claimed[0].endswith(f" {CREATE_ROUTE}") else 200


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
        case AlreadyClaimed(record=record) if record.subject == commit.claim.subject:
            return await _own_commit(deps, record)
        case AlreadyClaimed(record=record):
            return await _replay(deps, record, commit.claim)


async def find_stored(deps: Deps, wanted: Claim) -> Answer | None:
    """The stored answer of a repeated key, before any work is done for it. Raises KeyReused or KeyInProgress."""
    record = await deps.replays.submit(wanted)
    return await _replay(deps, record, wanted) if record else None


async def _replay(deps: Deps, record: KeyRecord, wanted: Claim) -> Answer:
    """What an earlier request with this key was answered. While its sender works: 409; once its answer is lost: how
    the payment stands."""
    if record.response is None and record.fingerprint == wanted.fingerprint:
        return await _still_open(deps, record)
    stored = record.replay_for(wanted)
    return Answer(stored.status, stored.body, replayed=True)


async def _still_open(deps: Deps, record: KeyRecord) -> Answer:
    """202 with how it stands once the channel's answer is lost; 409 while the sender is still waiting for it."""
    async with deps.engine.connect() as connection:
        attempt = await attempts.get(connection, record.subject)
        if attempt is None or await attempts.recorded_outcome(connection, attempt.id) != "unknown":
            raise KeyInProgress()
        if attempt.refund_id is not None:
            found = await refunds.of_payment(connection, attempt.payment_id)
            shown = next(refund_object(refund) for refund in found if refund.id == attempt.refund_id)
        else:
            payment = await payments.get(connection, attempt.payment_id, merchant_id=None)
            assert payment is not None
            shown = payment_object(payment)
    return Answer(202, orjson.dumps(shown), replayed=True)


async def _own_commit(deps: Deps, record: KeyRecord) -> Done | Answer:
    """The claim is this request's own: its COMMIT had happened although its answer was lost. Go on from there."""
    if record.response is not None:
        return Answer(record.response.status, record.response.body)
    attempt, payment = await _claimed(deps, record.subject)
    return Done(payment, None, attempt)


async def _claimed(deps: Deps, attempt_id: str) -> tuple[Attempt | None, Payment | None]:
    """The attempt that an open key waits for, and its payment."""
    async with deps.engine.connect() as connection:
        attempt = await attempts.get(connection, attempt_id)
        if attempt is None:
            return None, None
        return attempt, await payments.get(connection, attempt.payment_id, merchant_id=None)
