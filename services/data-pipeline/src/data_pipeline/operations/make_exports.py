"""Make the files that are due: slice by slice, one short transaction each, and the row moves with every slice.

A worker that dies leaves a lease behind that runs out; the next one begins the file again under a new attempt, and
whatever the first one may still write is nobody's: progress and end are compare-and-set on the attempt, and the attempt
is in the file's name.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson
from sqlalchemy.exc import SQLAlchemyError

from data_pipeline.clients.table_files import TooManyRows, open_table_file
from data_pipeline.domain.exports import PAYMENT_COLUMNS, PAYMENTS, FileFormat, Totals, names_of
from data_pipeline.domain.lineage import EXPORT
from data_pipeline.domain.questions import Grain, Question, ask
from data_pipeline.domain.report_definition import Column, ReportName
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.read_payments import payment_slices
from data_pipeline.operations.run_report import read_as_of, run_live_report
from data_pipeline.operations.tell_lineage import lineage_of
from data_pipeline.store import exports as export_store
from platform_kit.logging import get_logger

SLICE_ROWS: Final = 5_000
REPORT_ROWS_MAX: Final = 1_000_000
ATTEMPTS_MAX: Final = 3
LEASE: Final = timedelta(minutes=2)
RENEWED_EVERY_S: Final = 20.0  # whatever takes long: reading a report, writing a sheet, storing the file
PER_TICK_MAX: Final = 20

log = get_logger(__name__)


async def make_exports(deps: Deps) -> int:
    """Make what is due, one after the other; how many files were made."""
    made = 0
    async with deps.engine.begin() as conn:
        given_up = await export_store.give_up(conn, deps.clock.now(), ATTEMPTS_MAX)
    for export_id in given_up:
        log.error("export_given_up", export_id=export_id, attempts=ATTEMPTS_MAX)
    for _ in range(PER_TICK_MAX):
        async with deps.engine.begin() as conn:
            row = await export_store.claim(conn, deps.clock.now(), LEASE, ATTEMPTS_MAX)
        if row is None:
            break
        made += await _make(deps, row)
    return made


async def _make(deps: Deps, row: dict[str, Any]) -> bool:
    try:
        async with _renewed(deps, row), lineage_of(deps, EXPORT):
            return await make_export(deps, row)
    except Exception as fault:
        log.exception("export_failed", export_id=row["id"], attempt=row["attempt_count"])
        attempts_max = 1 if isinstance(fault, TooManyRows) else ATTEMPTS_MAX
        said = str(fault) if isinstance(fault, TooManyRows) else type(fault).__name__
        async with deps.engine.begin() as conn:
            await export_store.give_back(conn, row, said, deps.clock.now(), attempts_max)
        return False


@asynccontextmanager
async def _renewed(deps: Deps, row: dict[str, Any]) -> AsyncIterator[None]:
    """Inside, the lease does not run out while this process lives; the task's time limit ends it."""

    async def renew() -> None:
        is_ours = True
        while is_ours:
            await asyncio.sleep(RENEWED_EVERY_S)
            try:
                async with deps.engine.begin() as conn:
                    is_ours = await export_store.renew(conn, row, deps.clock.now() + LEASE)
            except (OSError, SQLAlchemyError) as fault:  # the next time, or the lease runs out
                log.warning("export_not_renewed", export_id=row["id"], fault=type(fault).__name__)

    renewing = asyncio.create_task(renew())
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.wait([renewing])


async def make_export(deps: Deps, row: dict[str, Any]) -> bool:
    """Write, hash, store, and say so; False when the export has become another attempt's."""
    question, format_ = question_of(row["question"]), FileFormat(row["format"])
    is_list = row["subject"] == PAYMENTS
    slices = payment_slices(deps, question, SLICE_ROWS) if is_list else _report(deps, question)
    columns = PAYMENT_COLUMNS if is_list else question.report.columns(question.keys)
    as_of, totals, began = await read_as_of(deps), Totals(columns), 0
    with tempfile.TemporaryDirectory(prefix="export-") as directory:
        path = Path(directory) / f"{row['id']}-{row['attempt_count']}.{format_}"
        file = await asyncio.to_thread(open_table_file, format_, path, columns)
        async for share, rows in slices:
            totals.add(rows)
            await asyncio.to_thread(file.append, rows)
            until, percent = deps.clock.now() + LEASE, min(99, int(share * 99))
            async with deps.engine.begin() as conn:
                if not await export_store.note_progress(conn, row, percent, totals.row_count, until):
                    return False
            began += 1
        await asyncio.to_thread(file.close)
        manifest = await asyncio.to_thread(_manifest, row, path, columns, totals)
        manifest |= {"as_of": as_of, "made_at": deps.clock.now(), "slice_count": began}
        await asyncio.to_thread(_store, deps, row, path, manifest)
    at = deps.clock.now()
    async with deps.engine.begin() as conn:
        expires_at = at + timedelta(days=deps.settings.export_keep_days)
        is_ours = await export_store.finish(conn, row, manifest, path.name, at, expires_at)
    if not is_ours:
        await _remove(deps, path.name)
    return is_ours


async def _remove(deps: Deps, stored: str) -> None:
    for name in names_of(stored):
        await asyncio.to_thread(deps.exports.remove, name)


def question_of(asked: dict[str, Any]) -> Question:
    """The question as it was stored."""
    return ask(
        ReportName(asked["report"]),
        datetime.fromisoformat(asked["from"]),
        datetime.fromisoformat(asked["to"]),
        zone=asked["time_zone"],
        grain=Grain(asked["grain"]),
        by=asked["by"],
        filters=asked["filters"],
    )


async def _report(deps: Deps, question: Question) -> AsyncIterator[tuple[float, list[dict[str, Any]]]]:
    """A report is of one moment: it is read in one transaction, and only written in slices."""
    report = await run_live_report(deps, question, rows_max=REPORT_ROWS_MAX)
    if report["has_more"]:
        raise TooManyRows(f"The report has more than {REPORT_ROWS_MAX:,} rows: ask coarser.")
    rows = report["rows"]
    for start in range(0, len(rows), SLICE_ROWS):
        yield (start + SLICE_ROWS) / len(rows), rows[start : start + SLICE_ROWS]


def _manifest(row: dict[str, Any], path: Path, columns: tuple[Column, ...], totals: Totals) -> dict[str, Any]:
    with path.open("rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    return {
        "export_id": row["id"],
        "subject": row["subject"],
        "question": row["question"],
        "format": row["format"],
        "columns": [asdict(column) for column in columns],
        "row_count": totals.row_count,
        "totals": totals.by_currency(),
        "sha256": sha256,
        "byte_count": path.stat().st_size,
    }


def _store(deps: Deps, row: dict[str, Any], path: Path, manifest: dict[str, Any]) -> None:
    """The file and, beside it, its manifest."""
    deps.exports.put(path, path.name)
    beside = path.with_suffix(".manifest.json")
    beside.write_bytes(orjson.dumps(manifest, option=orjson.OPT_UTC_Z | orjson.OPT_INDENT_2))
    deps.exports.put(beside, beside.name)
