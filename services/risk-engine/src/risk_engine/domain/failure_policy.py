"""What the engine does when a part of it is missing: one table, one row per fault, by amount band.

A fault sets the least severe decision that may still come out; rules and score can only raise it. The gateway has
its own table for the case that the engine does not answer at all.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType

from risk_engine.domain.decision import Decision, most_severe


class Fault(StrEnum):
    """A part that failed for one decision; its value stands in the assessment's `degraded`."""

    VELOCITY = (
        "velocity"  # Redis down or slower than its share of the deadline: rules that need windows are skipped
    )
    VELOCITY_COLD = "velocity_cold"  # Redis lost its data and is being rebuilt: counts may be too low
    MODEL = "model"  # no model loaded, or it failed: rules only
    REFERENCE_RATE = "reference_rate"  # a currency without a rate: no comparable amount, so no model either
    RULE_ERROR = (
        "rule_error"  # a rule raised or the set's time was up: it is recorded, never read as "no match"
    )
    DEADLINE = "deadline"  # the time for rules was gone before they ran: this table alone decides
    COMMIT_LATE = "commit_late"  # decided in time, stored after the answer


class Band(StrEnum):
    """Size of the payment, in the terms of the rule set's amount bands."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    VERY_HIGH = "very_high"


def _row(low: Decision, medium: Decision, high: Decision, very_high: Decision) -> Mapping[Band, Decision]:
    return MappingProxyType({Band.LOW: low, Band.MEDIUM: medium, Band.HIGH: high, Band.VERY_HIGH: very_high})


_A, _R, _C, _B = Decision.ALLOW, Decision.REVIEW, Decision.CHALLENGE, Decision.BLOCK

FAILURE_POLICY: Mapping[Fault, Mapping[Band, Decision]] = MappingProxyType(
    {
        # fault                        low medium high very_high
        Fault.VELOCITY: _row(_A, _A, _R, _C),  # half of the card-testing defence is blind: stricter with size
        Fault.VELOCITY_COLD: _row(_A, _A, _A, _R),
        Fault.MODEL: _row(_A, _A, _A, _A),  # rules carry the load, as before the model existed
        Fault.REFERENCE_RATE: _row(_A, _A, _A, _R),
        Fault.RULE_ERROR: _row(_A, _A, _R, _R),
        Fault.DEADLINE: _row(_A, _A, _R, _B),  # nothing was looked at: money at stake decides
        Fault.COMMIT_LATE: _row(_A, _A, _A, _A),  # the decision itself was made with everything
    }
)

# One stable sentence per fault, used as the reason when the policy decides.
FAULT_REASONS: Mapping[Fault, str] = MappingProxyType(
    {
        Fault.VELOCITY: "Recent activity could not be read, so the amount alone was judged more strictly.",
        Fault.VELOCITY_COLD: "Recent activity is being rebuilt and may be incomplete.",
        Fault.MODEL: "The model was not available; rules decided alone.",
        Fault.REFERENCE_RATE: "The currency has no reference rate, so its amount could not be compared.",
        Fault.RULE_ERROR: "A rule could not be evaluated.",
        Fault.DEADLINE: "The time for a decision was over; the amount decided.",
        Fault.COMMIT_LATE: "The decision was stored after it was answered.",
    }
)


def floor_of(faults: Iterable[Fault], band: Band) -> Decision:
    """The least severe decision that the policy permits under these faults."""
    return most_severe(FAILURE_POLICY[fault][band] for fault in faults)
