"""Personal data leaves here, at the merchants' own doors: what is sealed in an answer is opened on its way out, by the
keys of the merchant who asks and by no other's."""

from __future__ import annotations

from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from payment_gateway.operations.subjects import Subjects

MERCHANT_ID: Final = "merchant_id"
"""In the scope: whose key was sent. What is asked at other doors stays sealed."""
_MARK: Final = b'"sealed":['


async def opened(request: Request, response: Response) -> Response:
    """The answer with who it is about; one that names nobody passes after a look at its bytes."""
    merchant_id = request.scope.get(MERCHANT_ID)
    if merchant_id and _MARK in response.body and response.media_type == "application/json":
        subjects: Subjects = request.app.state.deps.subjects
        response.body = orjson.dumps(await subjects.opened(merchant_id, orjson.loads(response.body)))
        response.headers["content-length"] = str(len(response.body))
    return response
