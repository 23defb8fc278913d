"""From samples to figures: by request, by stage, by second. Pure."""

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loadtests.journey_names import ALL, JOURNEY
from loadtests.percentiles import percentile
from loadtests.profile import Profile
from loadtests.samples import TURNED_AWAY, Sample
from loadtests.schedule import Arrival

GRACE_S = 0.05  # an arrival of a stage's last moment may be begun a blink after it


@dataclass(frozen=True, slots=True)
class Figures:
    """One request's. Sorted milliseconds: `latencies` from the intended start, `services` from sending."""

    name: str
    outcomes: Mapping[str, int]
    errors: int
    latencies: Sequence[float]
    services: Sequence[float]

    @property
    def requests(self) -> int:
        return sum(self.outcomes.values())

    @property
    def error_share(self) -> float:
        return self.errors / self.requests if self.requests else 0.0

    @property
    def failed_share(self) -> float:
        """Without those that were turned away unread, which is what a platform under overload is to do."""
        turned_away = sum(self.outcomes.get(name, 0) for name in TURNED_AWAY)
        return (self.errors - turned_away) / self.requests if self.requests else 0.0

    def latency(self, share: float) -> float:
        return percentile(self.latencies, share)

    def service(self, share: float) -> float:
        return percentile(self.services, share)

    def measure(self, limit: str) -> float:
        """By the name of a limit of slo.yaml."""
        if limit == "error_share_max":
            return self.error_share
        if limit == "failed_share_max":
            return self.failed_share
        return self.latency({"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99, "p999_ms": 0.999}[limit])


@dataclass(frozen=True, slots=True)
class Begun:
    """How one arrival went, from arrivals.csv; seconds since the start."""

    number: int
    journey: str
    stage: int
    planned_s: float
    begun_s: float
    ended_s: float

    @property
    def late_ms(self) -> float:
        """What the generator itself lost."""
        return 1000 * (self.begun_s - self.planned_s)


@dataclass(frozen=True, slots=True)
class StageFigures:
    """What was planned for a stage, what was begun within it, what was answered well."""

    name: str
    start_s: float
    seconds: float
    planned: int
    begun: int
    good: int
    requests: Figures

    @property
    def target_rate(self) -> float:
        return self.planned / self.seconds

    @property
    def achieved_rate(self) -> float:
        return self.begun / self.seconds

    @property
    def achieved_share(self) -> float:
        return self.begun / self.planned if self.planned else 1.0


def read_arrivals(file: Path) -> list[Begun]:
    with file.open(newline="", encoding="utf-8") as lines:
        rows = [row for row in csv.reader(lines) if len(row) == 6 and row[0] != "number"]
    return [
        Begun(int(n), journey, int(stage), float(planned), float(begun), float(ended))
        for n, journey, stage, planned, begun, ended in rows
    ]


def by_step(samples: Iterable[Sample], begun: Iterable[Begun]) -> dict[str, Figures]:
    """`all`, `journey`, and one per request. Waiting for a webhook is a request of its own, but not one of `all`: it
    is answered by the shop's receiver."""
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.step != "webhook":
            groups[ALL].append(sample)
        if sample.step != JOURNEY:
            groups[sample.step].append(sample)
    figures = {name: _figures(name, found) for name, found in groups.items()}
    journeys = list(begun)
    if journeys:
        figures[JOURNEY] = Figures(
            JOURNEY,
            Counter(ok=len(journeys)),
            0,
            sorted(1000 * (one.ended_s - one.planned_s) for one in journeys),
            sorted(1000 * (one.ended_s - one.begun_s) for one in journeys),
        )
    return figures


def _figures(name: str, samples: Sequence[Sample]) -> Figures:
    return Figures(
        name,
        Counter(sample.outcome for sample in samples),
        sum(sample.is_error for sample in samples),
        sorted(sample.latency_ms for sample in samples),
        sorted(sample.service_ms for sample in samples),
    )


def by_stage(
    profile: Profile, planned: Sequence[Arrival], begun: Sequence[Begun], samples: Sequence[Sample]
) -> list[StageFigures]:
    """A stage's arrivals count as begun when they were before it ended: what is later was not this rate."""
    asked = Counter(arrival.stage for arrival in planned)
    ends = [start + stage.seconds for start, stage in zip(profile.starts(), profile.stages, strict=True)]
    in_time = Counter(one.stage for one in begun if one.begun_s <= ends[one.stage] + GRACE_S)
    of_stage: dict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.step != "webhook":
            of_stage[sample.stage].append(sample)
    wrong = {sample.number for sample in samples if sample.is_error}
    good = Counter(one.stage for one in begun if one.number not in wrong)
    return [
        StageFigures(
            stage.name,
            start,
            stage.seconds,
            asked[index],
            in_time[index],
            good[index],
            _figures(stage.name, of_stage[index]),
        )
        for index, (stage, start) in enumerate(zip(profile.stages, profile.starts(), strict=True))
    ]


def knee(stages: Sequence[StageFigures], p99_ms: float, error_share: float) -> StageFigures | None:
    """The last step of a ramp before the first that was not kept; None when not even the first was."""
    kept = None
    for stage in stages:
        if stage.requests.error_share > error_share or not stage.requests.latency(0.99) <= p99_ms:
            return kept
        kept = stage
    return kept
