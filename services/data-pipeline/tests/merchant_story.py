"""What the gateway tells of one merchant's money after the payment, and what its accounts come to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pipeline_rig import NOON, a_payment, an_attempt

from platform_kit.clock import isoformat
from platform_kit.outbox import Event

MERCHANT = "mer_00000000000000000000000001"
RECEIVABLE = "channel:card_sim:receivable"
FEES, BANK, FX, SUSPENSE = (f"platform:{kind}" for kind in ("fees", "bank", "fx", "suspense"))


@dataclass
class Story:
    """Events in their order. Each method is something that happened, by the postings of docs/money.md."""

    at: datetime = NOON - timedelta(days=1)
    currency: str = "EUR"
    merchant: str = MERCHANT
    first: int = 1
    """The position of its first event."""
    events: list[Event] = field(default_factory=list)
    balances: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(account, currency) -> minor units, kept by adding up."""

    def account(self, kind: str) -> str:
        return f"merchant:{self.merchant}:{kind}"

    def capture(self, number: int, amount: int, *, fee: int = 0, surcharge: int = 0) -> Event:
        moves = [(RECEIVABLE, self.account("pending"), amount - surcharge)]
        if surcharge:
            moves += [
                (RECEIVABLE, self.account("surcharge"), surcharge),
                (self.account("surcharge"), self.account("pending"), surcharge),
            ]
        if fee:
            moves.append((self.account("pending"), FEES, fee))
        payment = self._payment(number, amount)
        data = {"payment": payment, "refund": None, "attempt": an_attempt(number)}
        return self._tell("payment.captured.v1", payment["id"], data, moves)

    def settle(self, amount: int) -> Event:
        return self._tell(
            "balance.settled.v1", None, {}, [(self.account("pending"), self.account("available"), amount)]
        )

    def keep_back(self, number: int, amount: int) -> Event:
        moves = [(self.account("available"), self.account("reserve"), amount)]
        return self._tell(
            "reserve.held.v1", f"rsv_{number:026d}", {"reserve": self._reserve(number, amount, None)}, moves
        )

    def release(self, number: int, amount: int) -> Event:
        moves = [(self.account("reserve"), self.account("available"), amount)]
        released = self._reserve(number, amount, isoformat(self.at))
        return self._tell("reserve.released.v1", f"rsv_{number:026d}", {"reserve": released}, moves)

    def refund(self, number: int, amount: int, *, fee_returned: int = 0) -> Event:
        moves = [(self.account("available"), RECEIVABLE, amount)]
        if fee_returned:
            moves.append((FEES, self.account("available"), fee_returned))
        payment = self._payment(number, amount) | {"refunded_minor": amount}
        refund = {
            "id": f"rf_{number:026d}",
            "payment_id": payment["id"],
            "amount_minor": amount,
            "currency": self.currency,
            "status": "succeeded",
            "reason": None,
            "created_at": isoformat(self.at),
        }
        data = {"payment": payment, "refund": refund, "attempt": an_attempt(number, "refund")}
        return self._tell("refund.succeeded.v1", payment["id"], data, moves)

    def dispute(self, number: int, status: str, amount: int, *, fee: int = 0) -> Event:
        """`needs_response` opens it, `won` and `lost` decide it."""
        available, disputed = self.account("available"), self.account("disputed")
        moves = {
            "needs_response": [(available, disputed, amount)] + ([(available, FEES, fee)] if fee else []),
            "won": [(disputed, available, amount)] + ([(FEES, available, fee)] if fee else []),
            "lost": [(disputed, RECEIVABLE, amount)],
        }[status]
        payment = self._payment(number, amount)
        dispute = {
            "id": f"dp_{number:026d}",
            "object": "dispute",
            "payment_id": payment["id"],
            "status": status,
            "reason": "fraudulent",
            "amount_minor": amount,
            "reserved_minor": amount,
            "fee_minor": fee,
            "fee_returned_minor": fee if status == "won" else 0,
            "currency": self.currency,
            "evidence": {},
            "evidence_due_at": isoformat(self.at + timedelta(days=7)),
            "closed_by": None if status == "needs_response" else "channel",
            "created_at": isoformat(self.at),
            "updated_at": isoformat(self.at),
        }
        kind = "dispute.opened.v1" if status == "needs_response" else f"dispute.{status}.v1"
        data = {"dispute": dispute, "payment": payment, "attempt": None}
        return self._tell(kind, payment["id"], data, moves)

    def payout(self, number: int, status: str, amount: int) -> Event:
        available, transit = self.account("available"), self.account("payouts_in_transit")
        moves = {
            "pending": [(available, transit, amount)],
            "in_transit": [],
            "paid": [(transit, BANK, amount)],
            "failed": [(transit, available, amount)],
            "cancelled": [(transit, available, amount)],
            "returned": [(BANK, available, amount)],
        }[status]
        payout = {
            "id": f"po_{number:026d}",
            "object": "payout",
            "amount_minor": amount,
            "currency": self.currency,
            "destination": "ba_pays",
            "status": status,
            "slot": None,
            "failure_code": "account_closed" if status == "failed" else None,
            "created_at": isoformat(self.at),
            "updated_at": isoformat(self.at),
        }
        kind = "payout.created.v1" if status == "pending" else f"payout.{status}.v1"
        return self._tell(kind, payout["id"], {"payout": payout}, moves)

    def convert(self, sold: int, bought: int, into: str) -> Event:
        """Out of this currency, into another one."""
        moves = [(self.account("available"), FX, sold), (FX, self.account("available"), bought, into)]
        return self._tell("balance.converted.v1", None, {"rate": {"units": "ignored here"}}, moves)

    def explain(self, amount: int) -> Event:
        """What nobody could explain was the merchant's."""
        moves = [(SUSPENSE, self.account("available"), amount)]
        return self._tell("suspense.resolved.v1", None, {"suspense": {"id": "sus_1"}}, moves)

    def _tell(
        self, kind: str, aggregate: str | None, data: dict[str, Any], moves: list[tuple[Any, ...]]
    ) -> Event:
        position = self.first + len(self.events)
        journal_id = f"je_s{position:025d}"
        lines = [
            {
                "debit": debit,
                "credit": credit,
                "amount_minor": amount,
                "currency": currency[0] if currency else self.currency,
                "kind": "posted",
            }
            for debit, credit, amount, *currency in moves
        ]
        for line in lines:
            self.balances[line["debit"], line["currency"]] -= line["amount_minor"]
            self.balances[line["credit"], line["currency"]] += line["amount_minor"]
        journal = {"id": journal_id, "transfers": lines} if lines else None
        event = Event(
            id=f"evt_s{position:025d}",
            type=kind,
            position=position,
            occurred_at=self.at,
            aggregate_id=aggregate or journal_id,
            merchant_id=self.merchant,
            traceparent=None,
            data=data | {"journal": journal},
        )
        self.events.append(event)
        self.at += timedelta(minutes=1)
        return event

    def _payment(self, number: int, amount: int) -> dict[str, Any]:
        return a_payment(
            number,
            merchant_id=self.merchant,
            amount_minor=amount,
            authorised_minor=amount,
            captured_minor=amount,
            currency=self.currency,
            created_at=isoformat(self.at),
            updated_at=isoformat(self.at),
        )

    def _reserve(self, number: int, amount: int, released_at: str | None) -> dict[str, Any]:
        return {
            "id": f"rsv_{number:026d}",
            "object": "reserve",
            "amount_minor": amount,
            "currency": self.currency,
            "created_at": isoformat(self.at),
            "release_at": isoformat(self.at + timedelta(days=180)),
            "released_at": released_at,
        }


def a_day(first: int = 1, *, at: datetime = NOON - timedelta(days=1), currency: str = "EUR") -> Story:
    """One of everything: captures, a settlement with a reserve, a refund, disputes, a payout that is paid."""
    story = Story(at=at, currency=currency, first=first)
    story.capture(9001, 10_000, fee=165)
    story.capture(9002, 5_300, fee=99, surcharge=300)
    story.settle(15_036)
    story.keep_back(1, 1_504)
    story.refund(9001, 1_000, fee_returned=17)
    story.dispute(9002, "needs_response", 5_300, fee=1_500)
    story.explain(1_250)
    story.payout(1, "pending", 5_999)
    story.payout(1, "in_transit", 5_999)
    story.payout(1, "paid", 5_999)
    story.dispute(9002, "won", 5_300, fee=1_500)
    story.release(1, 1_504)
    return story
