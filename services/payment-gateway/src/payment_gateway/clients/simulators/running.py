"""Both channels as they run: their books, their reporters, and the payers who act after a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from payment_gateway.clients.simulators import card, wallet
from payment_gateway.clients.simulators.book import Book, Operation
from payment_gateway.clients.simulators.faults import Delays
from payment_gateway.clients.simulators.journal import Journal
from payment_gateway.clients.simulators.reports import Reporter
from payment_gateway.settings import Settings
from platform_kit.problems import InvalidRequest


@dataclass(frozen=True)
class Simulator:
    """One channel: what it knows, and how it reports."""

    book: Book
    reporter: Reporter
    callback_url: str
    """Where results go that named no place of their own."""


@dataclass(frozen=True)
class Simulators:
    """Both channels of the process."""

    card: Simulator
    wallet: Simulator
    delays: Delays
    internal_token: str

    def at(self, place: str) -> Simulator:
        """The channel at /card or /wallet."""
        return self.card if place == "card" else self.wallet

    def named(self, channel: str) -> Simulator:
        """The channel called `channel`. Raises InvalidRequest."""
        for simulator in (self.card, self.wallet):
            if simulator.book.channel == channel:
                return simulator
        raise InvalidRequest("channel must be card_sim or wallet_sim.")

    def let_payer_decide(self, operation: Operation) -> None:
        """Have the wallet's payer act after a while, unless a void came first."""

        def decide() -> None:
            if operation.outcome == "action_required":
                card.settle(self.wallet.book, operation, wallet.code_of(operation))
                self.wallet.reporter.report(operation)

        after_s = wallet.decided_after_s(operation, self.delays.decide_least_s, self.delays.decide_most_s)
        asyncio.get_running_loop().call_later(after_s, decide)


@asynccontextmanager
async def open_simulators(settings: Settings, delays: Delays) -> AsyncIterator[Simulators]:
    """Replay the journals and take up what a former process left: payers who wait, results that nobody has heard."""
    both = (_open(settings, "card_sim"), _open(settings, "wallet_sim"))
    simulators = Simulators(*both, delays, settings.internal_token.get_secret_value())
    for simulator in both:
        simulator.reporter.start()
    for operation in simulators.wallet.book.waiting():
        simulators.let_payer_decide(operation)
    try:
        yield simulators
    finally:
        for simulator in both:
            await simulator.reporter.close()
            simulator.book.journal.close()


def _open(settings: Settings, channel: str) -> Simulator:
    book = Book(channel, Journal(Path(settings.channel_journal_dir) / f"{channel}.jsonl"))
    reporter = Reporter(book, settings.channel_secret.get_secret_value())
    return Simulator(book, reporter, f"{settings.gateway_url}/internal/channel-events/{channel}")
