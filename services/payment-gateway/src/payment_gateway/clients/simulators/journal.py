"""An append-only file of JSON lines: what a simulated channel did, in order.

It is the third witness beside the client's history and the ledger ("charged at most once"), so it shares no code
with either. A line is written with one `write` before the answer leaves: the page cache outlives a kill -9, so
nothing that was answered is lost. (Power loss is another matter, and not what a simulator has to survive.)
"""

from __future__ import annotations

import fcntl
import os
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

READ_BYTES = 1024 * 1024


class JournalUnusable(Exception):
    """The file is corrupt, belongs to another process, or cannot be written: a judge must not guess."""


class Journal:
    """One channel's file. Line `n` has `"seq": n`, counted from 1; `head` is the last one's number."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise JournalUnusable(f"{path} belongs to another process") from None
        self._ends = array("Q")  # byte offset behind each line: 8 bytes a line, so that reading needs no scan

    @property
    def head(self) -> int:
        return len(self._ends)

    def close(self) -> None:
        os.close(self._file)

    def replay(self) -> Iterator[dict[str, Any]]:
        """Every line from the start; call once, before the first append. A last line that a crash cut off was never
        answered: it is removed. Raises JournalUnusable for any other damage."""
        end = 0
        with open(self._file, "rb", buffering=READ_BYTES, closefd=False) as lines:
            lines.seek(0)
            for raw in lines:
                if not raw.endswith(b"\n"):
                    os.ftruncate(self._file, end)
                    return
                end += len(raw)
                yield self._parsed(raw, self.head + 1)
                self._ends.append(end)

    def append(self, line: Mapping[str, Any]) -> None:
        """Write one line. Raises JournalUnusable when it is not there as a whole (disk full): nothing was done."""
        raw = orjson.dumps({"seq": self.head + 1, **line}) + b"\n"
        end = self._end
        try:
            written = os.write(self._file, raw)
        except OSError as error:
            raise JournalUnusable(f"{self._path}: {error.strerror}") from error
        if written != len(raw):
            os.ftruncate(self._file, end)
            raise JournalUnusable(f"{self._path}: no room")
        self._ends.append(end + len(raw))

    def read(self, after: int, limit: int) -> list[bytes]:
        """Up to `limit` raw lines behind line `after`. Safe in a thread."""
        last = min(after + limit, self.head)
        if after >= last:
            return []
        start = self._ends[after - 1] if after else 0
        return os.pread(self._file, self._ends[last - 1] - start, start).splitlines()

    @property
    def _end(self) -> int:
        return self._ends[-1] if self._ends else 0

    def _parsed(self, raw: bytes, seq: int) -> dict[str, Any]:
        try:
            line: dict[str, Any] = orjson.loads(raw)
        except orjson.JSONDecodeError:
            raise JournalUnusable(f"{self._path}: line {seq} is no JSON") from None
        if line.get("seq") != seq:
            raise JournalUnusable(f"{self._path}: line {seq} has another number")
        return line
