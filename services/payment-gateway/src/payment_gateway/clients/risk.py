"""The risk engine as the gateway sees it: an assessment in time, or the gateway's own fallback policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from payment_gateway.domain.risk import Assessment, Decision, fallback
from platform_kit import canonical, telemetry
from platform_kit.deadline import Deadline
from platform_kit.http import CallFailed, HttpClient
from platform_kit.together import Together

BATCH_MAX: Final = 64  # what the risk engine takes in one request
LANES: Final = 2  # so that a slow answer keeps nobody waiting but those who are in it


@dataclass(frozen=True, slots=True)
class _Question:
    """One payment to assess, on behalf of which request, and until when."""

    assessment: Mapping[str, Any]
    deadline: Deadline
    request_id: str | None
    traceparent: str | None

    def as_item(self) -> dict[str, Any]:
        return {
            "assessment": self.assessment,
            "deadline_ms": int(self.deadline.remaining() * 1000),
            "request_id": self.request_id,
            "traceparent": self.traceparent,
        }


class RiskClient:
    """POST /v1/assessments/batch, idempotent by (merchant, key), within `deadline_s` seconds.

    Payments that are confirmed at once are assessed in one request (ADR 7): with 64 in flight that halved what the
    engine spends per decision.
    """

    def __init__(self, http: HttpClient, deadline_s: float) -> None:
        self._http = http
        self._deadline_s = deadline_s
        self._questions: Together[_Question, Mapping[str, Any]] = Together(
            self._ask, batch_max=BATCH_MAX, lanes=LANES
        )

    async def assess(self, request: Mapping[str, Any]) -> Assessment:
        """Never raises: whatever goes wrong ends in the fallback policy, and says so in its reason."""
        try:
            with telemetry.span("assess", "client"):
                question = _Question(
                    request,
                    Deadline.after(self._deadline_s),
                    canonical.get("request_id"),
                    telemetry.current_traceparent(),
                )
                answer = await self._questions.call(question, self._deadline_s)
            if answer["status"] != 200:
                return _fall_back(request, f"status {answer['status']}")
            return _parse(answer["assessment"])
        except TimeoutError:
            return _fall_back(request, "timeout")
        except CallFailed as error:
            return _fall_back(request, error.reason)
        except (KeyError, TypeError, ValueError):
            return _fall_back(request, "answer not understood")

    async def _ask(self, questions: Sequence[_Question]) -> Sequence[Mapping[str, Any]]:
        """One request; its answers in the order of the questions. Raises CallFailed."""
        response = await self._http.post(
            "/v1/assessments/batch",
            json={"data": [question.as_item() for question in questions]},
            deadline=max((question.deadline for question in questions), key=lambda deadline: deadline.at_s),
            idempotent=True,
        )
        if response.status != 200:
            return [{"status": response.status}] * len(questions)
        answers: list[Mapping[str, Any]] = response.json()["data"]
        if len(answers) != len(questions):
            raise ValueError("another number of answers than questions")
        return answers


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
