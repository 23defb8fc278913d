"""Ask a channel and record what came of it. Every path to an outcome ends in `commit_of_answer`: the request that
asked, the channel's own report, and the resolver; so none of them can tell the story twice or differently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import orjson

from payment_gateway.domain.answer import (
    Change,
    SuccessOutOfTurn,
    accounts_of,
    change_payment,
    change_refund,
    with_fee,
)
from payment_gateway.domain.attempt import (
    ActionRequired,
    Attempt,
    Declined,
    NotProcessed,
    Operation,
    Outcome,
    Succeeded,
    Unknown,
    checked,
    next_resolve_at,
)
from payment_gateway.domain.fees import FeePlan
from payment_gateway.domain.ledger import Journal
from payment_gateway.domain.objects import payment_object, refund_object
from payment_gateway.domain.postings import platform_account
from payment_gateway.operations.answer_request import (
    Answer,
    created_status,
    payment_response,
    refund_response,
)
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.events import payment_event
from payment_gateway.operations.problems import ChannelRefused, NoChannel, stored_problem
from payment_gateway.operations.record_late_success import record_late_success
from payment_gateway.store import attempts, refunds
from payment_gateway.store.commit import ChannelEventReceived, Commit, Done, Effects, Locked, Refused
from platform_kit import canonical
from platform_kit.committer import CommitUnknown, NotCommitted
from platform_kit.idempotency import Claim, StoredResponse
from platform_kit.ids import new_id
from platform_kit.outbox import Event

GIVEN_UP = frozenset({"declined", "not_processed"})
"""Recorded outcomes of an authorisation after which a success is news, and too late."""
ACTION_POLL = timedelta(seconds=30)  # a channel's report may get lost; a payer takes about a minute


async def ask_and_record(
    deps: Deps, merchant_id: str, attempt: Attempt, details: Mapping[str, Any]
) -> Answer:
    """Send the question, make its outcome durable, and answer the client who waits for it.

    Raises NoChannel for a capture or void that provably never reached the channel, CommitUnknown when the outcome could
    not be recorded now: the resolver will.
    """
    outcome = await deps.channels[attempt.channel].send(attempt, details)
    return await record_and_answer(deps, merchant_id, attempt, outcome)


async def record_and_answer(deps: Deps, merchant_id: str, attempt: Attempt, outcome: Outcome) -> Answer:
    """Make an outcome durable and answer the client who waits for it. Raises as `ask_and_record` does."""
    try:
        done = await record(deps, merchant_id, attempt, outcome)
        if _did_nothing(attempt, outcome):
            raise NoChannel()
        return await _answer(deps, attempt, done)
    except NotCommitted:
        raise CommitUnknown() from None  # the channel has been asked: "nothing happened" would be a lie


async def record(
    deps: Deps,
    merchant_id: str,
    attempt: Attempt,
    outcome: Outcome,
    *,
    tries: int = 0,
    received: ChannelEventReceived | None = None,
) -> Done:
    """Commit an outcome. Recording the same attempt again, in whatever order, changes nothing.

    Raises SuccessOutOfTurn for a report whose meaning depends on a void that is under way: it is to be told again.
    """
    outcome = checked(outcome, attempt)
    canonical.add(payment_id=attempt.payment_id, attempt_id=attempt.id, outcome=type(outcome).__name__)
    plan = await deps.terms.fee_plan_of(merchant_id) if isinstance(outcome, Succeeded) else None
    commit = commit_of_answer(merchant_id, attempt, outcome, tries, received, plan)
    result = await deps.committer.submit(commit)
    if isinstance(result, Refused) and isinstance(result.error, SuccessOutOfTurn):
        assert isinstance(outcome, Succeeded)
        return await _record_out_of_turn(deps, attempt, outcome, received)
    assert isinstance(result, Done), f"recording an outcome is never refused: {result}"
    return result


async def _record_out_of_turn(
    deps: Deps, attempt: Attempt, outcome: Succeeded, received: ChannelEventReceived | None
) -> Done:
    """A success that we had given up is given back. An attempt that was given up stays so: the reading cannot age."""
    async with deps.engine.connect() as connection:
        recorded = await attempts.recorded_outcome(connection, attempt.id)
    if recorded in GIVEN_UP:
        return await record_late_success(deps, attempt, outcome, received)
    if received and recorded != "succeeded":
        raise SuccessOutOfTurn(attempt.id)
    result = await deps.committer.submit(
        Commit(lambda _: Effects(), payment_id=attempt.payment_id, received=received)
    )
    assert isinstance(result, Done)
    return result


async def _answer(deps: Deps, attempt: Attempt, done: Done) -> Answer:
    """The final object, or 202 with how it stands while the outcome is not known.

    When the channel's report or the resolver was quicker than we, or our own COMMIT's answer was lost, the final answer
    is already stored under the key.
    """
    stored = done.response
    if stored is None and attempt.claim is not None:
        scope, key = attempt.claim
        record = await deps.replays.submit(Claim(scope, key, b"", attempt.id))
        stored = record.response if record else None
    if stored:
        return Answer(stored.status, stored.body)
    if attempt.refund_id:
        return Answer(202, orjson.dumps(refund_object(done.rows[attempt.refund_id])))
    assert done.payment is not None
    return Answer(202, orjson.dumps(payment_object(done.payment)))


def commit_of_answer(
    merchant_id: str,
    attempt: Attempt,
    outcome: Outcome,
    tries: int = 0,
    received: ChannelEventReceived | None = None,
    plan: FeePlan | None = None,
) -> Commit:
    """The outcome of `attempt` as a commit; `tries` is how often the channel was asked about it before. Under a fee
    `plan` a capture's journal has the fee as a further posting."""

    def decide(locked: Locked) -> Effects:
        assert locked.payment is not None
        if attempt.operation is Operation.REFUND:
            refund = locked.rows[str(attempt.refund_id)]
            change = change_refund(attempt, outcome, locked.payment, refund, locked.now)
        else:
            change = change_payment(attempt, outcome, locked.payment, locked.now)
            change = with_fee(change, locked.payment, plan) if change and plan else change
        return _effects(attempt, outcome, change, _due_at(outcome, change, tries, locked.now), locked.now)

    accounts = accounts_of(attempt, merchant_id) if isinstance(outcome, Succeeded) else ()
    if accounts and plan and attempt.operation is not Operation.REFUND:
        accounts = (*accounts, platform_account("fees", attempt.currency))
    return Commit(
        decide=decide,
        payment_id=attempt.payment_id,
        also=((refunds, attempt.refund_id),) if attempt.refund_id else (),
        accounts=accounts,
        finishes=attempt.claim,
        received=received,
    )


def _effects(
    attempt: Attempt, outcome: Outcome, change: Change | None, due_at: datetime | None, at: datetime
) -> Effects:
    if change is None:
        return Effects()
    journal = Journal(new_id("je"), change.payment.id, change.postings) if change.postings else None
    events: tuple[Event, ...] = ()
    if change.event:
        told = payment_event(
            change.event,
            change.payment,
            refund=change.refund,
            journal=journal,
            attempt=attempt,
            outcome=outcome,
            at=at,
        )
        events = (told,)
    return Effects(
        payment=change.payment,
        rows=((refunds, change.refund),) if change.refund else (),
        answers=((attempt, outcome, due_at), *_of_authorisation(attempt, outcome, change, at)),
        journal=journal,
        events=events,
        response=_response(attempt, outcome, change),
        releases=_did_nothing(attempt, outcome),
    )


def _of_authorisation(
    attempt: Attempt, outcome: Outcome, change: Change, at: datetime
) -> tuple[tuple[Attempt, Outcome, datetime | None], ...]:
    """What the end of an action that the payer had not taken means for its authorisation: given up, and nobody asks
    about it any more; or not given up, and it is asked about at once: a report of it may have come in between."""
    if attempt.operation not in (Operation.VOID, Operation.EXPIRE) or not change.is_final:
        return ()
    if change.payment.authorised_by is not None or attempt.original is None:
        return ()
    authorisation = replace(attempt, id=attempt.original, operation=Operation.AUTHORISE)
    if isinstance(outcome, Succeeded):
        return ((authorisation, Declined("cancelled"), None),)
    return ((authorisation, Unknown("not-cancelled"), at),)


def _did_nothing(attempt: Attempt, outcome: Outcome) -> bool:
    """A capture or void that never reached the channel: the client may repeat it with the same key."""
    return isinstance(outcome, NotProcessed) and attempt.operation in (
        Operation.CAPTURE,
        Operation.FINAL_CAPTURE,
        Operation.VOID,
        Operation.EXPIRE,
    )


def _due_at(outcome: Outcome, change: Change | None, tries: int, now: datetime) -> datetime | None:
    """When the resolver asks (again); None once there is nothing left to find out."""
    if change is None or change.is_final:
        return None
    return now + ACTION_POLL if isinstance(outcome, ActionRequired) else next_resolve_at(tries, now)


def _response(attempt: Attempt, outcome: Outcome, change: Change) -> StoredResponse | None:
    """The client's final answer: also for an action that is now the payer's, but not while we do not know."""
    if _did_nothing(attempt, outcome) or (not change.is_final and not isinstance(outcome, ActionRequired)):
        return None
    match attempt.operation:
        case Operation.AUTHORISE:
            return payment_response(change.payment, created_status(attempt.claim))
        case Operation.REFUND:
            assert change.refund is not None
            return refund_response(change.refund)
        case _ if isinstance(outcome, Succeeded):
            return payment_response(change.payment, 200)
        case _:
            code = getattr(outcome, "code", "refused")
            detail = "The channel did not do it; nothing moved. Use a new key to try again."
            return stored_problem(ChannelRefused(detail, channel_code=code))
