"""A merchant's balances, what they consist of, and the terms they follow."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from itertools import groupby
from typing import Any, Final

from payment_gateway.domain.audit import THE_PLATFORM, Actor, Entry
from payment_gateway.domain.postings import FEES, MOVEMENTS
from payment_gateway.domain.terms import Terms
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.merchant_events import UPDATED, tell_merchant
from payment_gateway.store import audit_log, ledger, merchants, movements, terms
from payment_gateway.store.movements import Movement
from payment_gateway.store.pages import Window
from payment_gateway.store.tenancy import as_merchant
from platform_kit.clock import isoformat
from platform_kit.ids import is_id
from platform_kit.problems import NotFound

KINDS: Final = ("available", "pending", "reserve", "disputed", "payouts_in_transit")
TRANSACTION_ID: Final = re.compile(r"je_[0-9a-z]{26}(_[a-z]{3})?")
LINES_PER_JOURNAL: Final = 3  # of one merchant's pending and available: price, surcharge, fee

ACCOUNTS_MAX = 1000  # one for each kind and currency: far fewer


async def get_balance(deps: Deps, merchant_id: str) -> dict[str, Any]:
    """Per currency, in minor units. Available may be below zero: refunds and disputes of what was paid out."""
    async with as_merchant(deps.engine, merchant_id) as connection:
        accounts = await ledger.accounts_of(connection, [f"merchant:{merchant_id}"], None, ACCOUNTS_MAX)
    sums: dict[str, dict[str, int]] = {}
    for account in accounts:
        if account.name.kind in KINDS:
            kinds = sums.setdefault(account.name.currency, dict.fromkeys(KINDS, 0))
            kinds[account.name.kind] = account.credits_posted - account.debits_posted
    balances = [
        {"currency": currency, **{f"{kind}_minor": amount for kind, amount in kinds.items()}}
        for currency, kinds in sorted(sums.items())
    ]
    return {"object": "balance", "balances": balances}


async def list_movements(
    deps: Deps, merchant_id: str, window: Window, *, currency: str | None, payment_id: str | None = None
) -> tuple[Sequence[Mapping[str, Any]], bool]:
    """Balance transactions, one per journal and currency, newest first, and whether there are more in the window's
    direction, which names transactions; of one payment alone when it is named."""
    if payment_id is not None:
        return await _of_payment(deps, merchant_id, window, currency, payment_id)
    lines_max = (window.limit + 1) * LINES_PER_JOURNAL
    async with as_merchant(deps.engine, merchant_id) as connection:
        lines = await movements.of_window(connection, merchant_id, window, limit=lines_max, currency=currency)
    found = [list(group) for _, group in groupby(lines, key=_journal)]
    nearest = found[: window.limit]
    if window.after:
        nearest = [one[::-1] for one in nearest[::-1]]
    return [_transaction(one) for one in nearest], len(found) > window.limit


async def _of_payment(
    deps: Deps, merchant_id: str, window: Window, currency: str | None, payment_id: str
) -> tuple[Sequence[Mapping[str, Any]], bool]:
    found = [
        one
        for one in reversed(await movements_of_payment(deps, merchant_id, payment_id))
        if currency in (None, one["currency"]) and window.spans(datetime.fromisoformat(one["created_at"]))
    ]
    if window.after:  # the nearest first, and turned again
        nearest, has_more = _beyond(found[::-1], window.after, window.limit)
        return nearest[::-1], has_more
    return _beyond(found, window.before, window.limit)


def _beyond(
    found: Sequence[Mapping[str, Any]], named: str | None, limit: int
) -> tuple[Sequence[Mapping[str, Any]], bool]:
    """The first behind the one that is named; nothing behind one that is not in it."""
    ids = [one["id"] for one in found]
    rest = found if named is None else found[ids.index(named) + 1 :] if named in ids else ()
    return rest[:limit], len(rest) > limit


async def movements_of_payment(deps: Deps, merchant_id: str, payment_id: str) -> Sequence[Mapping[str, Any]]:
    """What one payment did to the balance, oldest first: few, and whole."""
    lines: Sequence[Movement] = ()
    if is_id("pay", payment_id):
        async with as_merchant(deps.engine, merchant_id) as connection:
            lines = await movements.of_payment(connection, merchant_id, payment_id)
    return [_transaction(list(group)[::-1]) for _, group in groupby(lines, key=_journal)]


def _journal(line: Movement) -> tuple[str, str]:
    return line.journal_id, line.currency


async def get_movement(deps: Deps, merchant_id: str, transaction_id: str) -> Mapping[str, Any]:
    """One balance transaction. Raises NotFound, also for another merchant's."""
    lines: Sequence[Movement] = ()
    if TRANSACTION_ID.fullmatch(transaction_id):
        async with as_merchant(deps.engine, merchant_id) as connection:
            lines = await movements.of_transaction(connection, merchant_id, transaction_id)
    lines = [line for line in lines if line.currency == lines[0].currency]
    if not lines:
        raise NotFound("This merchant has no such balance transaction.")
    return _transaction(lines)


async def get_terms(deps: Deps, merchant_id: str) -> Terms:
    """The merchant's terms, or the defaults."""
    async with as_merchant(deps.engine, merchant_id) as connection:
        return await terms.get(connection, merchant_id)


async def put_terms(deps: Deps, merchant_id: str, wanted: Terms, by: Actor = THE_PLATFORM) -> None:
    """Raises NotFound."""
    async with deps.engine.begin() as connection:
        merchant = await merchants.get(connection, merchant_id, lock=True)
        if merchant is None:
            raise NotFound("There is no such merchant.")
        before = await terms.get(connection, merchant_id)
        await terms.put(connection, merchant_id, wanted)
        entry = Entry("merchant.terms_changed", merchant_id, merchant_id, asdict(wanted))
        await audit_log.record(connection, by, entry)
        if replace(wanted, payout_destination=before.payout_destination) != before:
            await tell_merchant(connection, UPDATED, merchant, deps.clock.now())


def _transaction(lines: Sequence[Movement]) -> dict[str, Any]:
    moved = [line for line in lines if _type(line) not in FEES] or lines[:1]
    main = next((line for line in moved if not _type(line).startswith("surcharge")), moved[0])
    gross = sum(map(_signed, moved))
    fee = -sum(_signed(line) for line in lines if line not in moved)
    is_leg = _type(main) == "conversion"  # of two: the other is another currency's
    return {
        "id": f"{main.journal_id}_{main.currency.lower()}" if is_leg else main.journal_id,
        "object": "balance_transaction",
        "type": _type(main),
        "amount_minor": gross,
        "fee_minor": fee,
        "net_minor": gross - fee,
        "pending_minor": _change(lines, "pending"),
        "available_minor": _change(lines, "available"),
        "currency": main.currency,
        "payment_id": main.payment_id,
        "created_at": isoformat(main.recorded_at),
    }


def _type(line: Movement) -> str:
    return MOVEMENTS.get((line.debit, line.credit), "other")


def _signed(line: Movement) -> int:
    return line.amount_minor if line.credit in ("pending", "available") else -line.amount_minor


def _change(lines: Sequence[Movement], kind: str) -> int:
    return sum(line.amount_minor * ((line.credit == kind) - (line.debit == kind)) for line in lines)
