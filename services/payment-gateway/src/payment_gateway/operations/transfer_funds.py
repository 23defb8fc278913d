"""Use the ledger by itself: open accounts with floors, and move money between them under a key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from payment_gateway.domain.ledger import Account, AccountName, Journal, Posting
from payment_gateway.domain.objects import journal_object
from payment_gateway.operations.answer_request import Answer, claim
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.problems import stored_refusal
from payment_gateway.store import ledger
from payment_gateway.store.commit import Commit, Effects, Locked
from platform_kit.clock import isoformat
from platform_kit.idempotency import Claim, StoredResponse
from platform_kit.ids import new_id
from platform_kit.outbox import Event

ACCOUNTS_MAX = 1000  # of one listing


@dataclass(frozen=True, slots=True)
class TransferFunds:
    """`amount_minor` > 0 of `currency`, from the merchant's account `debit` to its account `credit`."""

    merchant_id: str
    key: str
    fingerprint: bytes
    debit: str
    credit: str
    amount_minor: int
    currency: str


def own_account(merchant_id: str, name: str, currency: str) -> AccountName:
    """A merchant's own ledger accounts live beside, and apart from, those of its payments."""
    return AccountName(f"ledger:{merchant_id}", name, currency)


async def transfer_funds(deps: Deps, command: TransferFunds) -> Answer:
    """201 with the transfer: key, balances, transfer, event and stored response in one commit.

    Raises InsufficientFunds, UnknownAccount, KeyReused, KeyInProgress, NotCommitted.
    """
    debit = own_account(command.merchant_id, command.debit, command.currency)
    credit = own_account(command.merchant_id, command.credit, command.currency)
    journal = Journal(new_id("je"), None, (Posting(debit, credit, command.amount_minor),))
    wanted = Claim(
        f"{command.merchant_id} POST /v1/ledger/transfers", command.key, command.fingerprint, journal.id
    )
    transfer = {
        "id": journal.id,
        "object": "transfer",
        "debit_account": command.debit,
        "credit_account": command.credit,
        "amount_minor": command.amount_minor,
        "currency": command.currency,
    }

    def decide(locked: Locked) -> Effects:
        posted = transfer | {"created_at": isoformat(locked.now)}
        event = Event(
            id=new_id("evt"),
            type="ledger.transfer_posted.v1",
            aggregate_id=journal.id,
            merchant_id=command.merchant_id,
            data={"transfer": posted, "journal": journal_object(journal)},
            occurred_at=locked.now,
        )
        response = StoredResponse(201, orjson.dumps(posted))
        return Effects(journal=journal, events=(event,), response=response)

    commit = Commit(
        decide,
        accounts=(debit, credit),
        opens_accounts=False,
        claim=wanted,
        refusal_response=stored_refusal,
    )
    done = await claim(deps, commit)
    if isinstance(done, Answer):
        return done
    assert done.response is not None
    return Answer(done.response.status, done.response.body)


async def open_account(deps: Deps, name: AccountName, floor_minor: int | None) -> None:
    """Open an account; one that is open already stays as it is."""
    async with deps.engine.begin() as connection:
        await ledger.open_account(connection, name, floor_minor)


async def list_accounts(deps: Deps, merchant_id: str) -> Sequence[Account]:
    """The merchant's own ledger accounts and those of its payments."""
    async with deps.engine.connect() as connection:
        own = await ledger.accounts_of(connection, f"ledger:{merchant_id}", ACCOUNTS_MAX)
        return [*own, *await ledger.accounts_of(connection, f"merchant:{merchant_id}", ACCOUNTS_MAX)]
