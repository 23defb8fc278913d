"""The books for a reader: trial balance, accounts, one account's entries, one journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from data_pipeline.clients.service_api import ServiceAway, ServiceRefused
from data_pipeline.domain.balances import TrialBalance, running, trial_balances
from data_pipeline.domain.invariants import Invariant
from data_pipeline.domain.operators import Operator
from data_pipeline.operations.deps import Deps
from data_pipeline.store import balances
from data_pipeline.store import invariants as invariant_store
from data_pipeline.store.balances import Key
from platform_kit.problems import NotFound

PAGE: Final = 50
LEDGER_CHECKS: Final = (
    Invariant.LEDGER_EQUALS_WAREHOUSE,
    Invariant.BALANCES_EQUAL_LEDGER,
    Invariant.BALANCES_EQUAL_TRANSFERS,
)
FAR: Final = timedelta(days=36_500)  # a clock that is ahead of ours must not hide entries


@dataclass(frozen=True, slots=True)
class Books:
    """The trial balance of each currency, and the last look at each invariant of the ledger, by name."""

    trials: list[TrialBalance]
    checks: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class AccountPage:
    """One account in one currency. `entries` are newest first, each with the balance after it."""

    account: str
    currency: str
    turnover: Mapping[str, Any]
    entries: list[dict[str, Any]]
    older: Key | None


@dataclass(frozen=True, slots=True)
class JournalPage:
    """A journal's lines; `told` is what only the gateway knows of it, None when it has none such, is away, or does
    not tell (`refusal`, in its words)."""

    lines: list[dict[str, Any]]
    told: Mapping[str, Any] | None
    is_away: bool = False
    refusal: str | None = None


async def show_books(deps: Deps, at: datetime | None) -> Books:
    """Of all that has happened, or that had before `at`."""
    async with deps.engine.connect() as conn:
        await conn.execution_options(isolation_level="REPEATABLE READ")
        trials = trial_balances(await balances.trial(conn, at))
        checks = await invariant_store.latest(conn)
    return Books(trials, {row["name"]: row for row in checks if row["name"] in LEDGER_CHECKS})


async def list_accounts(
    deps: Deps, wanted: str, account_class: str, currency: str, after: tuple[str, str] | None
) -> tuple[list[dict[str, Any]], tuple[str, str] | None]:
    """A page of accounts by name as they are now, and where the next one begins. Empty words choose nothing."""
    async with deps.engine.connect() as conn:
        found = await balances.accounts(
            conn,
            wanted=wanted or None,
            account_class=account_class or None,
            currency=currency or None,
            after=after,
            limit=PAGE + 1,
        )
    page = found[:PAGE]
    return page, (page[-1]["account"], page[-1]["currency"]) if len(found) > PAGE else None


async def show_account(
    deps: Deps, account: str, currency: str, at: datetime | None, before: Key | None
) -> AccountPage:
    """Fifty entries before a place, or the newest of what had happened before `at`. Raises NotFound."""
    bound = None if at is None else Key(at)
    async with deps.engine.connect() as conn:
        await conn.execution_options(isolation_level="REPEATABLE READ")
        turnover = await balances.balance(conn, account, currency, bound)
        if turnover is None:
            raise NotFound(f"No entry of {account} in {currency} was ever told.")
        place = before or bound
        top = turnover if before is None else await balances.balance(conn, account, currency, before)
        found = await balances.entries(
            conn, account, currency, place or Key(deps.clock.now() + FAR), PAGE + 1
        )
    assert top is not None
    entries = running(found[:PAGE], account, top["credits_minor"] - top["debits_minor"])
    last = entries[-1] if len(found) > PAGE else None
    older = Key(last["occurred_at"], last["position"], last["line"]) if last else None
    return AccountPage(account, currency, turnover, entries, older)


async def show_journal(deps: Deps, journal_id: str, operator: Operator) -> JournalPage:
    """Its lines as the warehouse has them; reversal, description and metadata are asked for. Raises NotFound."""
    async with deps.engine.connect() as conn:
        lines = await balances.journal(conn, journal_id)
    if not lines:
        raise NotFound(f"No event told of a journal {journal_id}.")
    try:
        told = await deps.gateway.get(f"/internal/ledger/journals/{journal_id}", operator)
    except ServiceAway:
        return JournalPage(lines, None, is_away=True)
    except ServiceRefused as error:
        return JournalPage(lines, None, refusal=None if error.status == 404 else error.title)
    return JournalPage(lines, told)
