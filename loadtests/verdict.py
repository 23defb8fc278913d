"""The verdict: 0 all kept, 1 something was broken, 3 the run proves nothing. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from loadtests.figures import Begun, StageFigures
from loadtests.percentiles import percentile

ACHIEVED_MIN = 0.98
JUDGED_STAGE_S = (
    5.0  # a shorter stage is judged with the whole run only: one pause of the machine would decide
)


class ExitCode(IntEnum):
    KEPT = 0
    BROKEN = 1
    WRONG_USE = 2
    INVALID = 3


@dataclass(frozen=True, slots=True)
class Generator:
    """How well the load was made. `reasons`: why the run is invalid; none: it is valid."""

    planned: int
    begun_in_time: int
    late_p99_ms: float
    late_max_ms: float
    cpu_share: float  # of one core, of all generators together
    generators: int
    reasons: tuple[str, ...]

    @property
    def achieved_share(self) -> float:
        return self.begun_in_time / self.planned if self.planned else 0.0


def weigh_generator(
    stages: Sequence[StageFigures], begun: Sequence[Begun], report: Mapping[str, Any], *, closed: bool
) -> Generator:
    """Whether the load was what the profile says. A slow platform cannot make an open-loop run invalid: arrivals do
    not wait for it. A closed loop is held to nothing, for it does wait."""
    planned, in_time = sum(s.planned for s in stages), sum(s.begun for s in stages)
    lateness = sorted(one.late_ms for one in begun)
    reasons = []
    if report.get("lost_workers"):
        reasons.append(f"{report['lost_workers']} of the load's workers were lost: their share was not sent")
    if not report.get("generators"):
        reasons.append("the generator did not finish")
    if not closed:
        if planned and in_time < ACHIEVED_MIN * planned:
            reasons.append(
                f"only {in_time / planned:.1%} of the arrivals were begun in time, {ACHIEVED_MIN:.0%} are needed"
            )
        reasons += [
            f"stage {stage.name}: {stage.achieved_rate:.1f}/s of {stage.target_rate:.1f}/s ({stage.achieved_share:.1%})"
            for stage in stages
            if stage.seconds >= JUDGED_STAGE_S and stage.achieved_share < ACHIEVED_MIN
        ]
        if report.get("held_back"):
            reasons.append(
                f"{report['held_back']} arrivals had to wait for a free connection of the generator"
            )
    if not planned:
        reasons.append("nothing was planned")
    return Generator(
        planned,
        in_time,
        percentile(lateness, 0.99),
        lateness[-1] if lateness else float("nan"),
        report.get("cpu_s", 0.0) / report["wall_s"] if report.get("wall_s") else 0.0,
        int(report.get("generators", 0)),
        tuple(reasons),
    )


def exit_code(generator: Generator, *, all_kept: bool, audit_stands: bool) -> ExitCode:
    """Lost money is never excused by a bad generator; everything else is."""
    if not audit_stands:
        return ExitCode.BROKEN
    if generator.reasons:
        return ExitCode.INVALID
    return ExitCode.KEPT if all_kept else ExitCode.BROKEN
