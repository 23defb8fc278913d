"""Entries that put the gateway's ledger right, booked by the gateway under a person's name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from data_pipeline.domain.closing import Correction
from platform_kit.http import CallFailed, HttpClient
from platform_kit.problems import Problem, Unavailable

TIMEOUT_S: Final = 10.0


class LedgerNotReached(Unavailable):
    """Whether it was booked is not known; sent again it is booked once."""

    code, title = "ledger-not-reached", "The ledger did not say that the correction is booked"


class CorrectionRefused(Problem):
    status, code, title = 409, "correction-refused", "The ledger refused the correction"


@dataclass(frozen=True, slots=True)
class CorrectionOrder:
    """`reference` names the entry: the same again is booked once. `writes_off`: it is the platform's from now on."""

    channel: str
    reference: str
    correction: Correction
    note: str
    actor: str
    writes_off: bool


class LedgerCorrections:
    """The gateway's door for corrections."""

    def __init__(self, url: str, token: str) -> None:
        self._client = HttpClient(
            "gateway",
            url,
            timeout_s=TIMEOUT_S,
            retries=2,
            headers={"Authorization": f"Bearer {token}"},
            connections_max=2,
        )

    async def book(self, order: CorrectionOrder) -> dict[str, Any]:
        """The suspense item that the gateway made of it. Raises LedgerNotReached or CorrectionRefused."""
        body = {
            "channel": order.channel,
            "reference": order.reference,
            "direction": "received" if order.correction.is_received else "taken",
            "amount_minor": order.correction.amount_minor,
            "currency": order.correction.currency,
            "note": order.note,
            "actor": order.actor,
            "write_off": order.writes_off,
        }
        try:
            # Idempotent by its reference, whatever the method.
            answer = await self._client.post("/internal/corrections", json=body, idempotent=True)
        except CallFailed as error:
            raise LedgerNotReached(f"The gateway cannot be reached ({error.reason}).") from error
        if answer.status >= 500 or answer.status == 429:
            raise LedgerNotReached(f"The gateway answered {answer.status}.")
        if answer.status != 201:
            raise CorrectionRefused(f"The gateway answered {answer.status}: {_detail(answer.body)}")
        item: dict[str, Any] = orjson.loads(answer.body)
        return item

    async def close(self) -> None:
        await self._client.close()


def _detail(body: bytes) -> str:
    try:
        return str(orjson.loads(body).get("detail", ""))
    except (orjson.JSONDecodeError, AttributeError):
        return ""
