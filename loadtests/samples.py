"""What the generator measured, one line per request and per journey, kept as CSV: nothing is averaged away."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path

FINE = frozenset({"ok", "declined", "challenged", "held", "pending"})
"""Outcomes that the contract provides for. A decline is what the platform is for."""
ERRORS = {
    "shed": "503 overloaded: turned away unread",
    "limited": "429: more than the key may send",
    "refused": "a 4xx that the request did not deserve",
    "failed": "a 5xx",
    "timeout": "no answer in time",
    "reset": "the connection was refused or broke",
    "wrong": "an answer that contradicts the contract",
    "unfinished": "still on its way when the run ended",
}


TURNED_AWAY = ("shed", "limited")


@dataclass(frozen=True, slots=True)
class Sample:
    """Seconds since the start of the run. `intended_s`: when it should have been sent; `sent_s`: when it was."""

    number: int  # of the arrival
    journey: str
    step: str
    stage: int
    intended_s: float
    sent_s: float
    done_s: float
    status: int  # 0: no answer
    outcome: str

    @property
    def latency_ms(self) -> float:
        """From the intended start: what the customer waited, the queue before the generator included."""
        return 1000 * (self.done_s - self.intended_s)

    @property
    def service_ms(self) -> float:
        """From sending to the answer: all that a closed loop sees."""
        return 1000 * (self.done_s - self.sent_s)

    @property
    def is_error(self) -> bool:
        return self.outcome not in FINE


HEADER = tuple(field.name for field in fields(Sample))


def to_line(sample: Sample) -> str:
    """One CSV line; six digits are microseconds."""
    return (
        ",".join(f"{part:.6f}" if isinstance(part, float) else str(part) for part in astuple(sample)) + "\n"
    )


def read_samples(file: Path) -> list[Sample]:
    """All of them; an unfinished last line of a generator that was killed is left out."""
    with file.open(newline="", encoding="utf-8") as lines:
        return list(_parsed(csv.reader(lines)))


def _parsed(rows: Iterable[list[str]]) -> Iterator[Sample]:
    for row in rows:
        if len(row) != len(HEADER) or row[0] == HEADER[0]:
            continue
        number, journey, step, stage, intended, sent, done, status, outcome = row
        yield Sample(
            int(number),
            journey,
            step,
            int(stage),
            float(intended),
            float(sent),
            float(done),
            int(status),
            outcome,
        )
