"""Which stored decisions a model learns from, and when their truth was known.

Three periods, each later than the one before, with a week between them in which labels come in: trees are grown on the
first, calibrated on the second, measured on the third. What is learned from the first two is what was known when the
first payment of the third came; so the figures are those that a model made on that day would have had.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

LABEL_DELAY: Final = timedelta(days=7)
SHARES: Final = (0.6, 0.2, 0.2)
DAYS_MIN: Final = 30  # below it the periods are too short for a weekend each
DAYS: Final = 180  # how far to look back
SILENT_DAYS: Final = 30  # a payment of which nobody complained for so long is legitimate
ROWS_MIN, FRAUDS_MIN = 1_000, 50  # of each period; the gate has its own, for measuring


@dataclass(frozen=True, slots=True)
class Period:
    """[since, until) of decisions, with the labels that were known at `known_at`."""

    since: datetime
    until: datetime
    known_at: datetime


@dataclass(frozen=True, slots=True)
class Periods:
    train: Period
    calibration: Period
    test: Period


class TooLittle(ValueError):
    """There is not enough to learn from; says what is missing."""


def periods_of(now: datetime, days: int, silent_days: int = SILENT_DAYS) -> Periods:
    """The periods of the last `days`, up to what is old enough to be silent. Raises TooLittle."""
    if days < DAYS_MIN:
        raise TooLittle(f"{days} days; at least {DAYS_MIN} are needed")
    until = now - timedelta(days=silent_days)
    since = until - timedelta(days=days)
    spent = until - since - 2 * LABEL_DELAY
    grown = since + spent * SHARES[0]
    calibrated_from = grown + LABEL_DELAY
    calibrated = calibrated_from + spent * SHARES[1]
    tested_from = calibrated + LABEL_DELAY
    return Periods(
        Period(since, grown, tested_from),
        Period(calibrated_from, calibrated, tested_from),
        Period(tested_from, until, now),
    )


def require_enough(rows: int, frauds: int) -> None:
    """Raises TooLittle."""
    if rows < ROWS_MIN or frauds < FRAUDS_MIN:
        raise TooLittle(f"{rows} decisions with {frauds} frauds; {ROWS_MIN} and {FRAUDS_MIN} are needed")
