"""One thing that is wrong with a release, in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is. Only a critical finding makes the release unhealthy."""

    CRITICAL = "critical"
    WARNING = "warning"
    HINT = "hint"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, with the next command. `leads_to` are the findings that go away with it."""

    severity: Severity
    object: str
    """`deployment/platform-risk-engine-api`, as kubectl takes it."""
    problem: str
    cause: str
    command: str
    leads_to: tuple[Finding, ...] = ()
    needs_bases: bool = field(default=False, compare=False)
    """A process that runs and fails may do so because what it needs is not there."""
