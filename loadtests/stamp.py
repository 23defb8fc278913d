"""Where a run was made, and against which version."""

from importlib.metadata import version
from typing import Any

import aiohttp

from platform_cli.machine import describe_machine

PROGRAMS = ("locust", "gevent", "geventhttpclient", "aiohttp")


async def stamp(gateway_url: str, target: str) -> dict[str, Any]:
    """The machine, the programs' versions, and the version that the platform says it is."""
    return {
        **describe_machine(),
        "target": target,
        "gateway": gateway_url,
        "app_version": await _app_version(gateway_url),
        **{name: version(name) for name in PROGRAMS},
    }


async def _app_version(gateway_url: str) -> str | None:
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
            session.get(f"{gateway_url}/version") as reply,
        ):
            return str((await reply.json(content_type=None)).get("version"))
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return None
