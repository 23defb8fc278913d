"""/v1/settlements: what each merchant is owed in each currency, batch by batch, and its statements."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.responses import StreamingResponse

from data_pipeline.api.access import MAY_NOT_ACT, acting, answer, deps_of, require_internal
from data_pipeline.api.exports import SECOND_MAX
from data_pipeline.domain.exports import is_signed
from data_pipeline.domain.merchant_statement import MEDIA_TYPES, StatementFormat
from data_pipeline.domain.operators import Operator, Permission
from data_pipeline.domain.settlement_batch import State
from data_pipeline.operations.close_settlement import CloseSettlement, close_settlement
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.make_statement import open_statement
from data_pipeline.operations.open_export import LinkNotValid
from data_pipeline.operations.show_settlement_checks import LIST_MAX as LEFT_OUT_MAX
from data_pipeline.operations.show_settlement_checks import list_left_out, show_checks
from data_pipeline.operations.show_settlements import (
    LINES_MAX,
    LIST_MAX,
    Wanted,
    list_settlements,
    show_lines,
    show_settlement,
    statement_key,
)
from platform_kit.body import StrictRoute
from platform_kit.contract import Responses, problems
from platform_kit.contract import answer as answers
from platform_kit.moments import Moment

router = APIRouter(prefix="/v1/settlements", tags=["settlements"], route_class=StrictRoute)

SettlementId = Annotated[str, Path(pattern=r"^stl_[0-9a-z]{26}$")]
ByCloser = Annotated[Operator, Depends(acting(Permission.CLOSE_BREAKS))]
Cursor = Annotated[
    str | None, Query(max_length=200, description="`next_after` of the page before; nothing else")
]
_TOKEN: Final = [Depends(require_internal)]
_UNKNOWN: Final = problems({404: "not-found: there is no such settlement"})
_FILE: Final[Responses] = {
    200: {
        "description": "the statement",
        "content": {
            kind.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
            for kind in MEDIA_TYPES.values()
        },
    }
}


@router.get("", dependencies=_TOKEN, responses=answers("SettlementList"))
async def list_all(
    deps: Annotated[Deps, Depends(deps_of)],
    state: State | None = None,
    merchant_id: Annotated[str | None, Query(max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")] = None,
    currency: Annotated[str | None, Query(pattern=r"^[A-Z]{3}$")] = None,
    since: Annotated[Moment | None, Query(alias="from", description="closed after this")] = None,
    until: Annotated[Moment | None, Query(alias="to", description="opened before this")] = None,
    after: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=LIST_MAX)] = 50,
) -> Response:
    """Batches that have movements, the newest first. The figures of an open one are at most a minute old."""
    wanted = Wanted(state, merchant_id, currency, since, until)
    found = await list_settlements(deps, wanted, batch_of(after), limit)
    following = batch_cursor(found[-1]) if len(found) == limit else None
    return answer({"data": found, "next_after": following})


@router.get("/checks", dependencies=_TOKEN, responses=answers("SettlementChecks"))
async def checks(deps: Annotated[Deps, Depends(deps_of)]) -> Response:
    """How far batches and movements were compared with the facts, and which batches differ."""
    return answer(await show_checks(deps))


@router.get("/left-out", dependencies=_TOKEN, responses=answers("LeftOutList"))
async def left_out(
    deps: Annotated[Deps, Depends(deps_of)],
    after: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=LEFT_OUT_MAX)] = 50,
) -> Response:
    """Movements that were found in no batch, the newest first: the next batch takes them as corrections."""
    found = await list_left_out(deps, line_of(after), limit)
    following = left_out_cursor(found[-1]) if len(found) == limit else None
    return answer({"data": found, "next_after": following})


@router.get("/{settlement_id}", dependencies=_TOKEN, responses=_UNKNOWN | answers("Settlement"))
async def show(settlement_id: SettlementId, deps: Annotated[Deps, Depends(deps_of)]) -> Response:
    """One batch: sums, accounts, payouts, and links that open its statement for a while."""
    return answer(await show_settlement(deps, settlement_id))


@router.get("/{settlement_id}/lines", dependencies=_TOKEN, responses=_UNKNOWN | answers("SettlementLineList"))
async def lines(
    settlement_id: SettlementId,
    deps: Annotated[Deps, Depends(deps_of)],
    after: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=LINES_MAX)] = 100,
) -> Response:
    """Its movements in order of time; of an open one as of now."""
    found = await show_lines(deps, settlement_id, line_of(after), limit)
    following = line_cursor(found[-1]) if len(found) == limit else None
    return answer({"data": found, "next_after": following})


@router.post(
    "/{settlement_id}/close",
    dependencies=_TOKEN,
    responses=_UNKNOWN
    | answers("Settlement")
    | MAY_NOT_ACT
    | problems({409: "settlement-closed, or nothing-to-settle: there is no movement in it"}),
)
async def close(
    settlement_id: SettlementId, by: ByCloser, deps: Annotated[Deps, Depends(deps_of)]
) -> Response:
    """Close it now, at the last event that was read, not after its day. Its statement is made within a minute."""
    await close_settlement(deps, CloseSettlement(settlement_id, by.name))
    return answer(await show_settlement(deps, settlement_id))


@router.get(
    "/{settlement_id}/statement.{format}",
    response_class=StreamingResponse,
    responses=_FILE
    | problems(
        {
            403: "link-not-valid",
            404: "not-found: there is no such settlement",
            409: "no-statement: it is not made yet, or not in this format",
        }
    ),
)
async def download(
    settlement_id: SettlementId,
    format: StatementFormat,
    expires: Annotated[int, Query(ge=0, le=SECOND_MAX, description="seconds since 1970")],
    signature: Annotated[str, Query(pattern=r"^[0-9a-f]{64}$")],
    deps: Annotated[Deps, Depends(deps_of)],
) -> Response:
    """The statement, to whoever has its signed link: no token is asked for."""
    key, until = deps.settings.internal_token.get_secret_value(), datetime.fromtimestamp(expires, UTC)
    if not is_signed(key, statement_key(settlement_id, format), until, signature, deps.clock.now()):
        raise LinkNotValid("Ask for the settlement again: it says a new link.")
    return await as_download(deps, settlement_id, format)


async def as_download(deps: Deps, settlement_id: str, format_: StatementFormat) -> Response:
    """A statement as a browser saves it."""
    file = await open_statement(deps, settlement_id, format_)
    headers = {
        "Content-Disposition": f'attachment; filename="{file.name}"',
        "Cache-Control": "private, no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(file.chunks, media_type=file.media_type, headers=headers)


def batch_cursor(batch: Mapping[str, Any]) -> str:
    """Where the page after this batch begins."""
    return f"{batch['closes_at'].astimezone(UTC).isoformat()},{batch['id']}"


def line_cursor(line: Mapping[str, Any]) -> str:
    """Where the page after this line begins."""
    return f"{line['occurred_at'].astimezone(UTC).isoformat()},{line['journal_id']},{line['line']}"


def left_out_cursor(one: Mapping[str, Any]) -> str:
    """Where the page after this movement begins."""
    return f"{one['found_at'].astimezone(UTC).isoformat()},{one['journal_id']},{one['line']}"


def batch_of(cursor: str | None) -> tuple[datetime, str] | None:
    """None, the first page, for what is no cursor of ours."""
    parts = cursor.split(",") if cursor else []
    at = _moment(parts[0]) if len(parts) == 2 else None
    return (at, parts[1]) if at else None


def line_of(cursor: str | None) -> tuple[datetime, str, int] | None:
    parts = cursor.split(",") if cursor else []
    at = _moment(parts[0]) if len(parts) == 3 and parts[2].isdecimal() and len(parts[2]) < 5 else None
    return (at, parts[1], int(parts[2])) if at else None


def _moment(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else None
