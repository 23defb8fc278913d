"""docs/states.md and docs/money.md say what the code says."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from payment_gateway.domain import postings, suspense
from payment_gateway.domain.diagrams import page
from payment_gateway.domain.ledger import Posting

DOCS = Path(__file__).parents[4] / "docs"


def an_item(direction: suspense.Direction) -> suspense.Suspense:
    return suspense.Suspense(
        "sus_1", "c", "brk_1", direction, 100, "EUR", "", datetime(2026, 11, 26, tzinfo=UTC)
    )


FLOWS: dict[str, tuple[Posting, ...]] = {
    "hold placed": postings.hold("m", "c", "EUR", 100),
    "hold captured": postings.capture_of_hold("m", "c", "EUR", 100),
    "hold released": postings.release_of_hold("m", "c", "EUR", 100),
    "captured at once": postings.sale("m", "c", "EUR", 100),
    "fee of a capture": postings.fee("m", "EUR", 3),
    "fee returned": postings.fee_returned("m", "EUR", 3),
    "fee of a dispute": postings.dispute_fee("m", "EUR", 3),
    "settled": postings.settlement("m", "EUR", 100),
    "kept in reserve": postings.reserve_kept("m", "EUR", 100),
    "reserve released": postings.reserve_released("m", "EUR", 100),
    "cost of a channel": postings.channel_costs("c", "EUR", 3),
    "unexplained, received": suspense.booking(an_item(suspense.Direction.RECEIVED)),
    "unexplained, taken": suspense.booking(an_item(suspense.Direction.TAKEN)),
    "explained as a merchant's": suspense.resolution(
        an_item(suspense.Direction.RECEIVED), suspense.Target.MERCHANT, "m"
    ),
    "refunded": postings.refund("m", "c", "EUR", 100),
    "dispute opened": postings.dispute_opened("m", "EUR", 100),
    "dispute won": postings.dispute_won("m", "EUR", 100),
    "dispute won after it was given up": postings.dispute_reinstated("m", "c", "EUR", 100),
    "dispute lost": postings.dispute_lost("m", "c", "EUR", 100),
    "payout made": postings.payout_created("m", "EUR", 100),
    "payout paid": postings.payout_paid("m", "EUR", 100),
    "payout failed or cancelled": postings.payout_undone("m", "EUR", 100),
    "payout returned": postings.payout_returned("m", "EUR", 100),
}


def test_the_diagrams_are_those_of_the_tables() -> None:
    assert (DOCS / "states.md").read_text() == page()


def test_the_page_about_money_lists_the_postings_of_each_event() -> None:
    lines = [line.strip() for line in (DOCS / "money.md").read_text().splitlines()]
    surcharged = (
        "surcharge held",
        "surcharge captured",
        "surcharge passed on",
        "surcharge refunded",
        "and back",
    )
    postings_of = {event: posting for event, (posting,) in FLOWS.items()}
    of_hold = postings.hold("m", "c", "EUR", 104, 4)[1:]
    of_capture = postings.capture_of_hold("m", "c", "EUR", 104, 4)[1:]
    of_refund = postings.refund("m", "c", "EUR", 104, 4)[1:]
    postings_of |= dict(zip(surcharged, (*of_hold, *of_capture, *of_refund), strict=True))
    for event, posting in postings_of.items():
        row = f"| {event} | {posting.debit.kind} | {posting.credit.kind} | `{posting.kind}` |"
        assert row in lines, row
