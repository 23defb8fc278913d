"""Accounts, transfers, holds and the verification of the ledger."""

from __future__ import annotations

from typing import Final

from payment_gateway.api.schemas.answers.words import (
    AMOUNT,
    CURRENCY,
    LABELS,
    MINOR,
    TIME,
    TOTAL,
    identifier,
    page,
    word,
)
from payment_gateway.domain.ledger import BOOKS, PostingKind
from payment_gateway.domain.ledger_hold import HoldState
from platform_kit.contract import COUNT, FLAG, TEXT, Schema, items, nullable, ref, shape, thing

_TRANSFER: Final = {
    "debit_account": TEXT,
    "credit_account": TEXT,
    "amount_minor": AMOUNT,
    "currency": CURRENCY,
}
POSTING: Final = shape(
    {
        "debit": TEXT,
        "credit": TEXT,
        "amount_minor": AMOUNT,
        "currency": CURRENCY,
        "kind": word(*PostingKind),
    }
)
"""One line of a journal: of one that is told by an event, too."""
_HOLD: Final = {
    "id": identifier("hld"),
    **_TRANSFER,
    "posted_minor": TOTAL,
    "released_minor": TOTAL,
    "remaining_minor": TOTAL,
    "expires_at": nullable(TIME),
    "state": word(*HoldState),
}
_ABOUT: Final = {"effective_at": TIME, "description": TEXT, "metadata": LABELS}
_ROW: Final = {
    "journal_id": identifier("je"),
    **_TRANSFER,
    "kind": word(*PostingKind),
    "hold_id": nullable(identifier("hld")),
    "effective_at": TIME,
    "recorded_at": TIME,
    "reverses": nullable(identifier("je")),
    "reason": nullable(TEXT),
    "description": nullable(TEXT),
    "metadata": LABELS,
}

SCHEMAS: Final[dict[str, Schema]] = {
    "NewAccount": shape(
        {"name": TEXT, "currency": CURRENCY, "floor_minor": nullable(MINOR), "ceiling_minor": nullable(MINOR)}
    ),
    "Account": thing(
        "account",
        {
            "merchant_id": identifier("mer"),
            "book": word(*BOOKS)
            | {
                "description": "`own`: what you opened; `payments`: what your payments move, such as `available`"
            },
            "name": TEXT,
            "currency": CURRENCY,
            "available_minor": MINOR,
            "debits_posted_minor": TOTAL,
            "credits_posted_minor": TOTAL,
            "debits_pending_minor": TOTAL,
            "credits_pending_minor": TOTAL,
            "floor_minor": nullable(MINOR),
            "ceiling_minor": nullable(MINOR),
            "version": COUNT,
        },
    ),
    "AccountPage": page("Account", "next_cursor"),
    "AccountBalance": thing(
        "balance",
        {
            "name": TEXT,
            "currency": CURRENCY,
            "posted_minor": MINOR,
            "held_minor": MINOR,
            "available_minor": MINOR,
        },
    ),
    "Hold": thing("hold", _HOLD),
    "SettledHold": thing("hold", _HOLD | {"journal_id": identifier("je")}),
    "SingleTransfer": thing(
        "transfer",
        {
            "id": identifier("je"),
            "created_at": TIME,
            **_ABOUT,
            **_TRANSFER,
            "hold": ref("Hold"),
        },
        optional=[*_ABOUT, "hold"],
    ),
    "JournalTransfer": thing(
        "journal",
        {
            "id": identifier("je"),
            "created_at": TIME,
            **_ABOUT,
            "transfers": items(shape(_TRANSFER)),
        },
        optional=_ABOUT,
    ),
    "Transfer": {"oneOf": [ref("SingleTransfer"), ref("JournalTransfer")]},
    "TransferBatch": thing(
        "transfer_batch",
        {
            "done": COUNT,
            "refused": COUNT,
            "results": items(
                {
                    "oneOf": [
                        shape({"status": word("done"), "transfer": ref("Transfer")}),
                        shape({"status": word("refused"), "problem": ref("Problem")}),
                    ]
                }
            ),
        },
    ),
    "LedgerTransfer": thing("transfer", _ROW),
    "AccountTransfer": thing("transfer", _ROW | {"version": COUNT}),
    "AccountTransferPage": page("AccountTransfer", "next_cursor"),
    "LedgerJournal": thing(
        "journal",
        {
            "id": identifier("je"),
            "transfers": items(ref("LedgerTransfer")),
            "reverses": nullable(identifier("je")),
            "reversed_by": nullable(identifier("je")),
            "created_at": TIME,
        },
    ),
    "HoldPage": page("Hold", "next_cursor"),
    "LedgerTransferPage": page("LedgerTransfer", "next_cursor"),
    "Reversal": thing(
        "journal",
        {
            "id": identifier("je"),
            "transfers": items(POSTING),
            "reverses": identifier("je"),
            "reason": TEXT,
            "created_at": TIME,
        },
    ),
    "LedgerTotals": shape(
        {
            "position": COUNT,
            "currencies": items(shape({"currency": TEXT, "moved_minor": COUNT})),
        }
    ),
    "LedgerBalances": shape(
        {
            "position": COUNT,
            "accounts": items(
                shape(
                    {
                        "account": TEXT,
                        "currency": TEXT,
                        "debits_minor": MINOR,
                        "credits_minor": MINOR,
                        "debits_pending_minor": MINOR,
                        "credits_pending_minor": MINOR,
                    }
                )
            ),
            "chain": nullable(shape({"position": COUNT, "hash": TEXT, "chained_at": TIME})),
            "has_more": FLAG,
        }
    ),
    "ToldJournal": thing(
        "journal",
        {
            "id": TEXT,
            "merchant_id": nullable(TEXT),
            "reverses": nullable(TEXT),
            "reversed_by": nullable(TEXT),
            "reason": nullable(TEXT),
            "description": nullable(TEXT),
            "metadata": LABELS,
            "recorded_at": TIME,
            "lines": items(
                shape(
                    {
                        "payment_id": nullable(TEXT),
                        "hold_id": nullable(TEXT),
                        "effective_at": TIME,
                        "link": nullable(COUNT),
                        "hash": nullable(TEXT),
                    }
                )
            ),
        },
    ),
    "Verification": shape(
        {
            "balanced": FLAG,
            "accounts": COUNT,
            "transfers": COUNT,
            "currencies": items(
                shape(
                    {
                        "currency": CURRENCY,
                        "debits_minor": TOTAL,
                        "credits_minor": TOTAL,
                        "debits_pending_minor": TOTAL,
                        "credits_pending_minor": TOTAL,
                    }
                )
            ),
            "differences": items(TEXT),
            "unproved_transfers": items({}),
            "wrong_journals": items(TEXT),
            "chain": shape(
                {
                    "length": COUNT,
                    "broken_at": nullable({}),
                    "behind": COUNT,
                    "lag_s": {"type": "number", "minimum": 0},
                }
            ),
            "fx_rounding": items(
                shape(
                    {
                        "currency": CURRENCY,
                        "booked_minor": MINOR,
                        "carried_atto": {"type": "integer"}
                        | {"description": "10^-18 minor units: residues that are no whole one yet"},
                        "conversions": COUNT,
                        "explained": FLAG,
                    }
                )
            ),
        }
    ),
}
