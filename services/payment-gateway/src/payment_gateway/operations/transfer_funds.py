"""Use the ledger by itself: open accounts with floors, and move money between them under a key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson

from payment_gateway.domain.ledger import AccountName, Journal, Posting, PostingKind
from payment_gateway.domain.ledger_hold import Hold, HoldClosed, HoldState
from payment_gateway.domain.ledger_journal import require_effective
from payment_gateway.domain.objects import hold_object, journal_object
from payment_gateway.operations.answer_request import Answer, claim
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.problems import AccountDiffers, stored_refusal
from payment_gateway.store import ledger, ledger_holds
from payment_gateway.store.commit import Commit, Effects, Locked, postings_accounts
from platform_kit.clock import isoformat
from platform_kit.idempotency import Claim, IdempotencyKey, StoredResponse
from platform_kit.ids import new_id
from platform_kit.outbox import Event


@dataclass(frozen=True, slots=True)
class Line:
    """`amount_minor` > 0 of `currency`, from the merchant's account `debit` to its account `credit`."""

    debit: str
    credit: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class TransferFunds:
    """All `lines` in one journal or none of them; `pending` (one line only) sets the amount aside instead."""

    merchant_id: str
    key: IdempotencyKey
    lines: tuple[Line, ...]
    linked: bool = False
    """Sent as a list: answered as a journal."""
    pending: bool = False
    expires_at: datetime | None = None
    expires_after_s: int | None = None
    effective_at: datetime | None = None
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


def own_account(merchant_id: str, name: str, currency: str) -> AccountName:
    """A merchant's own ledger accounts live beside, and apart from, those of its payments."""
    return AccountName(f"ledger:{merchant_id}", name, currency)


async def transfer_funds(deps: Deps, command: TransferFunds) -> Answer:
    """201 with the transfer (or the journal of several): key, balances, rows, event and stored response in one commit.

    Raises InsufficientFunds, AboveCeiling, UnknownAccount, HoldClosed, InvalidEffectiveTime, KeyReused, KeyInProgress,
    NotCommitted.
    """
    journal = journal_of(command)

    def decide(locked: Locked) -> Effects:
        return effects_of(command, journal, locked.now)

    commit = Commit(
        decide,
        accounts=postings_accounts(journal.postings),
        opens_accounts=False,
        weight=len(journal.postings),
        claim=claim_of(command.merchant_id, command.key, journal),
        refusal_response=stored_refusal,
    )
    done = await claim(deps, commit)
    if isinstance(done, Answer):
        return done
    assert done.response is not None
    return Answer(done.response.status, done.response.body)


def claim_of(merchant_id: str, key: IdempotencyKey, journal: Journal) -> Claim:
    """What a request for transfers claims, however many they are."""
    return key.claim(f"{merchant_id} POST /v1/ledger/transfers", journal.id)


def journal_of(command: TransferFunds) -> Journal:
    """The journal of the command's lines."""
    kind = PostingKind.PENDING if command.pending else PostingKind.POSTED
    postings = tuple(
        Posting(
            own_account(command.merchant_id, line.debit, line.currency),
            own_account(command.merchant_id, line.credit, line.currency),
            line.amount_minor,
            kind,
        )
        for line in command.lines
    )
    return Journal(
        new_id("je"),
        None,
        postings,
        merchant_id=command.merchant_id,
        hold_id=new_id("hld") if command.pending else None,
        description=command.description,
        metadata=command.metadata,
        effective_at=command.effective_at,
    )


def effects_of(command: TransferFunds, journal: Journal, now: datetime) -> Effects:
    """What the command writes at `now`, and its answer. Raises EffectiveTimeRefused or HoldClosed."""
    require_effective(command.effective_at, now)
    hold = _hold_of(command, journal, now)
    shown = _shown(command, journal, now)
    if hold is not None:
        shown["hold"] = hold_object(hold)
    event = Event(
        id=new_id("evt"),
        type="ledger.hold_placed.v1" if hold else "ledger.transfer_posted.v1",
        aggregate_id=journal.id,
        merchant_id=command.merchant_id,
        data={"transfer": shown, "journal": journal_object(journal)},
        occurred_at=now,
    )
    return Effects(
        rows=((ledger_holds, hold),) if hold else (),
        journal=journal,
        events=(event,),
        response=StoredResponse(201, orjson.dumps(shown)),
    )


def _hold_of(command: TransferFunds, journal: Journal, now: datetime) -> Hold | None:
    """The hold that a pending transfer places; one whose time is over already is refused."""
    if journal.hold_id is None:
        return None
    expires_at = command.expires_at
    if command.expires_after_s is not None:
        expires_at = now + timedelta(seconds=command.expires_after_s)
    posting = journal.postings[0]
    hold = Hold(journal.hold_id, posting.debit, posting.credit, posting.amount_minor, expires_at)
    if hold.is_over(now):
        raise HoldClosed(HoldState.EXPIRED)
    return hold


def _shown(command: TransferFunds, journal: Journal, now: datetime) -> dict[str, Any]:
    about: dict[str, Any] = {"id": journal.id, "created_at": isoformat(now)}
    if command.effective_at is not None:
        about["effective_at"] = isoformat(command.effective_at)
    if command.description is not None:
        about["description"] = command.description
    if command.metadata:
        about["metadata"] = command.metadata
    lines = [
        {
            "debit_account": line.debit,
            "credit_account": line.credit,
            "amount_minor": line.amount_minor,
            "currency": line.currency,
        }
        for line in command.lines
    ]
    if command.linked:
        return about | {"object": "journal", "transfers": lines}
    return about | {"object": "transfer"} | lines[0]


async def open_account(
    deps: Deps, name: AccountName, floor_minor: int | None, ceiling_minor: int | None = None
) -> None:
    """Open an account. One that is open with the same bounds stays as it is; with others: raises AccountDiffers."""
    async with deps.engine.begin() as connection:
        if await ledger.open_account(connection, name, floor_minor, ceiling_minor):
            return
        found = (await ledger.lock(connection, [name]))[name]
    if (found.floor_minor, found.ceiling_minor) != (floor_minor, ceiling_minor):
        raise AccountDiffers(
            "Nothing was changed.", floor_minor=found.floor_minor, ceiling_minor=found.ceiling_minor
        )
