"""Whatever is asked in whatever order: the limits hold, and a restart knows exactly what was known before."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from payment_gateway.clients.simulators import card, rules, wallet
from payment_gateway.clients.simulators.book import Book, Operation
from payment_gateway.clients.simulators.journal import Journal
from payment_gateway.clients.simulators.scripts import PLAIN

KEYS = st.sampled_from([f"k{number}" for number in range(8)])
AMOUNTS = st.integers(1, 40)


@dataclass(frozen=True)
class Asked:
    key: str
    body: dict[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    fault: str | None = None


class Channel(RuleBasedStateMachine):
    """Few keys, so that the same authorisation is captured, voided, refunded, challenged and closed many times."""

    @initialize()
    def open(self) -> None:
        self.place = tempfile.TemporaryDirectory()
        self.path = Path(self.place.name) / "card_sim.jsonl"
        self.book = Book("card_sim", Journal(self.path))
        self.originals: dict[str, int] = {}

    def teardown(self) -> None:
        self.book.journal.close()
        self.place.cleanup()

    def ask(self, key: str, do: Callable[[Asked], Operation], **body: Any) -> None:
        """As the routes do: a key that was used is not used again."""
        if self.book.get(key) is None:
            do(Asked(key, {"currency": "EUR", **body}))

    @rule(
        key=KEYS,
        amount=AMOUNTS,
        capture=st.booleans(),
        token=st.sampled_from(["tok_visa", "tok_3ds", "tok_lost"]),
    )
    def authorise(self, key: str, amount: int, capture: bool, token: str) -> None:
        body = {"token": token, "amount_minor": amount, "capture": capture}

        def do(asked: Asked) -> Operation:
            return card.authorise(self.book, asked, card.script_for(asked), "http://sim", "http://gateway")

        self.ask(key, do, **body)

    @rule(key=KEYS, amount=AMOUNTS, provider=st.sampled_from(["qr", "qr_declined", "nobody"]))
    def pay(self, key: str, amount: int, provider: str) -> None:
        body = {"provider": provider, "amount_minor": amount}
        self.ask(key, lambda asked: wallet.pay(self.book, asked, "http://sim", "http://gateway"), **body)

    @rule(
        key=KEYS,
        original=KEYS,
        amount=AMOUNTS,
        act=st.sampled_from([rules.capture, rules.void, rules.refund]),
    )
    def follow_up(self, key: str, original: str, amount: int, act: Any) -> None:
        self.ask(key, lambda asked: act(self.book, asked, PLAIN), original=original, amount_minor=amount)

    @rule(key=KEYS, code=st.sampled_from([None, "payer_abandoned"]))
    def payer_decides(self, key: str, code: str | None) -> None:
        operation = self.book.get(key)
        if operation and operation.outcome == "action_required":
            rules.settle(self.book, operation, code)

    @rule(key=KEYS)
    def close(self, key: str) -> None:
        rules.close(self.book, key)

    @rule()
    def restart(self) -> None:
        self.book.journal.close()
        before = self.book
        self.book = Book("card_sim", Journal(self.path))
        for number in range(8):
            assert before.get(f"k{number}") == self.book.get(f"k{number}")
        assert [o.key for o in before.waiting()] == [o.key for o in self.book.waiting()]
        assert [o.key for o in before.unreported()] == [o.key for o in self.book.unreported()]

    @invariant()
    def limits_hold(self) -> None:
        for operation in (self.book.get(f"k{number}") for number in range(8)):
            if operation and operation.type == "authorisation":
                assert 0 <= operation.refunded_minor <= operation.captured_minor <= operation.amount_minor
                if operation.outcome != "succeeded":
                    assert operation.captured_minor == 0, "what was refused took nothing"


Channel.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
test_any_history_keeps_the_limits_and_survives_restarts = Channel.TestCase
