"""A request whose key is at work is refused at once, or waits a while for the answer that it would repeat.

The client says so (`Prefer: wait=2`, RFC 7240), or the deployment (IDEMPOTENCY_WAIT_S). To ask again after a 409 costs
the client a round trip and a pause; to wait costs this process an open request, so it is bounded.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from platform_kit.idempotency import KeyInProgress
from platform_kit.rate_limits import RateLimited

WAIT_MAX_S: Final = 10.0
FIRST_PAUSE_S: Final = (
    0.05  # doubled each time: a look is a whole request, and takes a token of the rate limit
)
PAUSE_MAX_S: Final = 0.4
_WAIT: Final = re.compile(r"\s*wait\s*=\s*([0-9]{1,6})\s*(;.*)?", re.IGNORECASE)

Handle = Callable[[Request], Awaitable[Response]]


async def answered_later(request: Request, handle: Handle, refused: KeyInProgress) -> Response:
    """What the request is answered once its key is free. Raises KeyInProgress when that takes longer than it waits."""
    asked = wait_of(request)
    wait_s = request.app.state.deps.settings.idempotency_wait_s if asked is None else asked
    loop = asyncio.get_running_loop()
    give_up_at, pause_s = loop.time() + wait_s, FIRST_PAUSE_S
    while (left_s := give_up_at - loop.time()) > 0:
        await asyncio.sleep(min(pause_s, left_s))
        pause_s = min(2 * pause_s, PAUSE_MAX_S)
        try:
            response = await handle(request)
        except KeyInProgress as again:
            refused = again
            continue
        except (
            RateLimited
        ):  # a look takes a token; who waits is told of the key, and not that it asked too often
            continue
        if asked is not None:
            response.headers["Preference-Applied"] = f"wait={asked:g}"
        return response
    raise refused


def wait_of(request: Request) -> float | None:
    """How many seconds the client would wait, at most `WAIT_MAX_S`; None when it says nothing that we understand."""
    for header in request.headers.getlist("prefer"):
        for preference in header.split(","):
            if matched := _WAIT.fullmatch(preference):
                return min(float(matched[1]), WAIT_MAX_S)
    return None
