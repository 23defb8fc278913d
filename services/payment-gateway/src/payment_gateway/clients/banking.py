"""The port to what happens to money after a payment: payouts by a bank, and answers to disputes.

Every question may be repeated: a payout carries its id as the key, a dispute's answer stays the same.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final
from urllib.parse import quote

from payment_gateway.domain.dispute import Dispute
from payment_gateway.domain.payout import Payout
from payment_gateway.settings import Settings
from platform_kit import canonical
from platform_kit.body import loads_strict
from platform_kit.breaker import Breaker
from platform_kit.http import CallFailed, HttpClient
from platform_kit.problems import Problem

ANSWER_MAX_BYTES: Final = 16 * 1024
UNKNOWN: Final = ("unknown", None)
SAID: Final = frozenset({"accepted", "paid", "failed", "returned"})


class Banking:
    """The bank that pays out, at `http`, and the channels' doors for disputes."""

    def __init__(self, http: HttpClient, channels: Mapping[str, HttpClient]) -> None:
        self._http = http
        self._channels = channels

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[Banking]:
        """With connections and breakers of its own."""
        async with AsyncExitStack() as stack:

            async def client(name: str, url: str) -> HttpClient:
                opened = HttpClient(
                    name,
                    url,
                    timeout_s=settings.channel_timeout_s,
                    retries=0,
                    breaker=Breaker(name),
                    max_body_bytes=ANSWER_MAX_BYTES,
                    forward_context=False,
                )
                return await stack.enter_async_context(opened)

            root = settings.card_channel_url.rstrip("/").rpartition("/")[0]
            doors = {"card_sim": settings.card_channel_url, "card_sim_2": settings.card2_channel_url}
            disputes = {name: await client(f"{name}_disputes", url) for name, url in doors.items() if url}
            yield cls(await client("payout_sim", f"{root}/payout-bank"), disputes)

    async def pay_out(self, payout: Payout) -> tuple[str, str | None]:
        """(accepted | paid | failed | returned | unknown, the bank's code). Never raises."""
        body = {
            "destination": payout.destination,
            "amount_minor": payout.amount_minor,
            "currency": payout.currency,
        }
        try:
            response = await self._http.post(
                "/payouts", json=body, headers={"Idempotency-Key": payout.id}, idempotent=True
            )
        except CallFailed as error:
            canonical.add(payout_error=error.reason)
            return UNKNOWN
        if response.status != 200:
            return UNKNOWN
        try:
            answer = loads_strict(response.body)
        except Problem:
            return UNKNOWN
        if not isinstance(answer, dict) or answer.get("status") not in SAID:
            return UNKNOWN
        asked = (payout.id, payout.amount_minor, payout.currency)
        if (answer.get("key"), answer.get("amount_minor"), answer.get("currency")) != asked:
            return UNKNOWN
        code = answer.get("code")
        return str(answer["status"]), code if isinstance(code, str) and code.isascii() else None

    async def answer_dispute(self, dispute: Dispute, path: str) -> bool:
        """Whether the channel took note of the evidence (or the acceptance)."""
        client = self._channels.get(dispute.channel)
        if client is None:
            return True  # a channel without disputes has nobody to tell
        reference = quote(dispute.channel_reference, safe="")
        try:
            response = await client.post(
                f"/disputes/{reference}/{path}", json={"evidence": dict(dispute.evidence)}, idempotent=True
            )
        except CallFailed as error:
            canonical.add(dispute_error=error.reason)
            return False
        return response.status == 200
