"""The port to a channel (acquirer or wallet) and its HTTP adapter.

Every question carries our own key, so that the channel does it once however often we ask; what the answer means for
the money is decided here and nowhere else (payments.md 4.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from payment_gateway.domain.attempt import Attempt, Outcome


class Channel(Protocol):
    """One way to move a payer's money. Neither method raises for anything that a channel can do to us."""

    name: str

    @property
    def is_open(self) -> bool:
        """Whether the breaker lets calls through."""
        ...

    async def send(self, attempt: Attempt, details: Mapping[str, Any]) -> Outcome:
        """Ask for the operation. `details` of an authorisation: {"method": {...}, "capture": bool,
        "challenge": bool}; the other operations name their authorisation in `attempt.original`."""
        ...

    async def ask(self, attempt: Attempt) -> Outcome:
        """What became of a question whose answer was lost. Unknown while the channel cannot be asked."""
        ...

    async def close(self, attempt: Attempt) -> Outcome:
        """Close a question that the channel says it never received, so that a late arrival does nothing:
        NotProcessed, or what it did after all."""
        ...
