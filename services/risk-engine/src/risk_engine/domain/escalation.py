"""When an alert that nobody acknowledges is told to more people: a table, read as data.

A channel names its level (0 by default): it hears of an alert from that level on. So level 0 is the team's chat, 1
the person on call, 2 whoever they report to.
"""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

from risk_engine.domain.alert_kinds import Severity

LEVEL_MAX = 3

# Level n is reached at the n-th time without an acknowledgement.
ESCALATION: Mapping[Severity, tuple[timedelta, ...]] = MappingProxyType(
    {
        Severity.INFO: (),
        Severity.WARNING: (timedelta(hours=1), timedelta(hours=4)),
        Severity.CRITICAL: (timedelta(minutes=10), timedelta(minutes=30), timedelta(hours=1)),
    }
)


def level_at(severity: Severity, unacknowledged_for: timedelta) -> int:
    """The level of an alert that has been firing for so long; 0 at first."""
    return sum(unacknowledged_for >= after for after in ESCALATION[severity])
