"""A run that is over, as values; and its summary, which later runs are compared with."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from loadtests.audit import Verdict
from loadtests.figures import Begun, Figures, StageFigures
from loadtests.profile import Profile
from loadtests.samples import Sample
from loadtests.slo import Objective
from loadtests.verdict import ExitCode, Generator

SHARES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99, "p999_ms": 0.999, "max_ms": 1.0}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the summary, the JUnit file and the page are written from."""

    profile: Profile
    closed: bool
    code: ExitCode
    objectives: list[Objective]
    generator: Generator
    verdict: Verdict
    steps: Mapping[str, Figures]
    stages: list[StageFigures]
    knee: StageFigures | None
    samples: list[Sample]
    begun: list[Begun]
    environment: Mapping[str, Any]
    begin_at: float
    locust: Mapping[str, Mapping[str, float]]
    timeline: list[dict[str, Any]]
    faults: list[dict[str, Any]]
    notes: list[str]
    directory: Path

    @property
    def word(self) -> str:
        return {ExitCode.KEPT: "PASS", ExitCode.BROKEN: "FAIL", ExitCode.INVALID: "INVALID"}[self.code]

    @property
    def broken(self) -> list[Objective]:
        return [objective for objective in self.objectives if not objective.is_kept]


def summary(outcome: Outcome) -> dict[str, Any]:
    """All figures of the run, for programs."""
    return {
        "profile": outcome.profile.name,
        "loop": "closed" if outcome.closed else "open",
        "verdict": outcome.word,
        "exit_code": int(outcome.code),
        "begin_at": outcome.begin_at,
        "seconds": outcome.profile.seconds,
        "steps": {name: step_summary(figures) for name, figures in outcome.steps.items()},
        "stages": [
            {
                "name": stage.name,
                "target_per_s": round(stage.target_rate, 2),
                "achieved_per_s": round(stage.achieved_rate, 2),
                "good_per_s": round(stage.good / stage.seconds, 2),
                **step_summary(stage.requests),
            }
            for stage in outcome.stages
        ],
        "knee_per_s": None if outcome.knee is None else round(outcome.knee.target_rate, 2),
        "objectives": [asdict(objective) for objective in outcome.objectives],
        "generator": asdict(outcome.generator),
        "audit": outcome.verdict.as_dict(),
        "locust": outcome.locust,
        "faults": outcome.faults,
        "notes": outcome.notes,
        "environment": dict(outcome.environment),
    }


def step_summary(figures: Figures) -> dict[str, Any]:
    """Latency from the intended start as p…_ms, service time as service_p…_ms."""
    return {
        "requests": figures.requests,
        "errors": figures.errors,
        "outcomes": dict(figures.outcomes),
        **{name: _rounded(figures.latency(share)) for name, share in SHARES.items()},
        **{f"service_{name}": _rounded(figures.service(share)) for name, share in SHARES.items()},
    }


def _rounded(value: float) -> float | None:
    return round(value, 3) if isfinite(value) else None


def write_summary(outcome: Outcome) -> dict[str, Any]:
    """Into summary.json; returns it as it will be read."""
    text = json.dumps(summary(outcome), indent=1, default=str)
    (outcome.directory / "summary.json").write_text(text + "\n", encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
