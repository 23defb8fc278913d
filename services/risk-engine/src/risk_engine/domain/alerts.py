"""When a change in the mix of decisions is worth waking somebody."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from risk_engine.domain.decision import Decision

DECISIONS_MIN = 50  # of the last minutes: below it one unlucky customer is a spike
RATIO_MIN = 3.0  # times the share of the hour before
SHARE_MIN = 0.05  # nobody is woken for 0.3 % instead of 0.1 %

WATCHED: Mapping[str, frozenset[Decision]] = {
    "block_share": frozenset({Decision.BLOCK}),
    "friction_share": frozenset({Decision.BLOCK, Decision.CHALLENGE, Decision.REVIEW}),
}


@dataclass(frozen=True, slots=True)
class Spike:
    """A share that jumped: `share` of `decisions` recent ones, against `baseline` before."""

    kind: str
    share: float
    baseline: float
    decisions: int

    def as_details(self) -> dict[str, Any]:
        """For the alert's row and event."""
        return {
            "share": round(self.share, 4),
            "baseline": round(self.baseline, 4),
            "decisions": self.decisions,
        }


def find_spikes(recent: Mapping[str, int], before: Mapping[str, int]) -> list[Spike]:
    """Spikes in counts by decision of the last minutes against those of the time before.

    Without a history the baseline is 0, so a platform that blocks from its first minute on is told too.
    """
    decisions = sum(recent.values())
    if decisions < DECISIONS_MIN:
        return []
    spikes = []
    for kind, watched in WATCHED.items():
        share, baseline = _share(recent, watched), _share(before, watched)
        if share >= SHARE_MIN and share >= RATIO_MIN * baseline:
            spikes.append(Spike(kind, share, baseline, decisions))
    return spikes


def _share(counts: Mapping[str, int], watched: frozenset[Decision]) -> float:
    total = sum(counts.values())
    return sum(counts.get(decision, 0) for decision in watched) / total if total else 0.0
