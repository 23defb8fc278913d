"""What the gateway does with an assessment, and what it decides alone when none comes in time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from platform_kit.money import exponent


class Decision(StrEnum):
    ALLOW = "allow"
    CHALLENGE = "challenge"
    REVIEW = "review"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Assessment:
    """The part of an assessment that the payment keeps. `fallback` marks a decision that the gateway made alone."""

    decision: Decision
    assessment_id: str | None
    score: int | None
    reasons: tuple[dict[str, str], ...]
    fallback: bool = False

    def as_object(self) -> dict[str, Any]:
        """The payment's `risk` member."""
        return {
            "assessment_id": self.assessment_id,
            "decision": self.decision,
            "score": self.score,
            "reasons": list(self.reasons),
            "fallback": self.fallback,
        }


# Amount bands of the fallback in major units of the payment's currency: small amounts go on, since turning them all
# away costs more than the fraud in them; large ones wait. PSD2's low-value exemption ends at 30, its TRA bands at 500.
FALLBACK_BANDS: Final = ((30, Decision.ALLOW), (500, Decision.CHALLENGE))
ABOVE_BANDS: Final = Decision.REVIEW


def fallback(amount_minor: int, currency: str, cause: str) -> Assessment:
    """The decision by amount band when the risk engine is late, down or not understood."""
    major = amount_minor / 10 ** exponent(currency)
    decision = next((d for limit, d in FALLBACK_BANDS if major <= limit), ABOVE_BANDS)
    reason = {
        "code": "RISK_UNAVAILABLE",
        "text": f"The risk engine did not answer ({cause}); decided by amount.",
    }
    return Assessment(decision, None, None, (reason,), fallback=True)
