"""Hold the figures of a load test against its objectives. Pure, so that the verdict itself is tested."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

LIMITS = ("p50_ms", "p95_ms", "p99_ms", "error_share_max", "requests_min")
Slo = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Figures:
    """One line of the summary."""

    name: str
    requests: int
    failures: int
    p50_ms: float
    p95_ms: float
    p99_ms: float

    @property
    def error_share(self) -> float:
        return self.failures / self.requests if self.requests else 0.0


def read_slo(file: str | Path) -> Slo:
    """Name of a request -> limits. Raises ValueError for a limit that does not exist: a typo must not pass a run."""
    found = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    if not isinstance(found, dict) or not found:
        raise ValueError(f"{file}: names of requests with their limits are expected")
    for name, limits in found.items():
        for limit in limits:
            if limit not in LIMITS:
                raise ValueError(
                    f"{file}: {name} has an unknown limit {limit!r}; known are {', '.join(LIMITS)}"
                )
    return found


def misses(figures: Sequence[Figures], slo: Slo) -> list[str]:
    """One sentence per limit that was not kept; a request that never happened keeps none."""
    by_name = {line.name: line for line in figures}
    return [
        complaint for name, limits in slo.items() for complaint in _judge(name, by_name.get(name), limits)
    ]


def _judge(name: str, line: Figures | None, limits: Mapping[str, float]) -> Iterator[str]:
    if line is None or not line.requests:
        yield f"{name}: there was no such request"
        return
    for limit, value in limits.items():
        if limit == "requests_min":
            if line.requests < value:
                yield f"{name}: {line.requests} requests, at least {value:.0f} are needed"
        elif limit == "error_share_max":
            if line.error_share > value:
                yield f"{name}: {line.error_share:.2%} errors, allowed are {value:.2%}"
        elif getattr(line, limit) > value:
            yield f"{name}: {limit.replace('_ms', '')} was {getattr(line, limit):.0f} ms, allowed are {value:.0f} ms"
