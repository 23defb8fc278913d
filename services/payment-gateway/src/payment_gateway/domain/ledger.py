"""The ledger's values: accounts, postings and journals. Imbalance cannot be written down.

A posting moves one positive amount from a debit account to a credit account of one currency, so no set of postings
can be unbalanced. Each account keeps growing counters of what was debited and credited, and pending twins for holds,
which fall when a hold is posted or released (architecture.md 4.6; TigerBeetle's data model; pgledger; Formance).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

BOOKS: Final[Mapping[str, str]] = MappingProxyType({"own": "ledger", "payments": "merchant"})
"""A merchant's two sets of accounts (those that it opened, those of its payments) -> how their owner begins."""


class AccountName(NamedTuple):
    """Natural key of an account: whose it is, what it is for, in which currency."""

    owner: str
    kind: str
    currency: str

    def __str__(self) -> str:
        return f"{self.owner}:{self.kind}"

    @property
    def book(self) -> str:
        """Of a merchant's account: which of its two sets it is in."""
        (book,) = (name for name, kept in BOOKS.items() if self.owner.startswith(f"{kept}:"))
        return book


def channel_receivable(channel: str, currency: str) -> AccountName:
    """What the channel owes the platform for captured payments, less refunds."""
    return AccountName(f"channel:{channel}", "receivable", currency)


def unclaimed(channel: str, currency: str) -> AccountName:
    """What a channel took after we had given up: nobody's until it is given back."""
    return AccountName(f"channel:{channel}", "unclaimed", currency)


class PostingKind(StrEnum):
    POSTED = "posted"  # moves money at once
    PENDING = "pending"  # places a hold
    POST = "post"  # turns (a part of) a hold into money moved
    RELEASE = "release"  # gives (the rest of) a hold back


@dataclass(frozen=True, slots=True)
class Posting:
    """`amount_minor` > 0 moves from `debit` to `credit`."""

    debit: AccountName
    credit: AccountName
    amount_minor: int
    kind: PostingKind = PostingKind.POSTED

    def __post_init__(self) -> None:
        if self.amount_minor <= 0:
            raise ValueError("a posting moves a positive amount")
        if self.debit == self.credit or self.debit.currency != self.credit.currency:
            raise ValueError("a posting joins two accounts of one currency")


@dataclass(frozen=True, slots=True)
class Journal:
    """The postings of one event: written together or not at all."""

    id: str
    payment_id: str | None
    postings: tuple[Posting, ...]
    merchant_id: str | None = None
    """Whose own ledger it is in; None for what a payment wrote."""
    hold_id: str | None = None
    """The hold that its postings place, post or release."""
    reverses: str | None = None
    """The journal that this one takes back. One journal is taken back at most once."""
    reason: str | None = None
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    effective_at: datetime | None = None
    """When it counts, if that is not when it was recorded."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account as locked for a decision. No floor or ceiling = unbounded (the platform's and channels' own)."""

    id: int
    name: AccountName
    debits_posted: int = 0
    credits_posted: int = 0
    debits_pending: int = 0
    credits_pending: int = 0
    floor_minor: int | None = None
    ceiling_minor: int | None = None
    version: int = 0
    """How many sides of transfers it has had; each transfer keeps the version that it made."""

    @property
    def available_minor(self) -> int:
        """What may be debited: posted balance less the holds against it. Incoming holds do not count."""
        return self.credits_posted - self.debits_posted - self.debits_pending

    @property
    def below_floor(self) -> bool:
        return self.floor_minor is not None and self.available_minor < self.floor_minor

    @property
    def above_ceiling(self) -> bool:
        """What has come in and what may still come in, as if no outgoing hold were posted."""
        reach = self.credits_posted + self.credits_pending - self.debits_posted
        return self.ceiling_minor is not None and reach > self.ceiling_minor


class InsufficientFunds(Exception):
    """An account would fall below its floor."""

    def __init__(self, account: AccountName) -> None:
        self.account = account
        super().__init__(f"{account} does not hold enough")


class AboveCeiling(Exception):
    """An account would hold, or be promised, more than its ceiling."""

    def __init__(self, account: AccountName) -> None:
        self.account = account
        super().__init__(f"{account} may not hold that much")


class Trail(NamedTuple):
    """The two accounts of one posting as it left them: the proof that its row keeps."""

    debit: Account
    credit: Account


# What each kind of posting adds to (pending, posted) of either side, as multiples of its amount.
_EFFECT = {
    PostingKind.POSTED: (0, 1),
    PostingKind.PENDING: (1, 0),
    PostingKind.POST: (-1, 1),
    PostingKind.RELEASE: (-1, 0),
}


def apply(
    accounts: Mapping[AccountName, Account], postings: Iterable[Posting], trail: list[Trail] | None = None
) -> dict[AccountName, Account]:
    """The accounts that `postings` touch, after them; `trail` gets a line per posting.

    Raises InsufficientFunds or AboveCeiling and changes nothing.
    """
    touched: dict[AccountName, Account] = {}
    lines: list[Trail] = []
    for posting in postings:
        pending, posted = (factor * posting.amount_minor for factor in _EFFECT[posting.kind])
        debit = _moved(touched.get(posting.debit) or accounts[posting.debit], posted, 0, pending, 0)
        touched[posting.debit] = debit
        credit = _moved(touched.get(posting.credit) or accounts[posting.credit], 0, posted, 0, pending)
        touched[posting.credit] = credit
        lines.append(Trail(debit, credit))
    for account in touched.values():
        if account.below_floor:
            raise InsufficientFunds(account.name)
        if account.above_ceiling:
            raise AboveCeiling(account.name)
    if trail is not None:
        trail.extend(lines)
    return touched


def _moved(a: Account, debit: int, credit: int, debit_pending: int, credit_pending: int) -> Account:
    """Written out, since dataclasses.replace() costs several times as much on the committer's path."""
    return Account(
        a.id,
        a.name,
        a.debits_posted + debit,
        a.credits_posted + credit,
        a.debits_pending + debit_pending,
        a.credits_pending + credit_pending,
        a.floor_minor,
        a.ceiling_minor,
        a.version + 1,
    )


def unclaimed_charge(channel: str, currency: str, amount_minor: int) -> tuple[Posting, ...]:
    """The channel took money that no payment is waiting for."""
    return (Posting(channel_receivable(channel, currency), unclaimed(channel, currency), amount_minor),)


def unclaimed_refund(channel: str, currency: str, amount_minor: int) -> tuple[Posting, ...]:
    """It gave that money back."""
    return (Posting(unclaimed(channel, currency), channel_receivable(channel, currency), amount_minor),)
