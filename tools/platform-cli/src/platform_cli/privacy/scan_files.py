"""Files below any address that fsspec reads: Parquet by its rows, archives by what is in them, the rest as it is."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Iterator
from typing import BinaryIO

import fsspec
import pyarrow.parquet as parquet

from platform_cli.privacy.sought import Place, Sought

CHUNK_BYTES = 1 << 20
OVERLAP_BYTES = 4 << 10  # longer than any value: one that lies across two chunks is seen in the next


def scan_files(url: str, sought: Sought) -> list[Place]:
    """One place for all, counted by file; each file with a value is a place of its own.

    Raises OSError for what cannot be read, FileNotFoundError for an address where nothing is.
    """
    files, base = fsspec.core.url_to_fs(url)
    if not files.exists(base):
        raise FileNotFoundError(url)
    whole = Place(url[:300])
    found = []
    for path in sorted(files.find(base)):
        with files.open(path, "rb") as opened:
            file = Place(str(path)[:300])
            for text in texts_in(path, opened):
                file.look(text, sought)
        whole.read += 1
        whole.tokens += file.tokens > 0
        if file.values:
            found.append(file)
    return [whole, *found]


def texts_in(path: str, opened: BinaryIO) -> Iterator[str]:
    """What a person with the right program would read in the file."""
    yield path
    if path.endswith(".parquet"):
        for batch in parquet.ParquetFile(opened).iter_batches():
            yield from map(str, batch.to_pylist())
    elif path.endswith((".xlsx", ".zip")):
        with zipfile.ZipFile(io.BytesIO(opened.read())) as archive:
            for name in archive.namelist():
                yield archive.read(name).decode("utf-8", "replace")
    elif path.endswith(".gz"):
        with gzip.open(opened) as unpacked:
            yield from _chunks(unpacked)
    else:
        yield from _chunks(opened)


def _chunks(opened: io.BufferedIOBase | BinaryIO | gzip.GzipFile) -> Iterator[str]:
    before = b""
    while chunk := opened.read(CHUNK_BYTES):
        yield (before + chunk).decode("utf-8", "replace")
        before = chunk[-OVERLAP_BYTES:]
