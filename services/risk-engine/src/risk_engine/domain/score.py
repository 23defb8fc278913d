"""From the model's raw output to a score of 0 to 100.

The raw output of a boosted tree is not a probability. A monotone table, fitted on later data than the model, maps it
to one; the score is that probability in percent. So 70 means: of payments like this, 70 in 100 were fraud, in the
data that the model was calibrated on.
"""

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

SCORE_MAX = 100
PPM = 1_000_000


@dataclass(frozen=True, slots=True)
class Calibration:
    """Knots of a piecewise linear, non-decreasing map from raw output to probability."""

    raw: tuple[float, ...]
    probability: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.raw) != len(self.probability) or not self.raw:
            raise ValueError("a calibration has as many probabilities as raw values, at least one")
        if any(a >= b for a, b in pairwise(self.raw)):
            raise ValueError("raw values increase")
        if any(a > b for a, b in pairwise(self.probability)):
            raise ValueError("probabilities never decrease")
        if not 0 <= self.probability[0] <= self.probability[-1] <= 1:
            raise ValueError("probabilities lie between 0 and 1")

    def calibrated(self, raw: float) -> float:
        """Probability of `raw`; flat outside of the knots."""
        right = bisect_right(self.raw, raw)
        if right == 0:
            return self.probability[0]
        if right == len(self.raw):
            return self.probability[-1]
        low, high = self.raw[right - 1], self.raw[right]
        below, above = self.probability[right - 1], self.probability[right]
        return below + (above - below) * (raw - low) / (high - low)


@dataclass(frozen=True, slots=True)
class Estimate:
    """One probability of fraud, twice: `score` in whole percents, which rules and people compare, and
    `probability_ppm` in millionths, which tells apart what whole percents call equal. Both are whole numbers, so that
    a stored decision is compared exactly."""

    score: int
    probability_ppm: int


def estimate_of(calibration: Calibration, raw: float) -> Estimate:
    """What a raw model output means, each rounded half up. Raises ValueError for NaN: that is a broken model."""
    if raw != raw:
        raise ValueError("the model answered NaN")
    probability = calibration.calibrated(raw)
    return Estimate(int(probability * SCORE_MAX + 0.5), int(probability * PPM + 0.5))
