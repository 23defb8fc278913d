"""Labels: what became known of a payment after it was decided, by whom, and when it became known.

A label has two times. `event_at` is when the thing happened (the dispute was opened, the case decided), `labelled_at`
when this engine knew of it: whoever trains or measures for a day D may only read labels with `labelled_at` <= D.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class LabelKind(StrEnum):
    FRAUD = "fraud"
    LEGITIMATE = "legitimate"


class LabelSource(StrEnum):
    """Who says so. Of one source the newest counts; a payment may have labels of several."""

    DISPUTE = "dispute"  # the payer's bank
    REFUND_FRAUD = "refund_fraud"  # the merchant, who refunded it as fraud
    CASE = "case"  # a person of risk control
    UPLOAD = "upload"  # a list from elsewhere


@dataclass(frozen=True, slots=True)
class Label:
    """One statement about one payment. `labelled_at` None = now, by the database."""

    payment_id: str
    kind: LabelKind
    source: LabelSource
    event_at: datetime
    actor: str
    assessment_id: str | None = None
    labelled_at: datetime | None = None
