"""The accounts of a payment platform and the postings of each event (payments.md 6.3). Pure; docs/money.md shows the
same table, and a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from payment_gateway.domain.ledger import AccountName, Posting, PostingKind, channel_receivable

PLATFORM: Final = "platform"


def merchant_account(merchant_id: str, kind: str, currency: str) -> AccountName:
    """`kind` is pending (captured, not settled), surcharge (goes through, there and back), available, reserve (kept
    back for a while), disputed or payouts_in_transit."""
    return AccountName(f"merchant:{merchant_id}", kind, currency)


def platform_account(kind: str, currency: str) -> AccountName:
    """`kind` is fees (earned), scheme_fees (what channels cost), bank (what payouts leave),
    suspense (what nobody can explain), fx (liquidity) or fx_rounding (what rounding left of it)."""
    return AccountName(PLATFORM, kind, currency)


def hold(
    merchant_id: str, channel: str, currency: str, amount_minor: int, surcharge_minor: int = 0
) -> tuple[Posting, ...]:
    """An authorisation: the amount is on its way from the channel to the merchant, and counts for nobody yet. Here and
    below, `surcharge_minor` is the part of the amount that goes by the merchant's `surcharge` account."""
    return _captured(merchant_id, channel, currency, amount_minor, surcharge_minor, PostingKind.PENDING)


def capture_of_hold(
    merchant_id: str,
    channel: str,
    currency: str,
    amount_minor: int,
    surcharge_minor: int = 0,
    on: str = "pending",
) -> tuple[Posting, ...]:
    """A capture of a held amount: the merchant's, but not yet to be paid out."""
    lines = _captured(merchant_id, channel, currency, amount_minor, surcharge_minor, PostingKind.POST, on)
    return lines + _surcharge_taken(merchant_id, currency, surcharge_minor)


def release_of_hold(
    merchant_id: str,
    channel: str,
    currency: str,
    amount_minor: int,
    surcharge_minor: int = 0,
    on: str = "pending",
) -> tuple[Posting, ...]:
    """A void, or the expiry of a hold."""
    return _captured(merchant_id, channel, currency, amount_minor, surcharge_minor, PostingKind.RELEASE, on)


def sale(
    merchant_id: str, channel: str, currency: str, amount_minor: int, surcharge_minor: int = 0
) -> tuple[Posting, ...]:
    """Authorised and captured at once."""
    lines = _captured(merchant_id, channel, currency, amount_minor, surcharge_minor, PostingKind.POSTED)
    return lines + _surcharge_taken(merchant_id, currency, surcharge_minor)


def refund(
    merchant_id: str, channel: str, currency: str, amount_minor: int, surcharge_minor: int = 0
) -> tuple[Posting, ...]:
    """The way back: the merchant owes, the channel pays out. May leave `available` below zero: a debt."""
    source, receivable = (
        merchant_account(merchant_id, "available", currency),
        channel_receivable(channel, currency),
    )
    price_minor = amount_minor - surcharge_minor
    lines: tuple[Posting, ...] = (Posting(source, receivable, price_minor),) if price_minor else ()
    if surcharge_minor:
        through = merchant_account(merchant_id, "surcharge", currency)
        lines += (Posting(source, through, surcharge_minor), Posting(through, receivable, surcharge_minor))
    return lines


def fee(merchant_id: str, currency: str, amount_minor: int) -> tuple[Posting, ...]:
    """The platform's fee for a capture, out of what is not settled yet; nothing for a fee of 0."""
    source = merchant_account(merchant_id, "pending", currency)
    return (Posting(source, platform_account("fees", currency), amount_minor),) if amount_minor else ()


def fee_returned(merchant_id: str, currency: str, amount_minor: int) -> tuple[Posting, ...]:
    """A fee (its share in a refund, or that of a dispute which was won) is the merchant's again; nothing for 0."""
    target = merchant_account(merchant_id, "available", currency)
    return (Posting(platform_account("fees", currency), target, amount_minor),) if amount_minor else ()


def dispute_fee(merchant_id: str, currency: str, amount_minor: int) -> tuple[Posting, ...]:
    """What an opened dispute costs its merchant; may leave `available` below zero: a debt. Nothing for 0."""
    source = merchant_account(merchant_id, "available", currency)
    return (Posting(source, platform_account("fees", currency), amount_minor),) if amount_minor else ()


def settlement(merchant_id: str, currency: str, amount_minor: int) -> tuple[Posting, ...]:
    """The settlement delay is over: what was captured may be paid out. Negative when fees outweigh captures."""
    return (_between(merchant_id, "pending", "available", currency, amount_minor),)


def reserve_kept(merchant_id: str, currency: str, amount_minor: int) -> tuple[Posting, ...]:
    """A share of a settlement is kept back; nothing for 0."""
    return (_between(merchant_id, "available", "reserve", currency, amount_minor),) if amount_minor else ()


def reserve_released(merchant_id: str, currency: str, amount_minor: int) -> tuple[Posting, ...]:
    """Its days are over: it may be paid out."""
    return (_between(merchant_id, "reserve", "available", currency, amount_minor),)


def reserve_accounts(merchant_id: str, currency: str) -> tuple[AccountName, ...]:
    """The accounts between which a reserve moves."""
    return tuple(merchant_account(merchant_id, kind, currency) for kind in ("available", "reserve"))


def dispute_opened(merchant_id: str, currency: str, amount_minor: int) -> tuple[Posting, ...]:
    """The disputed sum is set aside; it is nobody's until the dispute is decided."""
    return (_between(merchant_id, "available", "disputed", currency, amount_minor),) if amount_minor else ()


def dispute_won(merchant_id: str, currency: str, amount_minor: int) -> tuple[Posting, ...]:
    """The disputed sum is the merchant's again."""
    return (_between(merchant_id, "disputed", "available", currency, amount_minor),) if amount_minor else ()


def dispute_lost(merchant_id: str, channel: str, currency: str, amount_minor: int) -> tuple[Posting, ...]:
    """The channel takes the disputed sum back."""
    source = merchant_account(merchant_id, "disputed", currency)
    posting = Posting(source, channel_receivable(channel, currency), amount_minor) if amount_minor else None
    return (posting,) if posting else ()


def dispute_reinstated(
    merchant_id: str, channel: str, currency: str, amount_minor: int
) -> tuple[Posting, ...]:
    """The channel gives back what it had taken as lost."""
    target = merchant_account(merchant_id, "disputed", currency)
    posting = Posting(channel_receivable(channel, currency), target, amount_minor) if amount_minor else None
    return (posting,) if posting else ()


def payout_created(merchant_id: str, currency: str, amount_minor: int) -> tuple[Posting, ...]:
    """Out of `available`, on its way: it cannot be spent twice."""
    return (_between(merchant_id, "available", "payouts_in_transit", currency, amount_minor),)


def payout_undone(merchant_id: str, currency: str, amount_minor: int) -> tuple[Posting, ...]:
    """Cancelled, or refused by the bank: the balance is restored."""
    return (_between(merchant_id, "payouts_in_transit", "available", currency, amount_minor),)


def payout_paid(merchant_id: str, currency: str, amount_minor: int) -> tuple[Posting, ...]:
    """The bank has carried it out."""
    source = merchant_account(merchant_id, "payouts_in_transit", currency)
    return (Posting(source, platform_account("bank", currency), amount_minor),)


def payout_returned(merchant_id: str, currency: str, amount_minor: int) -> tuple[Posting, ...]:
    """Carried out, and then sent back by the receiving bank: the balance is restored."""
    target = merchant_account(merchant_id, "available", currency)
    return (Posting(platform_account("bank", currency), target, amount_minor),)


def channel_costs(channel: str, currency: str, amount_minor: int) -> tuple[Posting, ...]:
    """What a channel keeps for itself of what it took in: it owes us less. Nothing for 0."""
    expense = platform_account("scheme_fees", currency)
    return (Posting(expense, channel_receivable(channel, currency), amount_minor),) if amount_minor else ()


MOVEMENTS: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        ("receivable", "pending"): "charge",
        ("receivable", "available"): "charge",  # before settlement delays existed
        ("available", "receivable"): "refund",
        ("surcharge", "pending"): "surcharge",
        ("available", "surcharge"): "surcharge_refund",
        ("pending", "fees"): "fee",
        ("available", "fees"): "dispute_fee",
        ("fees", "available"): "fee_returned",
        ("pending", "available"): "settlement",
        ("available", "pending"): "settlement",
        ("available", "reserve"): "reserve",
        ("reserve", "available"): "reserve_released",
        ("available", "disputed"): "dispute",
        ("disputed", "available"): "dispute_won",
        ("available", "payouts_in_transit"): "payout",
        ("payouts_in_transit", "available"): "payout_undone",
        ("bank", "available"): "payout_returned",
        ("suspense", "available"): "adjustment",
        ("available", "suspense"): "adjustment",
        ("available", "fx"): "conversion",
        ("fx", "available"): "conversion",
    }
)
"""(kind debited, kind credited) -> what a merchant calls a movement of its pending or available balance."""

FEES: Final = frozenset({"fee", "dispute_fee", "fee_returned"})
"""Which of these are fees, beside the movement that they belong to."""


def _captured(
    merchant_id: str,
    channel: str,
    currency: str,
    amount_minor: int,
    surcharge_minor: int,
    kind: PostingKind,
    on: str = "pending",
) -> tuple[Posting, ...]:
    """From the channel: the price to the merchant, the surcharge to an account that shows it by itself."""
    receivable = channel_receivable(channel, currency)
    parts = ((on, amount_minor - surcharge_minor), ("surcharge", surcharge_minor))
    return tuple(
        Posting(receivable, merchant_account(merchant_id, target, currency), part, kind)
        for target, part in parts
        if part
    )


def _surcharge_taken(merchant_id: str, currency: str, surcharge_minor: int) -> tuple[Posting, ...]:
    """A captured surcharge is the merchant's like the price."""
    if not surcharge_minor:
        return ()
    return (_between(merchant_id, "surcharge", "pending", currency, surcharge_minor),)


def _between(merchant_id: str, debit: str, credit: str, currency: str, amount_minor: int) -> Posting:
    if amount_minor < 0:
        debit, credit, amount_minor = credit, debit, -amount_minor
    source, target = (merchant_account(merchant_id, kind, currency) for kind in (debit, credit))
    return Posting(source, target, amount_minor)
