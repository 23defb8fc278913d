"""The table of reasons: for a reviewer's screen, and for what a merchant may be told."""

from fastapi import APIRouter, Depends, Response

from platform_kit.app import JsonResponse
from platform_kit.contract import answer
from risk_engine.api.authentication import require_reader
from risk_engine.domain.reason_codes import REASON_CODES

router = APIRouter(prefix="/v1/reason-codes", tags=["assessments"], dependencies=[Depends(require_reader)])

_TABLE = [
    {
        "code": row.code,
        "object": "reason_code",
        "source": row.source.value,
        "reviewer": row.reviewer,
        "merchant": row.merchant,
    }
    for row in REASON_CODES.values()
]


@router.get("", responses=answer("ReasonCodeList"))
async def get_reason_codes() -> Response:
    """Every code that the packaged rules, the score, the model and the failure policy give."""
    return JsonResponse({"data": _TABLE})
