"""Hold the figures of a run against its objectives. Pure, so that the verdict itself is tested."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtests.figures import Figures
from loadtests.journey_names import ALL, JOURNEY, STEPS
from loadtests.strict import WrongFile, known, number, read_mapping

LIMITS = ("p50_ms", "p95_ms", "p99_ms", "p999_ms", "error_share_max", "failed_share_max", "requests_min")
SHARES = {"error_share_max": "errors", "failed_share_max": "failures (turned away not counted)"}
SUBJECTS = (ALL, JOURNEY, *STEPS)
FILE = Path(__file__).parent / "slo.yaml"
Slo = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Objective:
    """One limit and how it was kept."""

    subject: str
    limit: str
    allowed: float
    measured: float | None  # None: there was no such request
    is_kept: bool

    @property
    def sentence(self) -> str:
        """What was promised and what came, for a reader."""
        if self.measured is None:
            return f"{self.subject}: there was no such request"
        if self.limit == "requests_min":
            return f"{self.subject}: {self.measured:.0f} requests, at least {self.allowed:.0f} are needed"
        if self.limit in SHARES:
            return f"{self.subject}: {self.measured:.2%} {SHARES[self.limit]}, allowed are {self.allowed:.2%}"
        name = "p99.9" if self.limit == "p999_ms" else self.limit.removesuffix("_ms")
        return f"{self.subject}: {name} was {self.measured:.0f} ms, allowed are {self.allowed:.0f} ms"


def read_slo(profile: str, file: Path = FILE) -> Slo:
    """Subject -> limits of a profile. Raises WrongFile for a name that does not exist: a typo must not pass a run."""
    found = read_mapping(file)
    for key in found:
        known(key, ("every", "profiles"), file.name, "key")
    every = _limits(found.get("every") or {}, f"{file.name}: every")
    own = found.get("profiles") or {}
    if not isinstance(own, dict):
        raise WrongFile(f"{file.name}: profiles: names of profiles with their objectives are expected")
    checked = {name: _limits(limits, f"{file.name}: profiles: {name}") for name, limits in own.items()}
    special = checked.get(profile, {})
    return {name: {**every.get(name, {}), **special.get(name, {})} for name in {**every, **special}}


def _limits(found: Any, where: str) -> dict[str, dict[str, float]]:
    if not isinstance(found, dict):
        raise WrongFile(f"{where}: names of requests with their limits are expected")
    read: dict[str, dict[str, float]] = {}
    for subject, limits in found.items():
        known(subject, SUBJECTS, where, "request")
        if not isinstance(limits, dict):
            raise WrongFile(f"{where}: {subject}: limits are expected")
        read[subject] = {
            known(limit, LIMITS, f"{where}: {subject}", "limit"): number(
                value, f"{where}: {subject}: {limit}", least=0
            )
            for limit, value in limits.items()
        }
    return read


def judge(figures: Mapping[str, Figures], slo: Slo, asked: set[str]) -> list[Objective]:
    """Every limit of what the profile asked for (`asked`: its requests); one that never happened keeps none."""
    wanted = {ALL, JOURNEY, *asked}
    return [
        objective
        for subject, limits in slo.items()
        if subject in wanted
        for objective in _judge(subject, figures.get(subject), limits)
    ]


def _judge(subject: str, line: Figures | None, limits: Mapping[str, float]) -> Iterator[Objective]:
    for limit, allowed in limits.items():
        if line is None or not line.requests:
            yield Objective(subject, limit, allowed, None, is_kept=False)
            continue
        measured = float(line.requests) if limit == "requests_min" else line.measure(limit)
        is_kept = measured >= allowed if limit == "requests_min" else measured <= allowed
        yield Objective(subject, limit, allowed, measured, is_kept)
