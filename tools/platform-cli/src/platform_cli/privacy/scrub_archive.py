"""The archive of events, scrubbed of people: a file with something in clear is written anew under its new checksum,
and takes the old one's place in the manifest.

Rows, positions and times stay; of the columns, `payload` alone changes. The old file is deleted as soon as the manifest
names the new one. A crash before that leaves a new file without a line, which the pipeline's hourly task deletes, or an
old one that is marked as replaced, which it deletes too. What an interrupted write left under its temporary name, no
manifest knows and no checksum proves: it is deleted here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from io import BytesIO
from typing import Any, Final

import asyncpg
import fsspec
import pyarrow as arrow
import pyarrow.parquet as parquet

from platform_cli.privacy.clear_fields import may_tell_of_people, scrubbed
from platform_cli.privacy.scrub_databases import Payers, Progress, Scrubbed
from platform_kit.lease import lock_key

ROWS: Final = 10_000  # of one look-up of tokens
COMPRESSION_LEVEL: Final = 6  # as the pipeline writes them
WRITING: Final = ".writing"
# As the archive names its own: the snapshot may lie below the same address, and is written to under another lease.
UNFINISHED: Final = re.compile(rf"stream=[^/]+/event_date=[^/]+/part-[^/]+\.parquet{re.escape(WRITING)}")
CHECKSUM: Final = re.compile(r"-[0-9a-f]{12}(?=\.parquet$)")  # in the name of a file

LOCK, UNLOCK = "SELECT pg_try_advisory_lock($1)", "SELECT pg_advisory_unlock($1)"
REPLAY_IS_OPEN = "SELECT EXISTS (SELECT FROM pipeline.replay_run WHERE open_slot IS NOT NULL)"
FILES = """
    SELECT path, sha256, row_count FROM pipeline.archive_file
    WHERE replaced_at IS NULL ORDER BY stream, day, first_position"""
REPLACE = "UPDATE pipeline.archive_file SET replaced_at = now() WHERE path = $1 AND replaced_at IS NULL"
ADD = """
    INSERT INTO pipeline.archive_file
        (path, stream, day, first_position, last_position, row_count, byte_count, sha256, archived_at)
    SELECT $2, stream, day, first_position, last_position, row_count, $3, $4, archived_at
    FROM pipeline.archive_file WHERE path = $1"""
FORGET = "DELETE FROM pipeline.archive_file WHERE path = $1"
WAITING = "SELECT count(*) FROM pipeline.archive_file WHERE replaced_at IS NOT NULL"


class ArchiveIsBusy(Exception):
    """Somebody else changes or replays the archive just now."""


class _Damaged(Exception):
    """A file is not there, or is not what the manifest says: the text names it."""


async def scrub_archive(
    connection: asyncpg.Connection[Any], payers: Payers, url: str, *, dry_run: bool, progress: Progress
) -> tuple[list[Scrubbed], list[str]]:
    """All files of the manifest and what interrupted writes left, under the lease of those who change the archive; and
    the damaged ones, which stay. Raises ArchiveIsBusy."""
    place = Scrubbed(f"archive {url}")
    key = lock_key("archive")
    if not await connection.fetchval(LOCK, key):
        raise ArchiveIsBusy("The pipeline is writing to the archive just now; try again in a minute.")
    try:
        if await connection.fetchval(REPLAY_IS_OPEN):
            raise ArchiveIsBusy("A replay is reading the archive; wait for it, or cancel it.")
        files, base = fsspec.core.url_to_fs(url)
        damaged: list[str] = []
        lines = await connection.fetch(FILES)
        for number, line in enumerate(lines, 1):
            try:
                await _scrub_file(connection, payers, files, base.rstrip("/"), line, place, dry_run)
            except _Damaged as damage:
                damaged.append(str(damage))
            progress(place, number, len(lines))
        unfinished = _drop_unfinished(files, base.rstrip("/"), dry_run)
    finally:
        await connection.execute(UNLOCK, key)
    count = len(unfinished)
    left = [Scrubbed(f"archive {url}, unfinished files", count, count)] if unfinished else []
    return [place, *left], damaged


async def manifest_in(connections: Sequence[asyncpg.Connection[Any]]) -> asyncpg.Connection[Any] | None:
    """The database with the archive's manifest."""
    for connection in connections:
        if await connection.fetchval("SELECT to_regclass('pipeline.archive_file')") is not None:
            return connection
    return None


async def replaced_files(connection: asyncpg.Connection[Any]) -> int:
    """Files that compaction replaced within the last hour: readers may still have them, then they are deleted."""
    return int(await connection.fetchval(WAITING))


async def _scrub_file(
    connection: asyncpg.Connection[Any],
    payers: Payers,
    files: Any,
    base: str,
    line: asyncpg.Record,
    place: Scrubbed,
    dry_run: bool,
) -> None:
    old = line["path"]
    table = parquet.read_table(BytesIO(_read(files, f"{base}/{old}", line)))
    cleared, payloads = 0, []
    for chunk in _slices(table.column("payload")):
        texts = chunk.to_pylist()
        told = [text if may_tell_of_people(text) else "{}" for text in texts]
        clean = scrubbed(told, "data", await payers.tokens(told, "data"))
        cleared += len(clean)
        payloads.append(
            arrow.array([clean.get(n, text) for n, text in enumerate(texts)], chunk.type) if clean else chunk
        )
    place.read += line["row_count"]
    place.cleared += cleared
    if dry_run or not cleared:
        return
    index = table.schema.get_field_index("payload")
    content = _encoded(table.set_column(index, table.schema.field(index), arrow.chunked_array(payloads)))
    sha256 = hashlib.sha256(content).hexdigest()
    new = CHECKSUM.sub(f"-{sha256[:12]}", old)
    files.pipe_file(f"{base}/{new}{WRITING}", content)
    files.mv(f"{base}/{new}{WRITING}", f"{base}/{new}")
    async with connection.transaction():
        await connection.execute(ADD, old, new, len(content), sha256)
        if await connection.execute(REPLACE, old) != "UPDATE 1":
            raise ArchiveIsBusy(f"{old} was replaced by somebody else.")
    files.rm_file(f"{base}/{old}")
    await connection.execute(FORGET, old)


def _drop_unfinished(files: Any, base: str, dry_run: bool) -> list[str]:
    """Who holds the lease is the only one who writes: such a file is nobody's any more."""
    files.invalidate_cache()
    found = [path for path in files.find(base) if UNFINISHED.fullmatch(path.removeprefix(f"{base}/"))]
    if not dry_run:
        for path in found:
            files.rm_file(path)
    return found


def _read(files: Any, path: str, line: asyncpg.Record) -> bytes:
    try:
        content: bytes = files.cat_file(path)
    except FileNotFoundError:
        raise _Damaged(f"{line['path']} is not there") from None
    if hashlib.sha256(content).hexdigest() != line["sha256"]:
        raise _Damaged(f"{line['path']} is not what was written: its checksum differs")
    return content


def _slices(column: arrow.ChunkedArray) -> list[arrow.ChunkedArray]:
    whole = column.combine_chunks()
    return [whole.slice(at, ROWS) for at in range(0, len(whole), ROWS)]


def _encoded(table: arrow.Table) -> bytes:
    sink = BytesIO()
    parquet.write_table(table, sink, compression="zstd", compression_level=COMPRESSION_LEVEL)
    return sink.getvalue()
