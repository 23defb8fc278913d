"""The life of an alert: a condition seen again is the same alert, one that went away resolves it, one that nobody
acknowledges is told to more people. Pure: what to do follows from what is seen, what is on record, and the time.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from risk_engine.domain.alert_kinds import COOLDOWN_MAX, KINDS, Severity
from risk_engine.domain.escalation import level_at


class Status(StrEnum):
    """Where an alert is: nobody looked yet, somebody does, it is over."""

    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Act(StrEnum):
    """What happened to an alert; each is a row that stays."""

    RAISED = "raised"
    REOPENED = "reopened"  # the condition came back shortly after it had gone
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


TOLD = frozenset({Act.RAISED, Act.REOPENED, Act.ESCALATED, Act.RESOLVED})
"""Acts that go to the channels; that somebody acknowledged is in the list and wakes nobody."""


@dataclass(frozen=True, slots=True)
class Signal:
    """A condition that holds now. `share` and `baseline` lie between 0 and 1, `decisions` is how many were looked at;
    `measures` is what else a person wants to see, JSON only and nothing secret."""

    kind: str
    summary: str
    scope: str = ""  # what it is about: a merchant, a feature, a channel; empty = the whole engine
    share: float = 0.0
    baseline: float = 0.0
    decisions: int = 0
    measures: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> tuple[str, str]:
        """Two signals with the same one are the same trouble."""
        return self.kind, self.scope

    @property
    def severity(self) -> Severity:
        return KINDS[self.kind].severity

    def as_details(self) -> dict[str, Any]:
        """For the alert's row."""
        return {
            "share": round(self.share, 4),
            "baseline": round(self.baseline, 4),
            "decisions": self.decisions,
            "measures": dict(self.measures),
        }


@dataclass(frozen=True, slots=True)
class Tracked:
    """The newest alert of a fingerprint, as it stands on record."""

    id: str
    kind: str
    scope: str
    severity: Severity
    status: Status
    level: int
    firing_since: datetime  # raised, or reopened
    last_seen_at: datetime
    resolved_at: datetime | None = None
    is_resolved_by_hand: bool = False

    @property
    def fingerprint(self) -> tuple[str, str]:
        return self.kind, self.scope


@dataclass(frozen=True, slots=True)
class Raise:
    """A new alert."""

    signal: Signal


@dataclass(frozen=True, slots=True)
class SeenAgain:
    """The open alert goes on: counted, told to nobody."""

    alert: Tracked
    signal: Signal


@dataclass(frozen=True, slots=True)
class Reopen:
    """It had resolved by itself a moment ago: the same alert, firing again."""

    alert: Tracked
    signal: Signal


@dataclass(frozen=True, slots=True)
class Resolve:
    """The condition has been away for long enough."""

    alert: Tracked


@dataclass(frozen=True, slots=True)
class Escalate:
    """Nobody acknowledged it in time."""

    alert: Tracked
    level: int


Change = Raise | SeenAgain | Reopen | Resolve | Escalate


def changes_of(
    signals: Iterable[Signal], watched: Collection[str], tracked: Sequence[Tracked], now: datetime
) -> list[Change]:
    """What one look means for the alerts on record. Only kinds that were `watched` can resolve: a detector that did
    not run has not seen that the trouble is over.

    A person who resolves an alert has the cooldown of its kind in peace, also while the condition still leaves its
    window; after it a new alert is raised.
    """
    newest = {alert.fingerprint: alert for alert in tracked}
    seen = {signal.fingerprint: signal for signal in signals}
    changes: list[Change] = []
    for fingerprint, signal in seen.items():
        alert = newest.get(fingerprint)
        if alert is None or _is_past_cooldown(alert, now):
            changes.append(Raise(signal))
        elif alert.status is not Status.RESOLVED:
            changes.append(SeenAgain(alert, signal))
        elif not alert.is_resolved_by_hand:
            changes.append(Reopen(alert, signal))
    for alert in tracked:
        if alert.status is Status.RESOLVED:
            continue
        is_away = alert.fingerprint not in seen and alert.kind in watched
        if is_away and now - alert.last_seen_at >= KINDS[alert.kind].quiet:
            changes.append(Resolve(alert))
        elif alert.status is Status.FIRING:
            level = level_at(alert.severity, now - alert.firing_since)
            if level > alert.level:
                changes.append(Escalate(alert, level))
    return changes


def _is_past_cooldown(alert: Tracked, now: datetime) -> bool:
    return alert.resolved_at is not None and now - alert.resolved_at >= KINDS[alert.kind].cooldown


def remembered_since(now: datetime) -> datetime:
    """Alerts that were resolved before this time have no say any more."""
    return now - COOLDOWN_MAX - timedelta(minutes=1)
