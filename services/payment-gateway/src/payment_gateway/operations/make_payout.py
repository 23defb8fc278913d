"""Payouts: made by hand or by the daily job, cancelled while they are not sent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import orjson

from payment_gateway.domain import payout as machine
from payment_gateway.domain.ledger import AccountName, InsufficientFunds, Journal
from payment_gateway.domain.payment import OperationInProgress
from payment_gateway.domain.payout import Payout, PayoutChange, PayoutEvent, PayoutStatus, payout_object
from payment_gateway.domain.postings import merchant_account, platform_account
from payment_gateway.operations.answer_request import Answer, claim, find_stored
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.money_events import payout_event
from payment_gateway.operations.problems import stored_refusal
from payment_gateway.store import payouts, terms
from payment_gateway.store.commit import Commit, Done, Effects, Locked
from payment_gateway.store.pages import Page, Window
from payment_gateway.store.tenancy import as_merchant
from payment_gateway.store.terms import Payable
from platform_kit import canonical
from platform_kit.idempotency import Claim, IdempotencyKey, StoredResponse
from platform_kit.ids import new_id
from platform_kit.problems import NotFound

SCHEDULE_MAX = 200  # payouts per run of the job


@dataclass(frozen=True, slots=True)
class MakePayout:
    """`amount_minor` > 0 of `currency` to the account behind `destination` (a token of docs/money.md)."""

    merchant_id: str
    key: IdempotencyKey
    amount_minor: int
    currency: str
    destination: str
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


async def make_payout(deps: Deps, command: MakePayout) -> Answer:
    """201 with the pending payout. Refused with insufficient-funds when the available balance does not hold it."""
    wanted = command.key.claim(f"{command.merchant_id} POST /v1/payouts", new_id("po"))
    if stored := await find_stored(deps, wanted):
        return stored

    def decide(locked: Locked) -> Effects:
        payout = Payout(
            id=wanted.subject,
            merchant_id=command.merchant_id,
            amount_minor=command.amount_minor,
            currency=command.currency,
            destination=command.destination,
            status=PayoutStatus.PENDING,
            created_at=locked.now,
            updated_at=locked.now,
            due_at=locked.now,
            description=command.description,
            metadata=command.metadata,
        )
        check_funds(locked, payout)
        return effects_of(machine.created(payout), 201)

    commit = Commit(
        decide,
        also=((payouts, wanted.subject),),
        accounts=accounts_of(command.merchant_id, command.currency),
        claim=wanted,
        refusal_response=stored_refusal,
    )
    return _answer(await claim(deps, commit))


async def cancel_payout(deps: Deps, merchant_id: str, payout_id: str, key: IdempotencyKey) -> Answer:
    """200 with the cancelled payout; 409 once it may have been sent."""
    payout = await get_payout(deps, merchant_id, payout_id)
    native = f"{merchant_id} POST /v1/payouts/{{id}}/cancel"
    wanted = key.claim(native, new_id("act"))
    if stored := await find_stored(deps, wanted):
        return stored
    commit = commit_of_move(payout, PayoutEvent.CANCEL, wanted=wanted, due=lambda _: None)
    return _answer(await claim(deps, commit))


async def schedule_payouts(deps: Deps) -> int:
    """The daily payout of all that is available, once per merchant, currency and UTC day; how many were made."""
    slot = deps.clock.now().strftime("%Y-%m-%d")
    async with deps.engine.connect() as connection:
        due = await terms.payable(connection, slot, SCHEDULE_MAX)
    made = [await _make_scheduled(deps, one, slot) for one in due]
    canonical.add(payouts_scheduled=sum(made))
    return sum(made)


async def _make_scheduled(deps: Deps, due: Payable, slot: str) -> bool:
    payout_id = f"po_{due.merchant_id.removeprefix('mer_')}_{due.currency.lower()}_{slot.replace('-', '')}"

    def decide(locked: Locked) -> Effects:
        amount = locked.accounts[merchant_account(due.merchant_id, "available", due.currency)].available_minor
        if payout_id in locked.rows or amount <= 0:
            raise OperationInProgress()  # another run was quicker
        payout = Payout(
            id=payout_id,
            merchant_id=due.merchant_id,
            amount_minor=amount,
            currency=due.currency,
            destination=due.destination,
            status=PayoutStatus.PENDING,
            created_at=locked.now,
            updated_at=locked.now,
            slot=slot,
            due_at=locked.now,
        )
        return effects_of(machine.created(payout))

    accounts = accounts_of(due.merchant_id, due.currency)
    done = await deps.committer.submit(Commit(decide, also=((payouts, payout_id),), accounts=accounts))
    return isinstance(done, Done)


def commit_of_move(
    payout: Payout,
    event: PayoutEvent,
    *,
    due: Callable[[datetime], datetime | None],
    wanted: Claim | None = None,
    failure_code: str | None = None,
) -> Commit:
    """A payout's next state under its lock; `due` says when it is looked at again."""

    def decide(locked: Locked) -> Effects:
        held: Payout = locked.rows[payout.id]
        change = machine.advanced(
            held, event, locked.now, due_at=due(locked.now), tries=held.tries + 1, failure_code=failure_code
        )
        return effects_of(change, 200 if wanted else None)

    return Commit(
        decide,
        also=((payouts, payout.id),),
        accounts=accounts_of(payout.merchant_id, payout.currency),
        claim=wanted,
        refusal_response=stored_refusal,
    )


def effects_of(change: PayoutChange, status: int | None = None) -> Effects:
    """What a change writes; `status` = also a client's answer."""
    journal = Journal(new_id("je"), None, change.postings) if change.postings else None
    body = StoredResponse(status, orjson.dumps(payout_object(change.payout))) if status else None
    return Effects(
        rows=((payouts, change.payout),),
        journal=journal,
        events=(payout_event(change, journal),),
        response=body,
    )


def check_funds(locked: Locked, payout: Payout) -> None:
    """The one place where a merchant could spend what it does not have. Raises InsufficientFunds."""
    account = merchant_account(payout.merchant_id, "available", payout.currency)
    if locked.accounts[account].available_minor < payout.amount_minor:
        raise InsufficientFunds(account)


def accounts_of(merchant_id: str, currency: str) -> tuple[AccountName, ...]:
    """The accounts that a payout may move."""
    own = (merchant_account(merchant_id, kind, currency) for kind in ("available", "payouts_in_transit"))
    return (*own, platform_account("bank", currency))


async def get_payout(deps: Deps, merchant_id: str, payout_id: str) -> Payout:
    """Raises NotFound, also for another merchant's payout."""
    found = None
    if payout_id.isascii() and payout_id.isprintable():
        async with as_merchant(deps.engine, merchant_id) as connection:
            found = await payouts.get(connection, payout_id, merchant_id)
    if found is None:
        raise NotFound("This merchant has no such payout.")
    return found


async def list_payouts(
    deps: Deps,
    merchant_id: str,
    window: Window,
    *,
    statuses: Collection[PayoutStatus] = (),
    destination: str | None = None,
) -> Page[Payout]:
    """Newest first; of these statuses, or all."""
    wanted = {"statuses": ",".join(statuses) or None, "destination": destination}
    async with as_merchant(deps.engine, merchant_id) as connection:
        return await payouts.page(connection, merchant_id, window, **wanted)


def _answer(done: Done | Answer) -> Answer:
    if isinstance(done, Answer):
        return done
    assert done.response is not None
    return Answer(done.response.status, done.response.body)
