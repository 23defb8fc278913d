"""The gateway's own totals and balances of its ledger, as of an event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from platform_kit.http import CallFailed, HttpClient

TIMEOUT_S: Final = 10.0  # a sum over all accounts
ACCOUNTS_MAX: Final = 2000  # of one answer


class LedgerNotAvailable(Exception):
    """The gateway does not tell its totals now."""


@dataclass(frozen=True, slots=True)
class LedgerTotals:
    """Minor units moved by currency (where any were), by all events up to `position` of the payments stream."""

    position: int
    moved: dict[str, int]


@dataclass(frozen=True, slots=True)
class LedgerBalances:
    """Some accounts by (name, currency), by all events up to `position`: debits, credits, and both that are held.

    `chain` is the last link of the hash chain over all transfers (position, hash, chained_at), None before the first.
    """

    position: int
    accounts: dict[tuple[str, str], tuple[int, int, int, int]]
    chain: Mapping[str, Any] | None
    has_more: bool


class GatewayLedger:
    """Asks over HTTP, with the token that the services share."""

    def __init__(self, url: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self._client = HttpClient(
            "gateway ledger", url, timeout_s=TIMEOUT_S, retries=1, headers=headers, connections_max=2
        )

    async def totals(self) -> LedgerTotals:
        """Raises LedgerNotAvailable."""
        told = await self._ask("/internal/ledger/totals")
        try:
            moved = {line["currency"]: int(line["moved_minor"]) for line in told["currencies"]}
            return LedgerTotals(int(told["position"]), moved)
        except (KeyError, TypeError, ValueError) as error:
            raise LedgerNotAvailable("no totals in the answer") from error

    async def balances(self, after: tuple[str, str], limit: int = ACCOUNTS_MAX) -> LedgerBalances:
        """Accounts after that name and currency, ("", "") for the first. Raises LedgerNotAvailable."""
        params: dict[str, str | int] = {"after": ":".join(after) if after[0] else "", "limit": limit}
        told = await self._ask("/internal/ledger/balances", params)
        try:
            accounts = {
                (row["account"], row["currency"]): (
                    int(row["debits_minor"]),
                    int(row["credits_minor"]),
                    int(row["debits_pending_minor"]),
                    int(row["credits_pending_minor"]),
                )
                for row in told["accounts"]
            }
            return LedgerBalances(int(told["position"]), accounts, told["chain"], bool(told["has_more"]))
        except (KeyError, TypeError, ValueError) as error:
            raise LedgerNotAvailable("no balances in the answer") from error

    async def _ask(self, path: str, params: Mapping[str, str | int] | None = None) -> Any:
        try:
            answer = await self._client.get(path, params=params)
        except CallFailed as error:
            raise LedgerNotAvailable(error.reason) from error
        if answer.status != 200:
            raise LedgerNotAvailable(f"status {answer.status}")
        try:
            return answer.json()
        except ValueError as error:
            raise LedgerNotAvailable("no JSON in the answer") from error

    async def close(self) -> None:
        await self._client.close()
