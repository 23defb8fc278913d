"""The people of risk control, and what each role may do.

An analyst works cases and writes rule sets, a lead also approves, publishes and decides for many at once, an auditor
reads everything and changes nothing. Two people are two names: whoever approves must not be who asked.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ENGINE: Final = "system:risk-engine"  # the actor of what happens without a person: no name of one has a colon
ENGINE_BEFORE: Final = "risk engine"  # the same, in the acts on alerts of earlier releases


def actor_shown(name: str | None) -> str | None:
    """One name for the engine, whichever the record has."""
    return ENGINE if name == ENGINE_BEFORE else name


class Role(StrEnum):
    ANALYST = "analyst"
    LEAD = "lead"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, as it stands in every record of an act."""

    name: str
    role: Role
