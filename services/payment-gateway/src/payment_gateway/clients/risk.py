"""The risk engine as the gateway sees it: an assessment in time, or the gateway's own fallback policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from payment_gateway.domain.risk import Assessment, Decision, fallback
from platform_kit import canonical
from platform_kit.deadline import Deadline
from platform_kit.http import CallFailed, HttpClient


class RiskClient:
    """POST /v1/assessments, idempotent by (merchant, key), within `deadline_s` seconds."""

    def __init__(self, http: HttpClient, deadline_s: float) -> None:
        self._http = http
        self._deadline_s = deadline_s

    async def assess(self, request: Mapping[str, Any]) -> Assessment:
        """Never raises: whatever goes wrong ends in the fallback policy, and says so in its reason."""
        try:
            response = await self._http.post(
                "/v1/assessments", json=request, deadline=Deadline.after(self._deadline_s), idempotent=True
            )
            if response.status != 200:
                return _fall_back(request, f"status {response.status}")
            return _parse(response.json())
        except CallFailed as error:
            return _fall_back(request, error.reason)
        except (KeyError, TypeError, ValueError):
            return _fall_back(request, "answer not understood")


def _parse(body: Mapping[str, Any]) -> Assessment:
    return Assessment(
        decision=Decision(body["decision"]),
        assessment_id=str(body["id"]),
        score=int(body["score"]) if body["score"] is not None else None,
        reasons=tuple({"code": str(r["code"]), "text": str(r["text"])} for r in body["reasons"]),
    )


def _fall_back(request: Mapping[str, Any], cause: str) -> Assessment:
    canonical.add(risk_fallback=cause)
    return fallback(request["amount_minor"], request["currency"], cause)
