"""The demo merchant: made once by the admin API, remembered with its key in the state directory."""

import json
from dataclasses import asdict, dataclass

import aiohttp

from platform_cli.stack.state import State, write_private

TIMEOUT = aiohttp.ClientTimeout(total=20)


@dataclass(frozen=True, slots=True)
class Merchant:
    """A merchant and the key that it pays with."""

    id: str
    api_key: str


async def demo_merchant(state: State, gateway_url: str) -> Merchant:
    """Last time's merchant if the gateway still knows it, else a new one."""
    file = state.secrets / "merchant.json"
    async with aiohttp.ClientSession(gateway_url, timeout=TIMEOUT) as session:
        if file.exists():
            merchant = Merchant(**json.loads(file.read_text()))
            if await _is_known(session, merchant):
                return merchant
        merchant = await create_merchant(session, state.secret("admin_api_key"), "Demo Shop")
    write_private(file, json.dumps(asdict(merchant)))
    return merchant


async def create_merchant(session: aiohttp.ClientSession, admin_api_key: str, name: str) -> Merchant:
    """Ask the gateway at the session's base URL for a merchant."""
    headers = {"Authorization": f"Bearer {admin_api_key}"}
    async with session.post("/v1/merchants", json={"name": name, "country": "DE"}, headers=headers) as reply:
        body = await reply.json()
        if reply.status != 201:
            raise RuntimeError(f"the gateway did not make a merchant: {reply.status} {body}")
    return Merchant(body["id"], body["api_key"])


async def _is_known(session: aiohttp.ClientSession, merchant: Merchant) -> bool:
    headers = {"Authorization": f"Bearer {merchant.api_key}"}
    async with session.get("/v1/payments", params={"limit": "1"}, headers=headers) as reply:
        return reply.status == 200
