"""A break in words: its sides line by line with what differs, and what each act does before it is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from data_pipeline.domain.closing import Act
from data_pipeline.domain.reconciliation import OF_PAYOUTS, BreakClass
from data_pipeline.operations.show_sides import BankSide
from platform_kit.money import format_minor

DONE: Final = {
    Act.ACCEPT: "Accepted",
    Act.WRITE_OFF: "Written off",
    Act.CLAIM: "Claimed",
    Act.CORRECT: "Corrected",
    Act.APPROVE: "Approved",
    Act.REJECT: "Rejected",
    Act.NOTE: "Noted",
    Act.ASSIGN: "Given",
    Act.BOOKED: "Booked",
    Act.REFUSED: "Refused",
    Act.REOPENED: "Reopened",
    Act.CLOSED: "Closed",
}
"""Acts as a history tells them."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One line of the comparison; None = the side has nothing of it. `differs` marks the values that do not agree."""

    name: str
    ledger: str | None
    file: str | None
    bank: str | None
    differs: bool = False
    is_amount: bool = False


def compared(found: Mapping[str, Any], bank: BankSide) -> list[Compared]:
    """Ledger, channel file and bank side by side. The bank books batches: its side is of the break itself only when the
    break is a payout's, and else of the batch that pays it out."""
    of_payout = found["break_class"] in OF_PAYOUTS
    return [
        *_amounts(found, bank, of_payout),
        Compared("Operation", _have(found, "ledger_amount_minor", "settled_type"),
                 "payout" if of_payout else _have(found, "file_amount_minor", "settled_type"),
                 "payout" if bank.payout or of_payout else None),
        Compared("Status", found["ledger_status"] or ("booked" if found["journal_id"] else None),
                 "settled" if found["file_line"] else None, bank.payout["state"] if bank.payout else None,
                 differs=found["break_class"] == BreakClass.STATUS_DIFFERS),
        Compared("When", _moment(found["ledger_at"]), f"settled on {found['day']}" if found["file_line"] else None,
                 _arrived(bank)),
        Compared("Reference", found["journal_id"], found["channel_reference"] or found["channel_key"],
                 bank.payout["batch"] if bank.payout else found["channel_reference"] if of_payout else None),
    ]  # fmt: skip


def _amounts(found: Mapping[str, Any], bank: BankSide, of_payout: bool) -> list[Compared]:
    break_class = found["break_class"]
    ledger = _money(found["ledger_amount_minor"], found["ledger_currency"])
    file = _money(found["file_amount_minor"], found["file_currency"])
    if of_payout:
        sign = 1 if found["settled_type"] == "charge" else -1
        told = None if not found["file_amount_minor"] else sign * found["file_amount_minor"]
        arrived = _money(found["bank_amount_minor"], found["file_currency"])
        rows = [Compared("Amount", None, _money(told, found["file_currency"]), arrived, True, True)]
    else:
        paid = bank.payout
        received = _money(paid["received_minor"], paid["currency"]) if paid else None
        whole = f"{received} of the whole batch" if received else None
        differs = break_class not in (BreakClass.FEE_DIFFERS, BreakClass.STATUS_DIFFERS, BreakClass.TIMING)
        rows = [Compared("Amount", ledger, file, whole, differs, True)]
    if found["expected_fee_minor"] is not None or found["file_fee_minor"] is not None:
        currency = found["file_currency"]
        agreed, kept = (_money(found[f"{name}_fee_minor"], currency) for name in ("expected", "file"))
        rows.append(
            Compared(
                "Fee",
                f"{agreed} agreed" if agreed else None,
                kept,
                None,
                break_class == BreakClass.FEE_DIFFERS,
                True,
            )
        )
    return rows


def consequences(found: Mapping[str, Any], act: Act) -> str:
    """What this act does, exactly, in one sentence."""
    proposes = found["takes_four_eyes"] and act in (Act.ACCEPT, Act.WRITE_OFF, Act.CORRECT)
    if act is Act.APPROVE:
        return f"Do what {found['decided_by']} proposed: {_effect(found, Act(found['resolution']))}"
    if act is Act.REJECT:
        return f"Refuse what {found['decided_by']} proposed. Nothing is booked, and it is open again."
    second = " Takes a second person: this is a proposal." if proposes else ""
    return _effect(found, act) + second


def _effect(found: Mapping[str, Any], act: Act) -> str:
    sums = [(currency, minor) for currency, minor in sorted(found["left_minor"].items()) if minor]
    moved = " and ".join(
        f"{format_minor(abs(minor), currency)} {currency} {'more' if minor > 0 else 'less'}"
        for currency, minor in sums
    )
    match act:
        case Act.ACCEPT:
            return "It is right as it is, or too small to follow. Nothing is booked; it closes."
        case Act.CLAIM:
            return (
                "The channel is asked for it. Nothing is booked; it stays open until its counterpart arrives."
            )
        case Act.CORRECT:
            return f"Book that {found['channel']} owes us {moved}, against suspense. It closes."
        case Act.WRITE_OFF:
            keeps = " and ".join("keeps it" if minor > 0 else "bears it" for _, minor in sums)
            return f"Book that {found['channel']} owes us {moved}; the platform {keeps}. It closes."
        case _:
            return ""


def _arrived(bank: BankSide) -> str | None:
    if bank.payout is None or bank.payout["received_minor"] is None:
        return None
    late = bank.payout["arrived_on"]
    return f"late, on {late}" if late else "on the day after"


def _money(minor: int | None, currency: str | None) -> str | None:
    return None if minor is None or currency is None else f"{format_minor(minor, currency)} {currency}"


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.strftime("%Y-%m-%d %H:%M:%S UTC")


def _have(found: Mapping[str, Any], proof: str, name: str) -> str | None:
    return None if found[proof] is None else str(found[name])
