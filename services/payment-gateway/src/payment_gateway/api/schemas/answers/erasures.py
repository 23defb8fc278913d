"""Erasures as the native API answers them."""

from __future__ import annotations

from typing import Final

from payment_gateway.api.schemas.answers.words import TIME, identifier, page, word
from payment_gateway.domain.dispute import DisputeStatus
from payment_gateway.domain.erasure import ErasureStatus
from platform_kit.contract import COUNT, TEXT, Schema, items, nullable, ref, shape, thing

_REPORT: Final = shape(
    {
        "verdict": word("clean", "readable", "incomplete"),
        "scanned_at": TEXT,
        "places": items(
            shape({"place": TEXT, "read": COUNT, "values": COUNT, "tokens": COUNT})
            | {"description": "of what was read, how much holds a value in clear, and how much a token"}
        ),
        "left_out": items(TEXT),
        "values_sought": COUNT,
        "values_too_short": COUNT,
    }
)
_ERASURE: Final = {
    "id": identifier("ers"),
    "merchant_id": identifier("mer"),
    "status": word(*ErasureStatus),
    "subjects": items(identifier("sub")) | {"description": "the tokens that remain; they name nobody"},
    "blocked_by": items(shape({"dispute_id": identifier("dp"), "status": word(*DisputeStatus)})),
    "report": nullable(ref("ErasureReport")),
    "created_at": TIME,
    "due_at": TIME | {"description": "the keys are destroyed then at the earliest"},
    "erased_at": nullable(TIME),
    "reported_at": nullable(TIME),
}
SCHEMAS: Final[dict[str, Schema]] = {
    "ErasureReport": _REPORT,
    "Erasure": thing("erasure", _ERASURE),
    "ErasurePage": page("Erasure", "next_cursor"),
    "ErasureToProve": thing(
        "erasure",
        _ERASURE
        | {
            "sought": nullable(items(TEXT))
            | {"description": "what a scan must not find; null once it did not"}
        },
    ),
}
