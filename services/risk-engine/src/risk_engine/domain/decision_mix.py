"""Rate and spike: when what comes out of the engine, or how much of it, is worth waking somebody."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from risk_engine.domain.alerts import Signal
from risk_engine.domain.decision import Decision

DECISIONS_MIN = 50  # of the last minutes: below it one unlucky customer is a spike
RATIO_MIN = 3.0  # times the share of the hour before
SHARE_MIN = 0.05  # nobody is woken for 0.3 % instead of 0.1 %
BLOCK_RATE_MIN = 1 / 3
VOLUME_RATIO_MIN = 4.0
VOLUME_MIN = 200
SILENCE_AFTER_MIN = 30  # decisions of the hour before: a quiet platform may be silent

SPIKES: Mapping[str, frozenset[Decision]] = {
    "block_share": frozenset({Decision.BLOCK}),
    "friction_share": frozenset({Decision.BLOCK, Decision.CHALLENGE, Decision.REVIEW}),
}
_WORDS = {"block_share": "are blocked", "friction_share": "are blocked, challenged or reviewed"}


@dataclass(frozen=True, slots=True)
class Counts:
    """Decisions of some minutes. `bad` were late or made without a part; `faults` counts each part; the clocks of the
    processes that made them were `ahead_ms` before the database's at most, and `behind_ms` after it."""

    minutes: float
    decisions: Mapping[str, int] = field(default_factory=dict)
    bad: int = 0
    faults: Mapping[str, int] = field(default_factory=dict)
    ahead_ms: int = 0
    behind_ms: int = 0

    @property
    def total(self) -> int:
        return sum(self.decisions.values())

    @property
    def per_minute(self) -> float:
        return self.total / self.minutes

    def share_of(self, watched: frozenset[Decision]) -> float:
        """The share of these decisions; 0 without any."""
        return sum(self.decisions.get(one, 0) for one in watched) / self.total if self.total else 0.0


def find_mix(recent: Counts, before: Counts) -> list[Signal]:
    """Signals in the decisions of the last minutes against those of the hour before.

    Without a history the baseline is 0, so a platform that blocks from its first minute on is told too.
    """
    if recent.total < DECISIONS_MIN:
        return []
    signals = []
    for kind, watched in SPIKES.items():
        share, baseline = recent.share_of(watched), before.share_of(watched)
        if share >= SHARE_MIN and share >= RATIO_MIN * baseline:
            summary = f"{share:.1%} of payments {_WORDS[kind]}, {baseline:.1%} in the hour before."
            signals.append(Signal(kind, summary, share=share, baseline=baseline, decisions=recent.total))
    blocked = recent.share_of(SPIKES["block_share"])
    if blocked >= BLOCK_RATE_MIN:
        signals.append(
            Signal(
                "block_rate",
                f"{blocked:.1%} of payments are blocked.",
                share=blocked,
                baseline=before.share_of(SPIKES["block_share"]),
                decisions=recent.total,
            )
        )
    if (
        before.total
        and recent.total >= VOLUME_MIN
        and recent.per_minute >= VOLUME_RATIO_MIN * before.per_minute
    ):
        signals.append(
            Signal(
                "decision_rate",
                f"{recent.per_minute:,.0f} decisions a minute, {before.per_minute:,.0f} in the hour before.",
                decisions=recent.total,
                measures={
                    "per_minute": round(recent.per_minute, 1),
                    "per_minute_before": round(before.per_minute, 1),
                },
            )
        )
    return signals


def find_silence(recent: Counts, before: Counts) -> list[Signal]:
    """No decision at all where there were some: the dead-man of the engine's callers."""
    if recent.total or before.total < SILENCE_AFTER_MIN:
        return []
    summary = f"No decision for {recent.minutes:.0f} minutes; the hour before had {before.total}."
    return [Signal("no_decisions", summary, measures={"decisions_before": before.total})]
