"""The engine's service level: 99.5 % of decisions in time and with every part, over a month.

Two windows per alert, as in the SRE workbook: the long one says that it matters, the short one that it goes on.
14.4 times the budget over an hour is 2 % of a month's, 6 times over six hours 5 %.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from risk_engine.domain.alerts import Signal
from risk_engine.domain.decision_mix import Counts

BUDGET = 0.005  # of decisions may be late or degraded
BAD_MIN = 10  # in the long window: one late decision in a quiet night wakes nobody


@dataclass(frozen=True, slots=True)
class Burn:
    """One alert: its two windows and how many times too fast the budget goes."""

    kind: str
    long: timedelta
    short: timedelta
    factor: float


BURNS = (
    Burn("slo_burn_fast", timedelta(hours=1), timedelta(minutes=5), 14.4),
    Burn("slo_burn_slow", timedelta(hours=6), timedelta(minutes=30), 6.0),
)


def find_burns(counts_of: Callable[[timedelta], Counts]) -> list[Signal]:
    """Signals of the budget; `counts_of` gives the decisions of the last so long."""
    signals = []
    for burn in BURNS:
        long, short = counts_of(burn.long), counts_of(burn.short)
        limit = burn.factor * BUDGET
        if long.bad >= BAD_MIN and _bad_share(long) >= limit and _bad_share(short) >= limit:
            share = _bad_share(long)
            signals.append(
                Signal(
                    burn.kind,
                    f"{share:.1%} of decisions of {_words(burn.long)} were late or degraded; {BUDGET:.1%} may be.",
                    share=share,
                    baseline=BUDGET,
                    decisions=long.total,
                    measures={"short_share": round(_bad_share(short), 4), "faults": dict(long.faults)},
                )
            )
    return signals


def _bad_share(counts: Counts) -> float:
    return counts.bad / counts.total if counts.total else 0.0


def _words(window: timedelta) -> str:
    hours = window // timedelta(hours=1)
    return "the last hour" if hours == 1 else f"the last {hours} hours"
