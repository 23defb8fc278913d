"""Files below any address that fsspec reads: Parquet by its rows, archives by what is in them, the rest as it is."""

from __future__ import annotations

import gzip
import html
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import fsspec
import pyarrow as arrow
import pyarrow.parquet as parquet

from platform_cli.privacy.leaves import text_of
from platform_cli.privacy.sought import Findings, Place, Sought

SERVICES = ("payment-gateway", "risk-engine", "data-pipeline")
# Each line that a process logs says whose it is, whatever quotes the line is kept in.
LOGGED_BY = re.compile(r"service[\\\"]*:\s*[\\\"]*(" + "|".join(SERVICES) + r")\b")
CHUNK_BYTES = 1 << 20
OVERLAP_BYTES = 4 << 10  # longer than any value: one that lies across two chunks is seen in the next
# Gone since it was listed, damaged, encrypted, or packed in a way that is not known here.
UNREADABLE = (
    *(OSError, EOFError, RuntimeError, NotImplementedError),
    *(zipfile.BadZipFile, zlib.error, arrow.ArrowException),
)


def scan_files(url: str, sought: Sought) -> Findings:
    """One place for all, counted by file; each file with a value is a place of its own. What cannot be read, an
    address where nothing is, and one below which there is no file are left out."""
    whole, findings = Place(url), Findings()
    try:
        files, base = fsspec.core.url_to_fs(url)
        paths = sorted(files.find(base))
    except (OSError, ValueError) as error:
        return Findings(left_out=[f"{url}: {error}"])
    for path in paths:
        file = Place(str(path))
        try:
            with files.open(path, "rb") as opened:
                for text in texts_in(path, opened):
                    file.look(text, sought)
                    findings.logged_by.update(LOGGED_BY.findall(text))
        except UNREADABLE as error:
            findings.left_out.append(f"{path}: {type(error).__name__}: {error}")
        whole.read += 1
        whole.tokens += file.tokens > 0
        if file.values:
            findings.places.append(file)
    if not paths:
        findings.left_out.append(f"{url}: no file is there")
    findings.places.insert(0, whole)
    return findings


def texts_in(path: str, opened: BinaryIO) -> Iterator[str]:
    """What a person with the right program would read in the file."""
    yield path
    if path.endswith(".parquet"):
        for batch in parquet.ParquetFile(opened).iter_batches():
            yield from map(text_of, batch.to_pylist())
    elif path.endswith((".xlsx", ".zip")):
        with zipfile.ZipFile(io.BytesIO(opened.read())) as archive:
            for name in archive.namelist():
                text = archive.read(name).decode("utf-8", "replace")
                yield html.unescape(text) if name.endswith(".xml") else text
    elif path.endswith(".gz"):
        with gzip.open(opened) as unpacked:
            yield from _chunks(unpacked)
    else:
        yield from _chunks(opened)


def _chunks(opened: io.BufferedIOBase | BinaryIO | gzip.GzipFile) -> Iterator[str]:
    before = b""
    while chunk := opened.read(CHUNK_BYTES):
        yield (before + chunk).decode("utf-8", "replace")
        before = (before + chunk)[-OVERLAP_BYTES:]
