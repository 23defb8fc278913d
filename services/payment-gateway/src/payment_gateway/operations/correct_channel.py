"""Put right what the ledger has of a channel, for a break that a person decided on in the reconciliation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from payment_gateway.domain.audit import Actor
from payment_gateway.domain.suspense import Suspense, SuspenseStatus, Target
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.keep_suspense import ResolveSuspense, book_suspense, resolve_suspense
from payment_gateway.operations.problems import InvalidState, SuspenseNotPlatform


@dataclass(frozen=True, slots=True)
class CorrectChannel:
    """`item` is booked between the channel and suspense; written off, it is the platform's at once."""

    item: Suspense
    writes_off: bool


async def correct_channel(deps: Deps, command: CorrectChannel, by: Actor) -> dict[str, Any]:
    """The item; the same again changes nothing, whatever part of it was done before. Raises UnknownReference,
    SuspenseDiffers, and SuspenseNotPlatform for one to write off that went to somebody else."""
    found = await book_suspense(deps, command.item, by)
    if command.writes_off and found["status"] == SuspenseStatus.OPEN:
        resolution = ResolveSuspense(command.item.id, Target.PLATFORM, command.item.note)
        try:
            return await resolve_suspense(deps, resolution, by)
        except InvalidState:  # somebody was quicker: the same once more, or another target
            found = await book_suspense(deps, command.item, by)
    if command.writes_off and found["resolved_to"] != Target.PLATFORM:
        raise SuspenseNotPlatform(f"It was resolved to {found['resolved_to']}.")
    return found
