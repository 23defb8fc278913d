"""Ask for a file, and see how far it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from data_pipeline.domain.exports import ExportState, FileFormat, signature
from data_pipeline.domain.questions import Question
from data_pipeline.operations.deps import Deps
from data_pipeline.store import exports as export_store
from platform_kit.ids import new_id
from platform_kit.problems import NotFound

LIST_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class RequestExport:
    """`subject` is `payments` or the name of the question's report."""

    subject: str
    question: Question
    format: FileFormat
    requested_by: str


async def request_export(deps: Deps, command: RequestExport) -> dict[str, Any]:
    """The export, due: the worker makes it within seconds."""
    export_id, question = new_id("exp"), command.question
    asked = {
        "report": question.name,
        "from": question.after.isoformat(),
        "to": question.before.isoformat(),
        "time_zone": question.zone,
        "grain": question.grain,
        "by": list(question.by),
        "filters": dict(question.filters),
    }
    row = {
        "id": export_id,
        "subject": command.subject,
        "question": asked,
        "format": command.format,
        "requested_by": command.requested_by,
        "at": deps.clock.now(),
    }
    async with deps.engine.begin() as conn:
        await export_store.insert(conn, row)
    return await show_export(deps, export_id)


async def show_export(deps: Deps, export_id: str) -> dict[str, Any]:
    """One export; when it is done, with a link that opens its file for a while. Raises NotFound."""
    async with deps.engine.connect() as conn:
        row = await export_store.read(conn, export_id)
    if row is None:
        raise NotFound("There is no such export.")
    return _shown(deps, row)


async def list_exports(deps: Deps, limit: int) -> list[dict[str, Any]]:
    """The latest first."""
    async with deps.engine.connect() as conn:
        return [_shown(deps, row) for row in await export_store.latest(conn, limit)]


def _shown(deps: Deps, row: dict[str, Any]) -> dict[str, Any]:
    hidden = ("leased_until", "stored_name")
    return {name: value for name, value in row.items() if name not in hidden} | {"download": _link(deps, row)}


def _link(deps: Deps, row: dict[str, Any]) -> dict[str, Any] | None:
    if row["state"] != ExportState.DONE:
        return None
    until = deps.clock.now().replace(microsecond=0) + timedelta(seconds=deps.settings.export_link_s)
    signed = signature(deps.settings.internal_token.get_secret_value(), row["id"], until)
    path = f"/v1/exports/{row['id']}/file?expires={int(until.timestamp())}&signature={signed}"
    return {"path": path, "expires_at": until}
