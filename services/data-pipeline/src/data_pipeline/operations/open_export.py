"""The bytes of a file that was made, for whoever has its signed link."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from data_pipeline.domain.exports import MEDIA_TYPES, ExportState, FileFormat, is_signed, stored_name
from data_pipeline.operations.deps import Deps
from data_pipeline.store import exports as export_store
from platform_kit.problems import Problem


class LinkNotValid(Problem):
    status, code, title = 403, "link-not-valid", "The link is not valid, or its time is over"


class FileGone(Problem):
    status, code, title = 410, "file-gone", "The file is not kept any longer"


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """What the browser is told of it, and its bytes."""

    name: str
    media_type: str
    chunks: Iterator[bytes]


async def open_export(deps: Deps, export_id: str, expires: int, signature: str) -> OpenedFile:
    """Raises LinkNotValid, also for an export that there never was; FileGone."""
    key, until = deps.settings.internal_token.get_secret_value(), datetime.fromtimestamp(expires, UTC)
    if not is_signed(key, export_id, until, signature, deps.clock.now()):
        raise LinkNotValid("Ask for the export again: it says a new link.")
    async with deps.engine.connect() as conn:
        row = await export_store.read(conn, export_id)
    if row is None or row["state"] != ExportState.DONE:
        raise FileGone("Ask for the same export again.")
    stored = stored_name(row)
    if not await asyncio.to_thread(deps.exports.has, stored):
        raise FileGone("The file is not where exports are kept; ask for the same export again.")
    named = f"{row['subject']}-{row['question']['from'][:10]}-{row['question']['to'][:10]}.{row['format']}"
    return OpenedFile(named, MEDIA_TYPES[FileFormat(row["format"])], deps.exports.read(stored))
