"""Who may call: other services of the platform, by the internal token."""

import hmac

from fastapi import Request

from platform_kit.problems import Unauthenticated


async def require_internal(request: Request) -> None:
    """Refuse a caller without `Authorization: Bearer <INTERNAL_TOKEN>`; without a token set, everybody."""
    expected = request.app.state.deps.settings.internal_token.get_secret_value()
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if (
        not expected
        or scheme.lower() != "bearer"
        or not hmac.compare_digest(given.encode(), expected.encode())
    ):
        raise Unauthenticated()
