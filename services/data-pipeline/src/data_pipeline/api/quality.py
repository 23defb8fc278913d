"""GET /v1/quality: which rules the facts break, and which of their days are not published for it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response

from data_pipeline.api.access import answer, deps_of, require_internal
from data_pipeline.operations.deps import Deps
from data_pipeline.operations.report_quality import report_looks, report_quality, rules
from platform_kit.contract import answer as answers

router = APIRouter(prefix="/v1/quality", tags=["quality"], dependencies=[Depends(require_internal)])
TableName = Literal[
    "fact_payment",
    "fact_refund",
    "fact_transfer",
    "fact_assessment",
    "merchant_version",
    "fact_webhook_attempt",
    "fact_case",
    "reconciliation_break",
]


@router.get("", responses=answers("Quality"))
async def show_quality(deps: Deps = Depends(deps_of)) -> Response:
    """Each fact table: score, rules that are broken now with sample rows, 30 days of scores, and the days that are
    not published: blocked for a rule, or waiting for a run that reaches them."""
    found = await report_quality(deps)
    tables = [
        {
            "table": one.name,
            "score": one.score,
            "row_count": one.row_count,
            "looked_at": one.looked_at,
            "blocked_days": list(one.blocked_days),
            "waiting_days": list(one.waiting_days),
            "failures": list(one.failures),
            "history": [{"day": day, **told} for day, told in one.history.items()],
        }
        for one in found.tables
    ]
    told = {
        "is_configured": found.is_configured,
        "blocked_count": found.blocked_count,
        "waiting_count": found.waiting_count,
    }
    return answer({**told, "tables": tables, "rules": rules()})


@router.get("/{table}", responses=answers("QualityLooks"))
async def show_looks(
    table: TableName, limit: Annotated[int, Query(ge=1, le=1000)] = 60, deps: Deps = Depends(deps_of)
) -> Response:
    """Looks at one table's days, newest first. The last look at each day is kept for good, others for 30 days."""
    return answer({"data": await report_looks(deps, table, limit)})
