"""What is asked about payments."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from platform_kit.problems import from_validation_errors
from risk_engine.api.schemas.fields import (
    Amount,
    Bin,
    Body,
    Country,
    Currency,
    Email,
    Id,
    InvalidTime,
    Key,
    Moment,
    Text,
    Token,
)
from risk_engine.domain.facts import Subject, fingerprint
from risk_engine.domain.fingerprints import Fingerprints

FUTURE_MAX = timedelta(
    minutes=5
)  # of another machine's clock; beyond it a payment would push all others out of windows


UNKEYED = Fingerprints()


class Customer(Body):
    """What the merchant knows of the payer; every member may be absent or null."""

    id: Text | None = None
    country: Country | None = None
    ip: Text | None = None
    device_id: Text | None = None
    email: Email | None = None


class EmailSearch(Body):
    """POST /v1/assessments/by-email."""

    email: Email


class AssessmentRequest(Body):
    """POST /v1/assessments."""

    merchant_id: Id
    idempotency_key: Key
    payment_id: Id
    amount_minor: Amount
    currency: Currency
    method: Literal["card", "wallet", "bank"]
    card: Token | None = None
    card_bin: Bin | None = None
    """The card's first 6 or 8 digits."""
    card_country: Country | None = None
    """Where the card was issued."""
    terminal_id: Text | None = None
    """Where the merchant took the payment: a till, a point of sale."""
    customer: Customer | None = None
    occurred_at: Moment

    def subject(
        self, now: datetime, country_of: Callable[[str], str], fingerprints: Fingerprints = UNKEYED
    ) -> Subject:
        """What the domain assesses: card, device and address as fingerprints, and of the address the country that
        `country_of` it says. Raises for a time in the future."""
        if self.occurred_at > now + FUTURE_MAX:
            raise InvalidTime("/occurred_at: at most five minutes ahead of our clock.")
        customer = self.customer or _NOBODY
        return Subject(
            merchant_id=self.merchant_id,
            key=self.idempotency_key,
            payment_id=self.payment_id,
            amount_minor=self.amount_minor,
            currency=self.currency,
            method=self.method,
            occurred_at=self.occurred_at,
            card=fingerprint("card", self.card or ""),
            customer_id=customer.id or "",
            country=customer.country or "",
            ip=fingerprints.of("ip", customer.ip or ""),
            ip_country=country_of(customer.ip) if customer.ip else "",
            device=fingerprints.of("device", customer.device_id or ""),
            email=fingerprints.of("email", (customer.email or "").lower()),
            terminal=fingerprint(
                "terminal", f"{self.merchant_id}/{self.terminal_id}" if self.terminal_id else ""
            ),
            card_bin=self.card_bin or "",
            card_country=self.card_country or "",
        )


_NOBODY = Customer()

BATCH_MAX = 64  # one after the other they take 10 ms of a deadline of 100

REMAINING_MAX_MS = 600_000


class Question(Body):
    """One of a batch. `assessment` is a whole AssessmentRequest, looked at by itself: one that is refused costs its
    neighbours nothing."""

    assessment: dict[str, Any]
    deadline_ms: Annotated[int, Field(ge=0, le=REMAINING_MAX_MS)] | None = None
    """What the caller has left for this one; otherwise our own deadline counts."""
    request_id: Id | None = None
    """The request that it is asked for: it stands in the log."""
    traceparent: Annotated[str, Field(pattern=r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")] | None = None

    def parsed(self) -> AssessmentRequest:
        """Raises the Problem that a request by itself would be answered with."""
        try:
            return AssessmentRequest.model_validate(self.assessment)
        except ValidationError as error:
            raise from_validation_errors(error.errors()) from None


class AssessmentBatch(Body):
    """POST /v1/assessments/batch."""

    data: Annotated[list[Question], Field(min_length=1, max_length=BATCH_MAX)]


class Reason(Body):
    """Why: `code` is stable, `text` is a sentence for people."""

    code: str
    text: str


class AssessmentAnswer(Body):
    """The assessment object. It documents the API and is held to the answers by a test; it renders nothing."""

    id: str
    object: Literal["assessment"]
    merchant_id: str
    payment_id: str
    decision: Literal["allow", "review", "challenge", "block"]
    score: int = Field(
        ge=0, le=100, description="probability of fraud in percent; 0 with `model` in `degraded`"
    )
    probability_ppm: Annotated[int, Field(ge=0, le=1_000_000)] | None = Field(
        description="the same probability in millionths, to rank by; null with `model` in `degraded`"
    )
    reasons: list[Reason]
    rule_set: str = Field(description="content hash of the rules that decided")
    model: str | None
    degraded: list[str] = Field(description="parts that were missing; see docs/risk.md")
    expires_at: str
