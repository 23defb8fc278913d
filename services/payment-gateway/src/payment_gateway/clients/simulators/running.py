"""The channels as they run: their books, their reporters, and the payers and banks who act after a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from payment_gateway.clients.simulators import bank, card, rules, wallet
from payment_gateway.clients.simulators.book import Book, Operation
from payment_gateway.clients.simulators.faults import Delays
from payment_gateway.clients.simulators.journal import Journal
from payment_gateway.clients.simulators.payout_book import PayoutBook
from payment_gateway.clients.simulators.reports import Reporter
from payment_gateway.clients.simulators.settlement import FeePlan
from payment_gateway.settings import Settings
from platform_kit.problems import InvalidRequest


@dataclass(frozen=True)
class Kind:
    """How a kind of channel ends what waits for its payer: when, and with which code (None: it succeeds)."""

    decided_after_s: Callable[[Operation, Delays], float]
    code_of: Callable[[Operation], str | None]


CARD: Final = Kind(card.decided_after_s, card.code_of)
WALLET: Final = Kind(wallet.decided_after_s, wallet.code_of)
BANK: Final = Kind(bank.decided_after_s, bank.code_of)

PLACES: Final[Mapping[str, tuple[str, Kind, FeePlan]]] = {
    "card": ("card_sim", CARD, FeePlan(140, {0: 30, 2: 25, 3: 100, 4: 1000})),
    "card2": ("card_sim_2", CARD, FeePlan(110, {0: 60, 2: 50, 3: 200, 4: 2000})),  # cheaper for what is dear
    "wallet": ("wallet_sim", WALLET, FeePlan(140, {0: 30, 2: 25, 3: 100, 4: 1000})),
    "bank": ("bank_sim", BANK, FeePlan(0, {0: 35, 2: 30, 3: 120, 4: 1200})),
}
"""Path -> the channel that answers there, its kind, and what it charges."""


@dataclass(frozen=True)
class Simulator:
    """One channel: what it knows, and how it reports."""

    book: Book
    reporter: Reporter
    callback_url: str
    """Where results go that named no place of their own."""
    kind: Kind
    fees: FeePlan
    delays: Delays

    def let_payer_decide(self, operation: Operation) -> None:
        """Have the payer act after a while, or nobody until the time is over; a void may come first."""

        def decide() -> None:
            if operation.outcome == "action_required":
                rules.settle(self.book, operation, self.kind.code_of(operation))
                self.told(operation)

        age_s = (datetime.now(UTC) - datetime.fromisoformat(operation.at)).total_seconds()
        after_s = max(0.0, self.kind.decided_after_s(operation, self.delays) - age_s)
        asyncio.get_running_loop().call_later(after_s, decide)

    def told(self, operation: Operation) -> None:
        """A result has come: report it; a transfer that will go back does so after a while."""
        self.reporter.report(operation)
        self.let_bank_return(operation)

    def let_bank_return(self, operation: Operation) -> None:
        def take_back() -> None:
            if bank.goes_back(operation):
                self.told(bank.take_back(self.book, operation))

        if bank.goes_back(operation):
            asyncio.get_running_loop().call_later(self.delays.return_s, take_back)


@dataclass(frozen=True)
class Simulators:
    """All channels of the process."""

    channels: Mapping[str, Simulator]
    """By the path under which they answer."""
    delays: Delays
    internal_token: str
    payouts: PayoutBook

    def at(self, place: str) -> Simulator:
        """The channel at /card, /card2, /wallet or /bank."""
        return self.channels[place]

    def named(self, channel: str) -> Simulator:
        """The channel called `channel`. Raises InvalidRequest."""
        for simulator in self.channels.values():
            if simulator.book.channel == channel:
                return simulator
        raise InvalidRequest(f"channel must be one of {', '.join(name for name, *_ in PLACES.values())}.")


@asynccontextmanager
async def open_simulators(settings: Settings, delays: Delays) -> AsyncIterator[Simulators]:
    """Replay the journals and take up what a former process left: payers who wait, results that nobody has heard."""
    payouts = PayoutBook(Journal(Path(settings.channel_journal_dir) / "payout_sim.jsonl"))
    channels = {place: _open(settings, delays, *plan) for place, plan in PLACES.items()}
    for simulator in channels.values():
        simulator.reporter.start()
        for operation in simulator.book.waiting():
            simulator.let_payer_decide(operation)
        for operation in simulator.book.settled():
            simulator.let_bank_return(operation)
    try:
        yield Simulators(channels, delays, settings.internal_token.get_secret_value(), payouts)
    finally:
        payouts.journal.close()
        for simulator in channels.values():
            await simulator.reporter.close()
            simulator.book.journal.close()


def _open(settings: Settings, delays: Delays, channel: str, kind: Kind, fees: FeePlan) -> Simulator:
    book = Book(channel, Journal(Path(settings.channel_journal_dir) / f"{channel}.jsonl"))
    reporter = Reporter(book, settings.channel_secret.get_secret_value())
    url = f"{settings.gateway_url}/internal/channel-events/{channel}"
    return Simulator(book, reporter, url, kind, fees, delays)
