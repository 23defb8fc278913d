"""The four decisions and their order."""

from collections.abc import Iterable
from enum import StrEnum


class Decision(StrEnum):
    """What the gateway does with the payment."""

    ALLOW = "allow"  # send it on
    REVIEW = "review"  # send it on, a person looks at it
    CHALLENGE = "challenge"  # the payer proves who they are first
    BLOCK = "block"  # do not send it

    @property
    def severity(self) -> int:
        """Position in the lattice block > challenge > review > allow."""
        return _SEVERITY[self]


_SEVERITY = {decision: position for position, decision in enumerate(Decision)}


def most_severe(decisions: Iterable[Decision]) -> Decision:
    """The join of the lattice: the most severe of `decisions`, allow when there is none."""
    return max(decisions, key=_SEVERITY.__getitem__, default=Decision.ALLOW)
