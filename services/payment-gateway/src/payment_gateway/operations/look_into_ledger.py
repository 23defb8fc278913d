"""Look into the ledger: accounts, holds, and the transfers of an account, by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from payment_gateway.domain.ledger import Account, AccountName
from payment_gateway.domain.ledger_hold import Hold
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.transfer_funds import own_account
from payment_gateway.store import ledger, ledger_history, ledger_holds
from payment_gateway.store.tenancy import as_merchant
from platform_kit.problems import NotFound

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Part(Generic[Item]):
    """`has_more`: whether the list goes on after these."""

    items: Sequence[Item]
    has_more: bool


async def list_accounts(deps: Deps, merchant_id: str, after: AccountName | None, limit: int) -> Part[Account]:
    """The merchant's own ledger accounts, then those of its payments, by name; those after `after`."""
    owners = (f"ledger:{merchant_id}", f"merchant:{merchant_id}")
    async with as_merchant(deps.engine, merchant_id) as connection:
        found = await ledger.accounts_of(connection, owners, after, limit + 1)
    return Part(found[:limit], len(found) > limit)


async def list_account_transfers(
    deps: Deps, merchant_id: str, name: str, currency: str, before: int | None, limit: int
) -> Part[Any]:
    """Rows that touched an account, newest first, below its version `before`. Raises NotFound."""
    account = own_account(merchant_id, name, currency)
    async with as_merchant(deps.engine, merchant_id) as connection:
        found = await ledger_history.of_account(connection, account, before, limit + 1)
    if found is None:
        raise NotFound(f"There is no account {name} in {currency}.")
    return Part(found[:limit], len(found) > limit)


async def get_hold(deps: Deps, merchant_id: str, hold_id: str) -> Hold:
    """Raises NotFound, also for another merchant's hold."""
    async with as_merchant(deps.engine, merchant_id) as connection:
        found = await ledger_holds.get(connection, hold_id, f"ledger:{merchant_id}")
    if found is None:
        raise NotFound(f"There is no hold {hold_id}.")
    return found


async def get_journal(deps: Deps, merchant_id: str, journal_id: str) -> Sequence[Any]:
    """The rows of a journal, in order. Raises NotFound, also for another merchant's."""
    async with as_merchant(deps.engine, merchant_id) as connection:
        found = await ledger_history.journal(connection, journal_id, merchant_id)
    if not found:
        raise NotFound("This merchant's ledger has no such journal.")
    return found


async def list_account_holds(
    deps: Deps,
    merchant_id: str,
    name: str,
    currency: str,
    state: str | None,
    before: str | None,
    limit: int,
) -> Part[Hold]:
    """Holds from or to an account, newest first, older than the hold `before`. Raises NotFound."""
    account = own_account(merchant_id, name, currency)
    async with as_merchant(deps.engine, merchant_id) as connection:
        account_id = await ledger_history.account_id(connection, account)
        if account_id is None:
            raise NotFound(f"There is no account {name} in {currency}.")
        found = await ledger_holds.of_account(connection, account_id, state, before, limit + 1)
    return Part(found[:limit], len(found) > limit)
