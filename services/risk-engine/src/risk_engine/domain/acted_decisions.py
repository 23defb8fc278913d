"""Did the gateway act upon the decision that is stored here? Both sides keep it, each in a commit of its own: they
differ only through a defect, a lost row or somebody who wrote, and nothing else in the platform would notice.

What the gateway decided alone while the engine did not answer names no assessment and is no difference: its policy is
declared, and the alerts of the missing engine tell of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from risk_engine.domain.alerts import Signal

EXAMPLES_MAX = 5  # payments that an alert names


class Difference(StrEnum):
    """In which way a payment did not follow its decision."""

    OTHER_DECISION = "other_decision"  # its assessment says something else
    UNKNOWN_ASSESSMENT = (
        "unknown_assessment"  # the assessment that it names is not stored, or another merchant's
    )
    UNASSESSED = "unassessed"  # it names none, and the gateway did not say that it decided alone


@dataclass(frozen=True, slots=True)
class ActedDecision:
    """What a payment that ended was decided by, as its gateway told, beside what is stored under the id it named."""

    payment_id: str
    outcome: str
    merchant_id: str
    assessment_id: str | None
    acted_on: str | None
    is_fallback: bool | None  # None: told to an older release, which did not keep what was acted upon
    stored: str | None  # decision of that assessment and merchant


@dataclass(frozen=True, slots=True)
class Found:
    """Differences of one kind: how many, and the newest payments of them."""

    number: int
    payments: tuple[str, ...]


def difference_of(acted: ActedDecision) -> Difference | None:
    """None where both sides say the same, or there is nothing to compare."""
    if acted.is_fallback is None:
        return None
    if acted.assessment_id is None:
        return None if acted.is_fallback else Difference.UNASSESSED
    if acted.stored is None:
        return Difference.UNKNOWN_ASSESSMENT
    return None if acted.stored == acted.acted_on else Difference.OTHER_DECISION


_WORDS: Mapping[Difference, str] = {
    Difference.OTHER_DECISION: "another decision than the stored one",
    Difference.UNKNOWN_ASSESSMENT: "an assessment that is not stored",
    Difference.UNASSESSED: "no decision at all",
}


def find_differences(recent: Mapping[Difference, Found]) -> list[Signal]:
    """One condition for each kind of difference that was found lately: a single one is one too many."""
    return [
        Signal(
            "decision_differs",
            f"{found.number:,} payments went by {_WORDS[kind]}; the newest is {found.payments[0]}.",
            scope=kind.value,
            decisions=found.number,
            measures={"payments": list(found.payments[:EXAMPLES_MAX])},
        )
        for kind, found in recent.items()
        if found.number
    ]
