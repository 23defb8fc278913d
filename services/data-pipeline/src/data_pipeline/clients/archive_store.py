"""The archive's files: Parquet on whatever fsspec can reach, a directory by default.

pyarrow is imported when a file is read or written: the API and the consumer go without its megabytes.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from io import BytesIO
from typing import Final

from data_pipeline.clients.object_store import ObjectStore
from data_pipeline.domain.archive import ArchivedEvent, ArchiveFile, described

_COLUMNS: Final = tuple(field.name for field in fields(ArchivedEvent))
COMPRESSION_LEVEL: Final = 6


class ArchiveDamaged(Exception):
    """A file is not there, or is not what its manifest says; the text names the file and the difference."""


class ArchiveStore:
    """Files below one address, such as `file:///var/lib/archive` or `s3://bucket/events` (extra `s3`)."""

    def __init__(self, url: str) -> None:
        self._files = ObjectStore(url.rstrip("/"))

    @property
    def is_configured(self) -> bool:
        return bool(self._files.url)

    async def write(self, events: Sequence[ArchivedEvent]) -> ArchiveFile:
        """Write events of one stream and day, sorted by position; the manifest's line for the file."""
        return await asyncio.to_thread(self._write, events)

    async def read(self, file: ArchiveFile) -> list[ArchivedEvent]:
        """The file's events, after its checksum was found right. Raises ArchiveDamaged."""
        return await asyncio.to_thread(self._read, file)

    async def delete(self, path: str) -> None:
        """Take a file away; one that is not there is no error."""
        await asyncio.to_thread(self._files.remove, path)

    async def paths(self) -> list[str]:
        """All files below the address, whoever wrote them, relative to it."""
        return await asyncio.to_thread(self._files.names)

    async def written_at(self, path: str) -> datetime:
        """When the file was last written, by the clock of where it lies."""
        return await asyncio.to_thread(self._files.written_at, path)

    def _write(self, events: Sequence[ArchivedEvent]) -> ArchiveFile:
        content = _encode(events)
        file = described(events, len(content), hashlib.sha256(content).hexdigest())
        self._files.put_bytes(content, file.path)
        return file

    def _read(self, file: ArchiveFile) -> list[ArchivedEvent]:
        try:
            content = self._files.read_whole(file.path)
        except FileNotFoundError as error:
            raise ArchiveDamaged(f"{file.path} is not there") from error
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise ArchiveDamaged(f"{file.path} is not what was written: its checksum differs")
        events = _decode(content)
        seen = (len(events), events[0].position, events[-1].position)
        if seen != (file.row_count, file.first_position, file.last_position):
            raise ArchiveDamaged(f"{file.path} holds other rows than its manifest says")
        return events


def _encode(events: Sequence[ArchivedEvent]) -> bytes:
    """Parquet with zstd. No clock goes in: the same events give the same bytes with the same library."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    time, text = pa.timestamp("us", tz="UTC"), pa.string()
    types = {"position": pa.int64(), "occurred_at": time, "received_at": time}
    schema = pa.schema([(name, types.get(name, text)) for name in _COLUMNS])
    columns = {name: [getattr(event, name) for event in events] for name in _COLUMNS}
    sink = BytesIO()
    table = pa.table(columns, schema=schema)
    pq.write_table(table, sink, compression="zstd", compression_level=COMPRESSION_LEVEL)
    return sink.getvalue()


def _decode(content: bytes) -> list[ArchivedEvent]:
    import pyarrow.parquet as pq

    columns = pq.read_table(BytesIO(content)).to_pydict()
    return [ArchivedEvent(*row) for row in zip(*(columns[name] for name in _COLUMNS), strict=True)]
