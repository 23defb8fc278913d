"""The ledger's statements: open, lock, append, count, prove."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.ledger import Account, AccountName, Journal

# account_owner_key
OPEN_ACCOUNTS = text(
    "INSERT INTO payments.account (owner, kind, currency)"
    " SELECT * FROM unnest(CAST(:owners AS text[]), CAST(:kinds AS text[]), CAST(:currencies AS text[]))"
    " ON CONFLICT (owner, kind, currency) DO NOTHING"
)
# Which of these are there already: a plain read, so that the common case writes nothing (ON CONFLICT burns a
# sequence value and a lock per row even when it does nothing).
FIND_ACCOUNTS = text(
    "SELECT a.owner, a.kind, a.currency FROM payments.account a"
    " JOIN unnest(CAST(:owners AS text[]), CAST(:kinds AS text[]), CAST(:currencies AS text[]))"
    " AS wanted (owner, kind, currency) USING (owner, kind, currency)"
)
# Locked in id order, whatever order they are named in: two flushes never deadlock.
LOCK_ACCOUNTS = text(
    "SELECT a.id, a.owner, a.kind, a.currency, a.debits_posted, a.credits_posted, a.debits_pending,"
    " a.credits_pending, a.floor_minor FROM payments.account a"
    " JOIN unnest(CAST(:owners AS text[]), CAST(:kinds AS text[]), CAST(:currencies AS text[]))"
    " AS wanted (owner, kind, currency) USING (owner, kind, currency)"
    " ORDER BY a.id FOR UPDATE OF a"
)
APPEND_TRANSFERS = text(
    "INSERT INTO payments.transfer"
    " (journal_id, debit_account_id, credit_account_id, amount_minor, currency, kind, payment_id)"
    " SELECT * FROM unnest(CAST(:journals AS text[]), CAST(:debits AS bigint[]), CAST(:credits AS bigint[]),"
    " CAST(:amounts AS bigint[]), CAST(:currencies AS text[]), CAST(:kinds AS text[]), CAST(:payments AS text[]))"
)
# One row per account, however many transfers touched it: UPDATE ... FROM with two source rows for one target would
# apply only one of them, silently.
UPDATE_COUNTERS = text(
    "UPDATE payments.account a SET debits_posted = n.debits_posted, credits_posted = n.credits_posted,"
    " debits_pending = n.debits_pending, credits_pending = n.credits_pending"
    " FROM unnest(CAST(:ids AS bigint[]), CAST(:debits AS bigint[]), CAST(:credits AS bigint[]),"
    " CAST(:debits_pending AS bigint[]), CAST(:credits_pending AS bigint[]))"
    " AS n (id, debits_posted, credits_posted, debits_pending, credits_pending) WHERE a.id = n.id"
)
OPEN_WITH_FLOOR = text(
    "INSERT INTO payments.account (owner, kind, currency, floor_minor)"
    " VALUES (:owner, :kind, :currency, :floor_minor) ON CONFLICT (owner, kind, currency) DO NOTHING RETURNING id"
)
LIST_ACCOUNTS = text(
    "SELECT id, owner, kind, currency, debits_posted, credits_posted, debits_pending, credits_pending, floor_minor"
    " FROM payments.account WHERE owner = :owner ORDER BY kind, currency LIMIT :limit"
)
# Counters recomputed from the rows: what must be equal if every projection is right (invariant I3).
FIND_DIFFERENCES = text("""
    WITH moved AS (
        SELECT account_id,
            sum(debit) FILTER (WHERE kind IN ('posted', 'post')) AS debits_posted,
            sum(credit) FILTER (WHERE kind IN ('posted', 'post')) AS credits_posted,
            sum(CASE kind WHEN 'pending' THEN debit WHEN 'posted' THEN 0 ELSE -debit END) AS debits_pending,
            sum(CASE kind WHEN 'pending' THEN credit WHEN 'posted' THEN 0 ELSE -credit END) AS credits_pending
        FROM (
            SELECT debit_account_id AS account_id, kind, amount_minor AS debit, 0 AS credit FROM payments.transfer
            UNION ALL
            SELECT credit_account_id, kind, 0, amount_minor FROM payments.transfer
        ) AS side GROUP BY account_id
    )
    SELECT a.owner, a.kind, a.currency FROM payments.account a LEFT JOIN moved m ON m.account_id = a.id
    WHERE (a.debits_posted, a.credits_posted, a.debits_pending, a.credits_pending) IS DISTINCT FROM
        (COALESCE(m.debits_posted, 0), COALESCE(m.credits_posted, 0),
         COALESCE(m.debits_pending, 0), COALESCE(m.credits_pending, 0))
    ORDER BY a.id LIMIT 100
""")
SUM_BY_CURRENCY = text("""
    SELECT currency, sum(debits_posted) AS debits, sum(credits_posted) AS credits,
        sum(debits_pending) AS debits_pending, sum(credits_pending) AS credits_pending, count(*) AS accounts
    FROM payments.account GROUP BY currency ORDER BY currency
""")
COUNT_TRANSFERS = text("SELECT count(*) FROM payments.transfer")


@dataclass(frozen=True, slots=True)
class Verification:
    """What a recomputation of the whole ledger found."""

    accounts: int
    transfers: int
    currencies: tuple[dict[str, Any], ...]
    differences: tuple[AccountName, ...]
    """Accounts whose counters are not the sum of their rows (at most 100)."""

    @property
    def balanced(self) -> bool:
        sums_agree = all(
            c["debits_minor"] == c["credits_minor"]
            and c["debits_pending_minor"] == c["credits_pending_minor"]
            for c in self.currencies
        )
        return sums_agree and not self.differences


async def open_accounts(conn: AsyncConnection, names: Collection[AccountName]) -> None:
    """Open unbounded accounts that are not open yet."""
    found = {
        AccountName(r.owner, r.kind, r.currency) for r in await conn.execute(FIND_ACCOUNTS, _columns(names))
    }
    if missing := set(names) - found:
        await conn.execute(OPEN_ACCOUNTS, _columns(missing))


async def lock(conn: AsyncConnection, names: Collection[AccountName]) -> dict[AccountName, Account]:
    """The open ones of these accounts, locked until the transaction ends."""
    accounts = map(_account, await conn.execute(LOCK_ACCOUNTS, _columns(names)))
    return {account.name: account for account in accounts}


async def append(
    conn: AsyncConnection, journals: Sequence[Journal], accounts: Mapping[AccountName, Account]
) -> None:
    """Write the transfers of these journals."""
    lines = [(journal, posting) for journal in journals for posting in journal.postings]
    await conn.execute(
        APPEND_TRANSFERS,
        {
            "journals": [journal.id for journal, _ in lines],
            "debits": [accounts[posting.debit].id for _, posting in lines],
            "credits": [accounts[posting.credit].id for _, posting in lines],
            "amounts": [posting.amount_minor for _, posting in lines],
            "currencies": [posting.debit.currency for _, posting in lines],
            "kinds": [str(posting.kind) for _, posting in lines],
            "payments": [journal.payment_id for journal, _ in lines],
        },
    )


async def update_counters(conn: AsyncConnection, accounts: Iterable[Account]) -> None:
    """Write the counters of locked accounts."""
    listed = list(accounts)
    await conn.execute(
        UPDATE_COUNTERS,
        {
            "ids": [account.id for account in listed],
            "debits": [account.debits_posted for account in listed],
            "credits": [account.credits_posted for account in listed],
            "debits_pending": [account.debits_pending for account in listed],
            "credits_pending": [account.credits_pending for account in listed],
        },
    )


async def open_account(conn: AsyncConnection, name: AccountName, floor_minor: int | None) -> bool:
    """Open one account with a floor; False when it is open already (its floor stays as it is)."""
    parameters = name._asdict() | {"floor_minor": floor_minor}
    return (await conn.execute(OPEN_WITH_FLOOR, parameters)).first() is not None


async def accounts_of(conn: AsyncConnection, owner: str, limit: int) -> Sequence[Account]:
    """An owner's accounts."""
    return list(map(_account, await conn.execute(LIST_ACCOUNTS, {"owner": owner, "limit": limit})))


async def verify(conn: AsyncConnection) -> Verification:
    """Recompute every balance from its rows; call it in one REPEATABLE READ transaction."""
    sums = (await conn.execute(SUM_BY_CURRENCY)).all()
    differences = (await conn.execute(FIND_DIFFERENCES)).all()
    return Verification(
        accounts=sum(row.accounts for row in sums),
        transfers=(await conn.execute(COUNT_TRANSFERS)).scalar_one(),
        currencies=tuple(
            {
                "currency": row.currency,
                "debits_minor": int(row.debits),
                "credits_minor": int(row.credits),
                "debits_pending_minor": int(row.debits_pending),
                "credits_pending_minor": int(row.credits_pending),
            }
            for row in sums
        ),
        differences=tuple(AccountName(row.owner, row.kind, row.currency) for row in differences),
    )


def _columns(names: Collection[AccountName]) -> dict[str, list[str]]:
    ordered = sorted(names)
    return {
        "owners": [name.owner for name in ordered],
        "kinds": [name.kind for name in ordered],
        "currencies": [name.currency for name in ordered],
    }


def _account(row: Any) -> Account:
    return Account(
        id=row.id,
        name=AccountName(row.owner, row.kind, row.currency),
        debits_posted=row.debits_posted,
        credits_posted=row.credits_posted,
        debits_pending=row.debits_pending,
        credits_pending=row.credits_pending,
        floor_minor=row.floor_minor,
    )
