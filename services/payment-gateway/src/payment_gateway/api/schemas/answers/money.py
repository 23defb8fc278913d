"""What a merchant has and gets: balances, reserves, payouts, terms, and money that nobody claims."""

from __future__ import annotations

from typing import Final

from payment_gateway.api.schemas.answers.words import (
    AMOUNT,
    CURRENCY,
    LABELS,
    MINOR,
    TIME,
    TIMES,
    identifier,
    page,
    word,
)
from payment_gateway.domain.payout import PayoutStatus
from payment_gateway.domain.postings import MOVEMENTS
from payment_gateway.domain.suspense import Direction, SuspenseStatus, Target
from platform_kit.contract import ANYTHING, COUNT, TEXT, Schema, items, nullable, shape, thing

SCHEMAS: Final[dict[str, Schema]] = {
    "Balance": thing(
        "balance",
        {
            "balances": items(
                shape(
                    {
                        "currency": CURRENCY,
                        "available_minor": MINOR,
                        "pending_minor": MINOR,
                        "reserve_minor": MINOR,
                        "disputed_minor": MINOR,
                        "payouts_in_transit_minor": MINOR,
                    }
                )
            )
        },
    ),
    "BalanceTransaction": thing(
        "balance_transaction",
        {
            "id": identifier("je"),
            "type": word(*sorted({*MOVEMENTS.values(), "other"})),
            "amount_minor": MINOR,
            "fee_minor": MINOR,
            "net_minor": MINOR,
            "pending_minor": MINOR,
            "available_minor": MINOR,
            "currency": CURRENCY,
            "payment_id": nullable(identifier("pay")),
            "created_at": TIME,
        },
    ),
    "BalanceTransactionPage": page("BalanceTransaction", "next_cursor"),
    "Reserve": thing(
        "reserve",
        {
            "id": identifier("rsv"),
            "amount_minor": AMOUNT,
            "currency": CURRENCY,
            "created_at": TIME,
            "release_at": TIME,
            "released_at": nullable(TIME),
        },
    ),
    "ReservePage": page("Reserve", "next_cursor"),
    "Suspense": thing(
        "suspense",
        {
            "id": identifier("sus"),
            "status": word(*SuspenseStatus),
            "channel": TEXT,
            "reference": TEXT,
            "direction": word(*Direction),
            "amount_minor": AMOUNT,
            "currency": CURRENCY,
            "note": TEXT,
            "resolved_to": nullable(word(*Target)),
            "merchant_id": nullable(identifier("mer")),
            "resolution": nullable(TEXT),
            "created_at": TIME,
            "resolved_at": nullable(TIME),
        },
    ),
    "SuspensePage": page("Suspense", "next_cursor"),
    "Payout": thing(
        "payout",
        {
            "id": identifier("po"),
            "amount_minor": AMOUNT,
            "currency": CURRENCY,
            "destination": TEXT,
            "status": word(*PayoutStatus),
            "slot": nullable(TEXT),
            "failure_code": nullable(TEXT),
            "description": nullable(TEXT),
            "metadata": LABELS,
            **TIMES,
        },
        optional=("description", "metadata"),  # events of before have none
    ),
    "PayoutPage": page("Payout", "next_cursor"),
    "Terms": shape(
        {
            "merchant_id": identifier("mer"),
            "settlement_delay_days": COUNT,
            "payout_destination": nullable(TEXT),
            "fee_plan": nullable(ANYTHING),
            "settlement_currency": nullable(CURRENCY),
            "reserve": nullable(shape({"basis_points": COUNT, "days": COUNT})),
        }
    ),
}
