"""What a simulated channel knows: its operations by our key, rebuilt from its journal by `apply`.

Nothing changes except through a journal line: `append` writes it, then applies it, the same way as a restart does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from payment_gateway.clients.simulators.journal import Journal
from platform_kit.clock import isoformat


@dataclass(slots=True)
class Operation:
    """One thing asked of the channel under one key, and how it stands. Amounts in minor units."""

    key: str
    type: str  # authorisation | capture | void | refund | return | tombstone
    fingerprint: str
    outcome: str  # succeeded | declined | action_required | not_processed
    code: str | None
    reference: str | None
    amount_minor: int
    currency: str
    at: str
    original: str | None = None
    capture: bool = False
    """Of an authorisation: takes the money at once (a sale)."""
    next_action: Mapping[str, Any] | None = None
    token: str | None = None
    provider: str | None = None
    fault: str | None = None
    """What the sandbox was told to get wrong about it."""
    callback_url: str | None = None
    is_reported: bool = True
    """False while a result that came later has not been told to `callback_url`."""
    captured_minor: int = 0
    refunded_minor: int = 0
    is_voided: bool = False

    @property
    def is_hold(self) -> bool:
        """Whether a part of it can still be captured."""
        return self.outcome == "succeeded" and not self.is_voided and self.captured_minor < self.amount_minor

    def answer(self) -> dict[str, Any]:
        """The body that every question about this operation gets."""
        return {
            "channel_key": self.key,
            "channel_reference": self.reference,
            "outcome": self.outcome,
            "code": self.code,
            "amount_minor": self.amount_minor,
            "currency": self.currency,
            "captured": self.type == "authorisation" and self.outcome == "succeeded" and self.capture,
            "next_action": self.next_action if self.outcome == "action_required" else None,
        }


class Book:
    """The operations of one channel and the journal that they come from."""

    def __init__(self, channel: str, journal: Journal) -> None:
        self.channel = channel
        self.journal = journal
        self._operations: dict[str, Operation] = {}
        self._challenges: dict[str, str] = {}
        self.disputed: set[str] = set()
        """Authorisations that a payer's bank has disputed."""
        self._money_lines: dict[str, list[int]] = {}
        for line in journal.replay():
            self._apply(line["seq"], line)

    def get(self, key: str) -> Operation | None:
        return self._operations.get(key)

    def challenged(self, reference: str) -> Operation | None:
        """The authorisation that the channel calls `reference`, if its payer was ever asked to act."""
        key = self._challenges.get(reference)
        return self._operations[key] if key else None

    def authorisation(self, key: str) -> Operation | None:
        """The authorisation behind a key, also when the key is that of one of its captures."""
        found = self._operations.get(key)
        if found and found.type == "capture" and found.original:
            found = self._operations.get(found.original)
        return found if found and found.type == "authorisation" else None

    def waiting(self) -> Iterable[Operation]:
        """Authorisations whose payer has not acted yet."""
        return [o for o in self._operations.values() if o.outcome == "action_required"]

    def settled(self) -> Iterable[Operation]:
        """Authorisations that took money."""
        return [o for o in self._operations.values() if o.type == "authorisation" and o.captured_minor]

    def unreported(self) -> Iterable[Operation]:
        """Results that came later and that nobody has taken note of yet."""
        return [o for o in self._operations.values() if not o.is_reported and o.outcome != "action_required"]

    def money_lines(self, day: str) -> list[int]:
        """Numbers of the journal lines that moved money on a UTC day (YYYY-MM-DD), in order."""
        return self._money_lines.get(day, [])

    def append(self, type: str, key: str, **fields: Any) -> Operation:
        """Write a line, then make it so. `charged_minor` and `refunded_minor` say what it moved.

        Raises JournalUnusable when nothing could be written: then nothing was done.
        """
        line = {
            "at": isoformat(datetime.now(UTC)),
            "channel": self.channel,
            "type": type,
            "key": key,
            **fields,
        }
        self.journal.append(line)
        self._apply(self.journal.head, line)
        return self._operations[key]

    def _apply(self, seq: int, line: Mapping[str, Any]) -> None:
        operation = self._operations.get(line["key"])
        if line["type"] == "reported":
            assert operation is not None
            operation.is_reported = True
            return
        if line["type"] == "result":
            assert operation is not None
            _settle(operation, line)
        else:
            operation = _operation(line)
            self._operations[operation.key] = operation
            if operation.type == "dispute" and operation.original:
                self.disputed.add(operation.original)
            if operation.next_action and operation.reference:
                self._challenges[operation.reference] = operation.key
        self._count(seq, line, operation)

    def _count(self, seq: int, line: Mapping[str, Any], operation: Operation) -> None:
        """Keep the totals of the authorisation that a line belongs to."""
        charged, refunded = line.get("charged_minor", 0), line.get("refunded_minor", 0)
        authorisation = self._operations[operation.original] if operation.original else operation
        authorisation.captured_minor += charged
        authorisation.refunded_minor += refunded
        if charged or refunded:
            self._money_lines.setdefault(line["at"][:10], []).append(seq)
        if operation.type == "capture" and line.get("final"):
            authorisation.is_voided = True  # what is left of it
        if operation.type == "void" and operation.outcome == "succeeded":
            authorisation.is_voided = True
            if authorisation.outcome == "action_required":
                authorisation.outcome, authorisation.code, authorisation.is_reported = (
                    "declined",
                    "voided",
                    True,
                )


def _settle(operation: Operation, line: Mapping[str, Any]) -> None:
    """A payer's action, or the lack of it, has decided an authorisation."""
    operation.outcome, operation.code = line["outcome"], line["code"]
    operation.is_reported = False


def _operation(line: Mapping[str, Any]) -> Operation:
    return Operation(
        key=line["key"],
        type=line["type"],
        fingerprint=line["fingerprint"],
        outcome=line["outcome"],
        code=line["code"],
        reference=line["channel_reference"],
        amount_minor=line["amount_minor"],
        currency=line["currency"],
        at=line["at"],
        original=line.get("original"),
        capture=line.get("capture", False),
        next_action=line.get("next_action"),
        token=line.get("token"),
        provider=line.get("provider"),
        fault=line.get("fault"),
        callback_url=line.get("callback_url"),
        is_reported=line["outcome"] != "action_required" and line["type"] != "return",
    )
