"""A share, and how sure it is."""

from math import sqrt
from typing import Any

from risk_engine.domain.trial import Z_95


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927): sound for few trials and for shares near 0 and 1; (0, 1) for none."""
    if trials == 0:
        return 0.0, 1.0
    share, z2 = successes / trials, Z_95**2
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z_95 * sqrt(share * (1 - share) / trials + z2 / (4 * trials**2)) / (1 + z2 / trials)
    return max(0.0, middle - half), min(1.0, middle + half)


def share_of(successes: int, trials: int) -> dict[str, Any]:
    """For a report: the share (None of nothing) and its interval, rounded to a millionth."""
    low, high = wilson(successes, trials)
    share = successes / trials if trials else None
    return {
        "share": None if share is None else round(share, 6),
        "low_95": round(low, 6),
        "high_95": round(high, 6),
    }
