"""The ledger's statements: open, lock, append, count, prove."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.ledger import Account, AccountName, Journal, Trail
from payment_gateway.store import fx_residue, ledger_chain
from payment_gateway.store.fx_residue import Rounding
from payment_gateway.store.ledger_chain import ChainState
from platform_kit.writes import Writes

# account_owner_key. Only for accounts that were not found: ON CONFLICT burns a sequence value and a lock per row even
# when it does nothing.
OPEN_ACCOUNTS = text(
    "INSERT INTO payments.account (owner, kind, currency)"
    " SELECT * FROM unnest(CAST(:owners AS text[]), CAST(:kinds AS text[]), CAST(:currencies AS text[]))"
    " ON CONFLICT (owner, kind, currency) DO NOTHING"
)
# Locked in id order, whatever order they are named in: two flushes never deadlock.
LOCK_ACCOUNTS = (
    "SELECT ROW(a.id, a.owner, a.kind, a.currency, a.debits_posted, a.credits_posted, a.debits_pending,"
    " a.credits_pending, a.floor_minor, a.ceiling_minor, a.version) FROM payments.account a"
    " JOIN unnest(CAST(:owners AS text[]), CAST(:kinds AS text[]), CAST(:currencies AS text[]))"
    " AS wanted (owner, kind, currency) USING (owner, kind, currency)"
    " ORDER BY a.id FOR UPDATE OF a"
)
INSERT_TRANSFERS = text("""
    INSERT INTO payments.transfer (journal_id, debit_account_id, credit_account_id, amount_minor, currency, kind,
        payment_id, hold_id, effective_at, debit_version, debits_posted_after, debits_pending_after,
        credit_version, credits_posted_after, credits_pending_after)
    SELECT journal_id, debit, credit, amount, currency, kind, payment_id, hold_id, COALESCE(effective_at, now()),
        debit_version, debits_posted, debits_pending, credit_version, credits_posted, credits_pending
    FROM unnest(CAST(:journals AS text[]), CAST(:debits AS bigint[]), CAST(:credits AS bigint[]),
        CAST(:amounts AS bigint[]), CAST(:currencies AS text[]), CAST(:kinds AS text[]),
        CAST(:payments AS text[]), CAST(:holds AS text[]), CAST(:effective AS timestamptz[]),
        CAST(:debit_versions AS bigint[]), CAST(:debits_posted AS bigint[]), CAST(:debits_pending AS bigint[]),
        CAST(:credit_versions AS bigint[]), CAST(:credits_posted AS bigint[]), CAST(:credits_pending AS bigint[]))
        AS line (journal_id, debit, credit, amount, currency, kind, payment_id, hold_id, effective_at,
            debit_version, debits_posted, debits_pending, credit_version, credits_posted, credits_pending)
""")
# One row per account, however many transfers touched it: UPDATE ... FROM with two source rows for one target would
# apply only one of them, silently.
UPDATE_ACCOUNTS = text("""
    UPDATE payments.account a SET debits_posted = n.debits_posted, credits_posted = n.credits_posted,
        debits_pending = n.debits_pending, credits_pending = n.credits_pending, version = n.version
    FROM unnest(CAST(:ids AS bigint[]), CAST(:debits AS bigint[]), CAST(:credits AS bigint[]),
        CAST(:debits_pending AS bigint[]), CAST(:credits_pending AS bigint[]), CAST(:versions AS bigint[]))
        AS n (id, debits_posted, credits_posted, debits_pending, credits_pending, version) WHERE a.id = n.id
""")
# After their transfers: the triggers compare, and close the journal to any further row.
INSERT_JOURNALS = text("""
    INSERT INTO payments.journal
        (id, merchant_id, transfer_count, amount_sum_minor, reverses, reason, description, metadata)
    SELECT id, merchant_id, n, total, reverses, reason, description, CAST(metadata AS jsonb)
    FROM unnest(CAST(:ids AS text[]), CAST(:merchants AS text[]), CAST(:counts AS int[]), CAST(:sums AS bigint[]),
        CAST(:reverses AS text[]), CAST(:reasons AS text[]), CAST(:descriptions AS text[]), CAST(:metadata AS text[]))
        AS j (id, merchant_id, n, total, reverses, reason, description, metadata)
""")
OPEN_WITH_FLOOR = text(
    "INSERT INTO payments.account (owner, kind, currency, floor_minor, ceiling_minor)"
    " VALUES (:owner, :kind, :currency, :floor_minor, :ceiling_minor)"
    " ON CONFLICT (owner, kind, currency) DO NOTHING RETURNING id"
)
LIST_ACCOUNTS = text(
    "SELECT id, owner, kind, currency, debits_posted, credits_posted, debits_pending, credits_pending, floor_minor,"
    " ceiling_minor, version FROM payments.account WHERE owner = ANY(CAST(:owners AS text[]))"
    " AND (CAST(:after_owner AS text) IS NULL"
    " OR (owner, kind, currency) > (:after_owner, :after_kind, :after_currency))"
    " ORDER BY owner, kind, currency LIMIT :limit"
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
# What the ledger has moved as of the last numbered event: the accounts' counters, less what transfers moved whose event
# has no number yet (outbox_event_unpositioned_idx: as few as the relay is behind). One statement is one snapshot.
MOVED_AS_TOLD = text("""
    WITH untold AS (
        SELECT currency, sum(amount_minor) AS moved FROM (
            SELECT DISTINCT e.data #>> '{journal,id}', line.n, line.transfer ->> 'currency' AS currency,
                (line.transfer ->> 'amount_minor')::bigint AS amount_minor
            FROM payments.outbox_event e,
                jsonb_array_elements(e.data #> '{journal,transfers}') WITH ORDINALITY AS line (transfer, n)
            WHERE e.position IS NULL AND jsonb_typeof(e.data #> '{journal,transfers}') = 'array'
              AND line.transfer ->> 'kind' IN ('posted', 'post')
        ) AS lines GROUP BY currency
    ), ledger AS (
        SELECT currency, sum(debits_posted) AS moved FROM payments.account GROUP BY currency
    )
    SELECT h.last_position, ledger.currency, ledger.moved - COALESCE(untold.moved, 0) AS moved_minor
    FROM (SELECT COALESCE((SELECT last_position FROM payments.outbox_head), 0) AS last_position) AS h
    LEFT JOIN ledger ON true LEFT JOIN untold USING (currency) ORDER BY currency
""")
# Rows whose counters-after are not the running sums of their account's side; accounts with rows older than the proofs
# start from what those rows left, so only rows that follow one another are compared.
FIND_UNPROVED = text("""
    WITH side AS (
        SELECT id, debit_account_id AS account_id, 'debit' AS side, debit_version AS version, kind, amount_minor,
            debits_posted_after AS posted, debits_pending_after AS pending FROM payments.transfer
        UNION ALL
        SELECT id, credit_account_id, 'credit', credit_version, kind, amount_minor, credits_posted_after,
            credits_pending_after FROM payments.transfer
    ), old AS (SELECT DISTINCT account_id FROM side WHERE version IS NULL
    ), compared AS (
        SELECT id, posted, pending,
            sum(CASE WHEN kind IN ('posted', 'post') THEN amount_minor ELSE 0 END) OVER so_far AS posted_sum,
            sum(CASE kind WHEN 'pending' THEN amount_minor WHEN 'posted' THEN 0 ELSE -amount_minor END)
                OVER so_far AS pending_sum,
            version, row_number() OVER (PARTITION BY account_id ORDER BY version) AS expected_version
        FROM side WHERE account_id NOT IN (SELECT account_id FROM old)
        WINDOW so_far AS (PARTITION BY account_id, side ORDER BY version)
    )
    SELECT DISTINCT id FROM compared
    WHERE (posted, pending, version) IS DISTINCT FROM (posted_sum, pending_sum, expected_version)
    ORDER BY id LIMIT 100
""")
FIND_WRONG_JOURNALS = text("""
    SELECT j.id FROM payments.journal j LEFT JOIN (
        SELECT journal_id, count(*) AS n, sum(amount_minor) AS total FROM payments.transfer GROUP BY journal_id
    ) AS found ON found.journal_id = j.id
    WHERE (found.n, found.total) IS DISTINCT FROM (j.transfer_count, j.amount_sum_minor)
    ORDER BY j.id LIMIT 100
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
    unproved: tuple[int, ...]
    """Transfers whose counters-after or versions do not follow from the rows before them (at most 100)."""
    wrong_journals: tuple[str, ...]
    """Journals that do not declare what their transfers are (at most 100)."""
    chain: ChainState
    roundings: tuple[Rounding, ...]

    @property
    def balanced(self) -> bool:
        sums_agree = all(
            c["debits_minor"] == c["credits_minor"]
            and c["debits_pending_minor"] == c["credits_pending_minor"]
            for c in self.currencies
        )
        intact = self.chain.broken_at is None and all(rounding.explained for rounding in self.roundings)
        return sums_agree and intact and not (self.differences or self.unproved or self.wrong_journals)


async def open_accounts(conn: AsyncConnection, names: Collection[AccountName]) -> None:
    """Open unbounded accounts; those that somebody else has opened meanwhile stay as they are."""
    await conn.execute(OPEN_ACCOUNTS, columns(names))


async def lock(conn: AsyncConnection, names: Collection[AccountName]) -> dict[AccountName, Account]:
    """The open ones of these accounts, locked until the transaction ends."""
    return locked(row[0] for row in await conn.execute(text(LOCK_ACCOUNTS), columns(names)))


def locked(records: Iterable[Sequence[Any]]) -> dict[AccountName, Account]:
    """What `LOCK_ACCOUNTS` has read, by name."""
    found = {}
    for id, owner, kind, currency, *counters in records:
        name = AccountName(owner, kind, currency)
        found[name] = Account(id, name, *counters)
    return found


def append(
    writes: Writes, journals: Sequence[Journal], trail: Sequence[Trail], touched: Iterable[Account]
) -> None:
    """The transfers of these journals (`trail` has a line for each) and the counters of locked accounts."""
    lines = [(journal, posting) for journal in journals for posting in journal.postings]
    accounts = list(touched)
    transfers = {
        "journals": [journal.id for journal, _ in lines],
        "debits": [debit.id for debit, _ in trail],
        "credits": [credit.id for _, credit in trail],
        "amounts": [posting.amount_minor for _, posting in lines],
        "currencies": [posting.debit.currency for _, posting in lines],
        "kinds": [posting.kind.value for _, posting in lines],
        "payments": [journal.payment_id for journal, _ in lines],
        "holds": [journal.hold_id for journal, _ in lines],
        "effective": [journal.effective_at for journal, _ in lines],
        "debit_versions": [debit.version for debit, _ in trail],
        "debits_posted": [debit.debits_posted for debit, _ in trail],
        "debits_pending": [debit.debits_pending for debit, _ in trail],
        "credit_versions": [credit.version for _, credit in trail],
        "credits_posted": [credit.credits_posted for _, credit in trail],
        "credits_pending": [credit.credits_pending for _, credit in trail],
    }
    counters = {
        "ids": [account.id for account in accounts],
        "debits": [account.debits_posted for account in accounts],
        "credits": [account.credits_posted for account in accounts],
        "debits_pending": [account.debits_pending for account in accounts],
        "credits_pending": [account.credits_pending for account in accounts],
        "versions": [account.version for account in accounts],
    }
    writes.add(INSERT_TRANSFERS, transfers, rows=len(lines))
    writes.add(UPDATE_ACCOUNTS, counters, rows=len(accounts))


def close(writes: Writes, journals: Sequence[Journal]) -> None:
    """The rows of journals whose transfers are written: they declare them, and admit no more."""
    declared = {
        "ids": [journal.id for journal in journals],
        "merchants": [journal.merchant_id for journal in journals],
        "counts": [len(journal.postings) for journal in journals],
        "sums": [sum(posting.amount_minor for posting in journal.postings) for journal in journals],
        "reverses": [journal.reverses for journal in journals],
        "reasons": [journal.reason for journal in journals],
        "descriptions": [journal.description for journal in journals],
        "metadata": [
            orjson.dumps(journal.metadata).decode() if journal.metadata else "{}" for journal in journals
        ],
    }
    writes.add(INSERT_JOURNALS, declared, rows=len(journals))


async def open_account(
    conn: AsyncConnection, name: AccountName, floor_minor: int | None, ceiling_minor: int | None = None
) -> bool:
    """Open one account with its bounds; False when it is open already (its bounds stay as they are)."""
    parameters = name._asdict() | {"floor_minor": floor_minor, "ceiling_minor": ceiling_minor}
    return (await conn.execute(OPEN_WITH_FLOOR, parameters)).first() is not None


async def accounts_of(
    conn: AsyncConnection, owners: Collection[str], after: AccountName | None, limit: int
) -> Sequence[Account]:
    """These owners' accounts by name, those that come after `after`."""
    names = ("owner", "kind", "currency")
    parameters = {f"after_{name}": getattr(after, name, None) for name in names}
    found = await conn.execute(LIST_ACCOUNTS, parameters | {"owners": list(owners), "limit": limit})
    return list(map(_account, found))


async def imbalances(conn: AsyncConnection) -> dict[str, int]:
    """By currency how far debits and credits are apart, posted and pending, as a positive number of minor units."""
    return {
        row.currency: abs(int(row.debits - row.credits)) + abs(int(row.debits_pending - row.credits_pending))
        for row in (await conn.execute(SUM_BY_CURRENCY)).all()
    }


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
        unproved=tuple((await conn.execute(FIND_UNPROVED)).scalars()),
        wrong_journals=tuple((await conn.execute(FIND_WRONG_JOURNALS)).scalars()),
        chain=await ledger_chain.recompute(conn),
        roundings=tuple(await fx_residue.roundings(conn)),
    )


async def moved_as_told(conn: AsyncConnection) -> tuple[int, dict[str, int]]:
    """The last numbered position, and what had been moved by then in minor units by currency, where anything was."""
    rows = (await conn.execute(MOVED_AS_TOLD)).all()
    moved = {row.currency: int(row.moved_minor) for row in rows if row.currency and row.moved_minor}
    return rows[0].last_position, moved


def columns(names: Collection[AccountName]) -> dict[str, list[str]]:
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
        ceiling_minor=row.ceiling_minor,
        version=row.version,
    )
