"""Every arrival's instant, computed before the run. Pure and seeded: the same profile is the same load, to the
microsecond, whoever runs it, and on however many machines."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from random import Random

from loadtests.profile import Arrivals, Profile, Stage


@dataclass(frozen=True, slots=True)
class Arrival:
    """A customer comes `at_s` seconds after the start, whatever the platform does at that time."""

    number: int
    at_s: float
    stage: int
    journey: str


def plan(profile: Profile) -> list[Arrival]:
    """All arrivals in their order."""
    rng = Random(profile.seed)
    journeys, weights = list(profile.mix), list(profile.mix.values())
    found: list[Arrival] = []
    for index, (stage, start) in enumerate(zip(profile.stages, profile.starts(), strict=True)):
        for at_s in _instants(stage, rng):
            found.append(Arrival(len(found), start + at_s, index, rng.choices(journeys, weights)[0]))
    return found


def share(arrivals: Sequence[Arrival], index: int, of: int) -> Sequence[Arrival]:
    """What generator `index` of `of` does: every `of`-th arrival, so that together they are the plan."""
    return arrivals[index::of]


def _instants(stage: Stage, rng: Random) -> Iterator[float]:
    """Seconds since the stage began. Expected arrivals by then are an integral of the rate; its inverse is the time."""
    expected = stage.seconds * (stage.rate + stage.last_rate) / 2
    so_far = 0.5 if stage.arrivals is Arrivals.CONSTANT else rng.expovariate(1.0)
    while so_far < expected:
        yield min(_when(stage, so_far), stage.seconds)
        so_far += 1.0 if stage.arrivals is Arrivals.CONSTANT else rng.expovariate(1.0)


def _when(stage: Stage, arrivals: float) -> float:
    """When so many have come: rate·t + slope·t²/2 = arrivals, solved for t without cancellation."""
    slope = (stage.last_rate - stage.rate) / stage.seconds
    return 2 * arrivals / (stage.rate + sqrt(max(0.0, stage.rate * stage.rate + 2 * slope * arrivals)))
