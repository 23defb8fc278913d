"""Make the three files of a closed batch, and open one of them: the same batch gives the same bytes, at any time."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from data_pipeline.clients.statement_pdf import StatementPdf
from data_pipeline.clients.table_files import SHEET_ROWS_MAX, TableFile, open_table_file
from data_pipeline.domain.exports import FileFormat
from data_pipeline.domain.merchant_statement import (
    COLUMNS,
    MEDIA_TYPES,
    Record,
    StatementFormat,
    end,
    head,
    line,
    name_of,
)
from data_pipeline.operations.deps import Deps
from data_pipeline.store import settlement_lines
from data_pipeline.store import settlements as settlement_store
from platform_kit.problems import NotFound, Problem

SLICE_ROWS: Final = 5_000
BESIDE_LINES: Final = 1_000  # records that are no lines: a sheet must have room for them, too


class NoStatement(Problem):
    status, code, title = 409, "no-statement", "There is no such statement"


class StatementDiffers(Problem):
    status, code, title = 500, "statement-differs", "The statement cannot be made as it was"


@dataclass(frozen=True, slots=True)
class OpenedStatement:
    name: str
    media_type: str
    chunks: Iterator[bytes]


async def make_statement(deps: Deps, batch_id: str) -> dict[str, Any]:
    """Write, hash and keep them; the manifest, which is kept beside them. Raises NotFound."""
    async with deps.engine.connect() as conn:
        batch = await settlement_store.read(conn, batch_id)
    if batch is None:
        raise NotFound("There is no such settlement.")
    files: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="statement-") as directory:
        paths = {format_: Path(directory) / f"{batch_id}.{format_}" for format_ in _formats(batch)}
        count, total_minor = await _write(deps, batch, paths)
        for format_, path in paths.items():
            files[str(format_)] = await asyncio.to_thread(_described, path)
        for path in paths.values():
            await asyncio.to_thread(deps.exports.put, path, f"settlements/{path.name}")
        manifest = {
            "settlement_id": batch_id,
            "columns": [asdict(column) for column in COLUMNS],
            "line_count": count,
            "net_minor": total_minor,
            "currency": batch["currency"],
            "position": batch["position"],
            "files": files,
        }
        content = orjson.dumps(manifest, option=orjson.OPT_INDENT_2)
        await asyncio.to_thread(deps.exports.put_bytes, content, f"settlements/{batch_id}.manifest.json")
    return manifest


async def open_statement(deps: Deps, batch_id: str, format_: StatementFormat) -> OpenedStatement:
    """A file of a batch that has its statement. One that is not where it was kept is made once more, and must have the
    bytes that it had. Raises NotFound, NoStatement, StatementDiffers."""
    async with deps.engine.connect() as conn:
        batch = await settlement_store.read(conn, batch_id)
    if batch is None:
        raise NotFound("There is no such settlement.")
    described = ((batch["manifest"] or {}).get("files") or {}).get(format_)
    if described is None:
        raise NoStatement("It is made within a minute after the batch is closed; XLSX up to a million lines.")
    stored = f"settlements/{batch_id}.{format_}"
    if not await asyncio.to_thread(deps.exports.has, stored):
        await _make_again(deps, batch, format_, described["sha256"])
    return OpenedStatement(name_of(batch, format_), MEDIA_TYPES[format_], deps.exports.read(stored))


async def _make_again(deps: Deps, batch: dict[str, Any], format_: StatementFormat, sha256: str) -> None:
    """One file that is gone, by itself: a newer program may draw the PDF otherwise and still write the same CSV. Raises
    StatementDiffers, and keeps nothing, when it has other bytes than it had."""
    with tempfile.TemporaryDirectory(prefix="statement-") as directory:
        path = Path(directory) / f"{batch['id']}.{format_}"
        await _write(deps, batch, {format_: path})
        if (await asyncio.to_thread(_described, path))["sha256"] != sha256:
            raise StatementDiffers("Its lines are the same; the program that draws it is another one.")
        await asyncio.to_thread(deps.exports.put, path, f"settlements/{path.name}")


def _formats(batch: dict[str, Any]) -> list[StatementFormat]:
    fits_sheet = batch["line_count"] + BESIDE_LINES < SHEET_ROWS_MAX
    return [one for one in StatementFormat if one is not StatementFormat.XLSX or fits_sheet]


async def _write(deps: Deps, batch: dict[str, Any], paths: dict[StatementFormat, Path]) -> tuple[int, int]:
    """All files from one reading; how many lines, and their sum."""
    files = [await asyncio.to_thread(_opened, format_, path) for format_, path in paths.items()]
    async with deps.engine.connect() as conn:
        payouts = await settlement_store.payouts(conn, batch["id"])
    await _append(files, list(head(batch, payouts)))
    count, total_minor = 0, 0
    async for lines in _lines(deps, batch):
        count, total_minor = count + len(lines), total_minor + sum(one["amount_minor"] for one in lines)
        await _append(files, lines)
    await _append(files, [end(batch["currency"], count, total_minor)])
    for file in files:
        await asyncio.to_thread(file.close)
    return count, total_minor


async def _lines(deps: Deps, batch: dict[str, Any]) -> AsyncIterator[list[Record]]:
    after: tuple[Any, str, int] | None = None
    while True:
        async with deps.engine.connect() as conn:
            rows = await settlement_lines.lines(conn, batch["id"], after, SLICE_ROWS)
        if not rows:
            return
        yield [line(batch["currency"], row) for row in rows]
        after = rows[-1]["occurred_at"], rows[-1]["journal_id"], rows[-1]["line"]


async def _append(files: list[TableFile], records: list[Record]) -> None:
    for file in files:
        await asyncio.to_thread(file.append, records)


def _opened(format_: StatementFormat, path: Path) -> TableFile:
    if format_ is StatementFormat.PDF:
        return StatementPdf(path)
    return open_table_file(FileFormat(format_), path, COLUMNS)


def _described(path: Path) -> dict[str, Any]:
    with path.open("rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    return {"sha256": sha256, "byte_count": path.stat().st_size}
