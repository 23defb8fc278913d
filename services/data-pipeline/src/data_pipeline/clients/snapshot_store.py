"""The snapshot's files: Parquet and a manifest on whatever fsspec can reach.

pyarrow and fsspec are imported when a file is read or written.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import orjson

from data_pipeline.clients.object_store import ObjectStore
from data_pipeline.domain.snapshot import (
    MANIFEST,
    Manifest,
    Partition,
    PartitionFile,
    file_name,
    is_file,
    read_manifest,
)

if TYPE_CHECKING:
    import pyarrow as pa

COMPRESSION_LEVEL: Final = 6


class SnapshotDamaged(Exception):
    """The manifest is not one: somebody else wrote there, or it was cut."""


@dataclass(slots=True)
class PartitionTable:
    """A partition in memory, built slice by slice: the rows' Python values live no longer than their slice."""

    columns: Mapping[str, str]
    _batches: list[Any]

    def append(self, rows: Sequence[Sequence[Any]]) -> None:
        import pyarrow as pa

        schema = arrow_schema(self.columns)
        columns = zip(*rows, strict=True)
        arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
        self._batches.append(pa.record_batch(arrays, schema=schema))

    def whole(self) -> pa.Table:
        import pyarrow as pa

        return pa.Table.from_batches(self._batches, schema=arrow_schema(self.columns))


def arrow_schema(columns: Mapping[str, str]) -> pa.Schema:
    """Columns by name and kind as Arrow knows them; a time is microseconds of UTC."""
    import pyarrow as pa

    types = {
        "text": pa.string(),
        "integer": pa.int64(),
        "boolean": pa.bool_(),
        "date": pa.date32(),
        "time": pa.timestamp("us", tz="UTC"),
    }
    return pa.schema([(name, types[kind]) for name, kind in columns.items()])


class SnapshotStore:
    """What lies below one address. A file's name holds its content, so writing it twice is writing it once."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._files = ObjectStore(self.url)

    @property
    def is_configured(self) -> bool:
        return bool(self.url)

    def collect(self, columns: Mapping[str, str]) -> PartitionTable:
        """A partition to be filled."""
        return PartitionTable(columns, [])

    async def manifest(self) -> Manifest | None:
        """The snapshot that stands; None before the first. Raises SnapshotDamaged."""
        return await asyncio.to_thread(self._manifest)

    async def publish(self, manifest: Manifest) -> None:
        """From now on this is the snapshot."""
        content = orjson.dumps(manifest.as_document(), option=orjson.OPT_UTC_Z | orjson.OPT_INDENT_2)
        await asyncio.to_thread(self._files.put_bytes, content, MANIFEST)

    async def write(self, partition: Partition, table: pa.Table, digest: str | None = None) -> PartitionFile:
        """The partition's line; readers see it when a manifest names it."""
        content = await asyncio.to_thread(_encode, table)
        sha256 = hashlib.sha256(content).hexdigest()
        path = file_name(partition, sha256)
        await asyncio.to_thread(self._put_once, content, path)
        return PartitionFile(partition.day, path, table.num_rows, len(content), sha256, digest)

    async def write_schema(self, table: str, columns: Mapping[str, str]) -> str:
        """A file of the table's columns without a row; its path."""
        content = await asyncio.to_thread(_encode, PartitionTable(columns, []).whole())
        path = file_name(table, hashlib.sha256(content).hexdigest())
        await asyncio.to_thread(self._put_once, content, path)
        return path

    async def forgotten(self, named: Set[str], before: datetime) -> list[str]:
        """Files of ours that are not among the named and that were written before then: none is about to be named."""
        return await asyncio.to_thread(self._forgotten, named, before)

    async def delete(self, path: str) -> None:
        await asyncio.to_thread(self._files.remove, path)

    def rows(
        self, file: PartitionFile, names: Sequence[str], filters: Mapping[str, str], order: Sequence[str]
    ) -> pa.Table:
        """These columns of a partition's rows that have these values, in that order. Raises FileNotFoundError, or
        SnapshotDamaged when it is not the file that was written."""
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        content = b"".join(self._files.read(file.path))
        if hashlib.sha256(content).hexdigest() != file.sha256:
            raise SnapshotDamaged(f"{file.path} is not what was written there.")
        rows = pq.read_table(io.BytesIO(content), columns=list(dict.fromkeys([*names, *filters])))
        for name, value in filters.items():
            rows = rows.filter(pc.equal(rows[name], value))
        return rows.sort_by([(name, "ascending") for name in order]).select(list(names))

    def location(self, path: str) -> str:
        """Where an engine finds a file: a path of this machine, or an address."""
        return f"{self.url}/{path}".removeprefix("file://")

    def _manifest(self) -> Manifest | None:
        try:
            content = b"".join(self._files.read(MANIFEST))
        except FileNotFoundError:
            return None
        try:
            return read_manifest(orjson.loads(content))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise SnapshotDamaged(f"{MANIFEST} is no manifest of a snapshot: {error!r}") from error

    def _put_once(self, content: bytes, path: str) -> None:
        if not self._files.has(path):
            self._files.put_bytes(content, path)

    def _forgotten(self, named: Set[str], before: datetime) -> list[str]:
        import fsspec

        system, root = fsspec.core.url_to_fs(self.url)
        system.invalidate_cache()
        found = (name.removeprefix(root).lstrip("/") for name in system.find(root))
        unnamed = [path for path in found if is_file(path) and path not in named]
        return sorted(path for path in unnamed if _aware(system.modified(f"{root}/{path}")) < before)


def _encode(table: pa.Table) -> bytes:
    """Parquet with zstd. No clock goes in: the same rows give the same bytes with the same library."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table.combine_chunks(), sink, compression="zstd", compression_level=COMPRESSION_LEVEL)
    return bytes(sink.getvalue())


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)
