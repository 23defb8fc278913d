"""What the simulated payout bank knows: its payouts by our key, rebuilt from its journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from payment_gateway.clients.simulators.journal import Journal
from platform_kit.clock import isoformat


@dataclass(slots=True)
class BankPayout:
    """One payout under one key; `asked` counts the questions, which is the bank's clock."""

    key: str
    destination: str
    amount_minor: int
    currency: str
    asked: int = 0


class PayoutBook:
    """The payouts and the journal that they come from: one line for each, written before it is answered."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.payouts: dict[str, BankPayout] = {}
        for line in journal.replay():
            self._apply(line)

    def put(self, key: str, destination: str, amount_minor: int, currency: str) -> BankPayout:
        """The payout under `key`, made now if it is new. Raises JournalUnusable."""
        if key not in self.payouts:
            line = {
                "at": isoformat(datetime.now(UTC)),
                "channel": "payout_sim",
                "type": "payout",
                "key": key,
                "destination": destination,
                "amount_minor": amount_minor,
                "currency": currency,
            }
            self.journal.append(line)
            self._apply(line)
        return self.payouts[key]

    def _apply(self, line: Mapping[str, Any]) -> None:
        self.payouts[line["key"]] = BankPayout(
            line["key"], line["destination"], line["amount_minor"], line["currency"]
        )
