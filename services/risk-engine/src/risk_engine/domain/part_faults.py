"""Parts of the engine that are missing: told from the decisions made without them, and from what the worker sees."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from risk_engine.domain.alerts import Signal
from risk_engine.domain.decision_mix import Counts
from risk_engine.domain.failure_policy import Fault

FAULTS_MIN = 5  # decisions of the last minutes
FAULT_SHARE_MIN = 0.01
SKEW_MS_MAX = 30_000

# `deadline` and `commit_late` are what the service level counts (burn_rate.py); the others name a part.
PART_KINDS: Mapping[Fault, str] = MappingProxyType(
    {
        Fault.VELOCITY: "velocity_lost",
        Fault.VELOCITY_COLD: "velocity_cold",
        Fault.MODEL: "model_missing",
        Fault.RULE_ERROR: "rule_errors",
        Fault.REFERENCE_RATE: "reference_rate",
    }
)
_WORDS: Mapping[Fault, str] = MappingProxyType(
    {
        Fault.VELOCITY: "without velocity windows",
        Fault.VELOCITY_COLD: "with windows that are being rebuilt",
        Fault.MODEL: "without the model",
        Fault.RULE_ERROR: "with a rule that failed",
        Fault.REFERENCE_RATE: "about a currency without a reference rate",
    }
)


def find_missing_parts(recent: Counts, failed_rules: Sequence[str] = ()) -> list[Signal]:
    """Parts that at least 1 % of the recent decisions (and five of them) had to do without."""
    signals = []
    for fault, kind in PART_KINDS.items():
        number = recent.faults.get(fault, 0)
        share = number / recent.total if recent.total else 0.0
        if number >= FAULTS_MIN and share >= FAULT_SHARE_MIN:
            measures = {"rules": list(failed_rules)} if fault is Fault.RULE_ERROR else {}
            summary = f"{number} of {recent.total} decisions were made {_WORDS[fault]}."
            signals.append(Signal(kind, summary, share=share, decisions=recent.total, measures=measures))
    return signals


def find_skew(recent: Counts, own_ms: int) -> list[Signal]:
    """Clocks that left the database's: of the processes that decide (told by their rows), and of this one (`own_ms`
    ahead, negative = behind)."""
    skews = {
        "deciding": max(recent.ahead_ms, recent.behind_ms, key=abs),
        "worker": own_ms,
    }
    return [
        Signal(
            "clock_skew",
            f"The clock of a {process} process is {skew_ms / 1000:+.0f} s from the database's.",
            scope=process,
            decisions=recent.total,
            measures={"skew_ms": skew_ms},
        )
        for process, skew_ms in skews.items()
        if abs(skew_ms) >= SKEW_MS_MAX
    ]
