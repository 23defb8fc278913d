"""The gateway's own totals of its ledger, as of an event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from platform_kit.http import CallFailed, HttpClient

TIMEOUT_S: Final = 10.0  # a sum over all accounts


class LedgerNotAvailable(Exception):
    """The gateway does not tell its totals now."""


@dataclass(frozen=True, slots=True)
class LedgerTotals:
    """Minor units moved by currency (where any were), by all events up to `position` of the payments stream."""

    position: int
    moved: dict[str, int]


class GatewayLedger:
    """Asks over HTTP, with the token that the services share."""

    def __init__(self, url: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self._client = HttpClient(
            "gateway ledger", url, timeout_s=TIMEOUT_S, retries=1, headers=headers, connections_max=2
        )

    async def totals(self) -> LedgerTotals:
        """Raises LedgerNotAvailable."""
        try:
            answer = await self._client.get("/internal/ledger/totals")
        except CallFailed as error:
            raise LedgerNotAvailable(error.reason) from error
        if answer.status != 200:
            raise LedgerNotAvailable(f"status {answer.status}")
        try:
            told = answer.json()
            moved = {line["currency"]: int(line["moved_minor"]) for line in told["currencies"]}
            return LedgerTotals(int(told["position"]), moved)
        except (KeyError, TypeError, ValueError) as error:
            raise LedgerNotAvailable("no totals in the answer") from error

    async def close(self) -> None:
        await self._client.close()
