"""Entries that put the gateway's ledger right, booked by the gateway under a person's name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from data_pipeline.clients.service_api import ACTING_FOR
from data_pipeline.domain.closing import Correction
from platform_kit.http import CallFailed, HttpClient
from platform_kit.problems import Problem, Unavailable

TIMEOUT_S: Final = 10.0
ITS_ANOTHERS: Final = "/problems/suspense-not-platform"
# What the gateway says of the entry itself. All else (a wrong token, a deployment) leaves open whether an earlier try
# has booked it.
_REFUSALS: Final = frozenset({400, 409, 422})


class LedgerNotReached(Unavailable):
    """Whether it was booked is not known; sent again it is booked once."""

    code, title = "ledger-not-reached", "The ledger did not say that the correction is booked"


class CorrectionRefused(Problem):
    """`is_booked`: the entry is there all the same, and belongs to somebody else by now."""

    status, code, title = 409, "correction-refused", "The ledger refused the correction"

    def __init__(self, detail: str, *, is_booked: bool) -> None:
        super().__init__(detail)
        self.is_booked = is_booked


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
            "write_off": order.writes_off,
        }
        try:
            # Idempotent by its reference, whatever the method.
            answer = await self._client.post(
                "/internal/corrections", json=body, headers={ACTING_FOR: order.actor}, idempotent=True
            )
        except CallFailed as error:
            raise LedgerNotReached(f"The gateway cannot be reached ({error.reason}).") from error
        if answer.status in _REFUSALS:
            told = _problem(answer.body)
            raise CorrectionRefused(
                f"The gateway answered {answer.status}: {told.get('detail', '')}",
                is_booked=told.get("type") == ITS_ANOTHERS,
            )
        if answer.status != 201:
            raise LedgerNotReached(f"The gateway answered {answer.status}.")
        item: dict[str, Any] = orjson.loads(answer.body)
        return item

    async def close(self) -> None:
        await self._client.close()


def _problem(body: bytes) -> dict[str, Any]:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) else {}
