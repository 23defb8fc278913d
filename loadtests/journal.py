"""The generator's own book: what it is about to ask for is written before it is sent, what came of it afterwards.

So whatever happens between the two, the audit knows every key that may have moved money. Lines of JSON; a line is
with the operating system when `intend` returns, so only the machine's death could lose it.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KEPT = (
    "id",
    "status",
    "amount_minor",
    "currency",
    "captured_minor",
    "refunded_minor",
    "payment_id",
    "reference",
)
UNANSWERED = "unanswered"


class Journal:
    """Writes lines; `write` gets each as bytes."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write

    @classmethod
    def at(cls, file: Path) -> "Journal":
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        return cls(lambda line: os.write(descriptor, line))

    def intend(self, key: str, kind: str, path: str, body: Mapping[str, Any], payment_id: str | None) -> None:
        """Before sending: under `key` a `kind` (payment, capture, void, refund) will be asked for at `path`."""
        line = {"intent": key, "kind": kind, "path": path, "body": dict(body)}
        self._line(line if payment_id is None else {**line, "payment_id": payment_id})

    def conclude(self, key: str, outcome: str, status: int, answer: Mapping[str, Any]) -> None:
        """After the answer, or after it did not come."""
        told = {name: answer[name] for name in KEPT if name in answer}
        self._line({"outcome": key, "as": outcome, "status": status, "told": told})

    def append(self, line: bytes) -> None:
        """A line that another generator wrote."""
        self._write(line)

    def _line(self, line: Mapping[str, Any]) -> None:
        self._write(json.dumps(line, separators=(",", ":")).encode() + b"\n")


@dataclass(slots=True)
class Entry:
    """One key: the intent, and the last that was heard of it."""

    key: str
    kind: str
    path: str
    body: Mapping[str, Any]
    payment_id: str | None = None  # that it is about; None: the payment it makes
    outcome: str = UNANSWERED
    status: int = 0
    told: Mapping[str, Any] = field(default_factory=dict)
    ids: set[str] = field(
        default_factory=set
    )  # all that answers under this key have named; more than one is a double
    replay_is_equal: bool | None = None  # None: it was not repeated

    def hear(self, outcome: str, status: int, told: Mapping[str, Any]) -> None:
        """An answer, or that there was none; a repeat without an answer takes nothing back."""
        if self.told and told:
            self.replay_is_equal = outcome != "wrong" and self.replay_is_equal is not False
        if told or not self.told:
            self.outcome, self.status = outcome, status
            self.told = {**self.told, **told}
        if "id" in told:
            self.ids.add(str(told["id"]))

    @property
    def amount_minor(self) -> int:
        return int(self.body.get("amount_minor", 0))


def read_journal(file: Path) -> list[Entry]:
    """All entries in the order of their intents. A torn last line is left out; an outcome without intent raises."""
    entries: dict[str, Entry] = {}
    for raw in file.read_bytes().splitlines():
        try:
            line = json.loads(raw)
        except ValueError:
            continue  # the generator was killed in the middle of it
        if "intent" in line:
            entries.setdefault(
                line["intent"],
                Entry(line["intent"], line["kind"], line["path"], line["body"], line.get("payment_id")),
            )
        else:
            entries[line["outcome"]].hear(line["as"], line["status"], line["told"])
    return list(entries.values())
