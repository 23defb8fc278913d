"""Bodies of the requests: unknown members, floats, nulls in wrong places and card numbers are refused here."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from platform_kit.money import AMOUNT_MAX, CURRENCIES
from platform_kit.problems import Problem, from_validation_errors
from risk_engine.domain.cases import PAYMENTS_MAX, Verdict
from risk_engine.domain.facts import Subject, fingerprint
from risk_engine.domain.labels import Label, LabelKind, LabelSource
from risk_engine.domain.lists import ListType
from risk_engine.domain.snoozes import SnoozedBy
from risk_engine.domain.staff import Role
from risk_engine.domain.thresholds import WHOLE_BP, Costs
from risk_engine.domain.trial import SHARE_MAX_BP
from risk_engine.operations.propose_thresholds import Question as Wanted

FUTURE_MAX = timedelta(
    minutes=5
)  # of another machine's clock; beyond it a payment would push all others out of windows


class InvalidTime(Problem):
    status, code, title = 422, "invalid-time", "The time of the payment is not acceptable"


_CARD_NUMBER = re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)")


def _no_card_number(value: str) -> str:
    if _CARD_NUMBER.search(value):
        raise PydanticCustomError("card-data-not-allowed", "Send the card's token, never its number.")
    return value


def _known_currency(value: str) -> str:
    if value not in CURRENCIES:
        raise PydanticCustomError("unsupported-currency", "An active ISO 4217 code in capitals.")
    return value


def _whole_amount(value: Any) -> Any:
    if type(value) is not int or not 0 < value <= AMOUNT_MAX:
        raise PydanticCustomError("invalid-amount", "A whole number of minor units, from 1 to 1000000000000.")
    return value


def _moment(value: Any) -> datetime:
    """Only text, only with an offset: pydantic would also take a number for seconds since 1970."""
    try:
        at = datetime.fromisoformat(value)
        if at.tzinfo is not None:
            return at.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):  # the last by an offset at either end of the calendar
        pass
    raise PydanticCustomError(
        "invalid-time", "An ISO 8601 time with an offset, such as 2026-11-23T04:05:06Z."
    )


Id = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]
Key = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[\x20-\x7e]+$")]
Text = Annotated[
    str, Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$"), AfterValidator(_no_card_number)
]
Token = Annotated[
    str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_-]+$"), AfterValidator(_no_card_number)
]
# No narrower than the gateway's own: an address that it took and we refuse would cost the payment its assessment.
Email = Annotated[str, Field(max_length=254, pattern=r"^[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+$")]
Bin = Annotated[str, Field(pattern=r"^([0-9]{6}|[0-9]{8})$")]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
Amount = Annotated[
    int,
    BeforeValidator(_whole_amount),
    Field(json_schema_extra={"minimum": 1, "maximum": AMOUNT_MAX}),
]
Currency = Annotated[
    str, AfterValidator(_known_currency), Field(json_schema_extra={"enum": sorted(CURRENCIES)})
]
Moment = Annotated[datetime, BeforeValidator(_moment)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Customer(_Body):
    """What the merchant knows of the payer; every member may be absent or null."""

    id: Text | None = None
    country: Country | None = None
    ip: Text | None = None
    device_id: Text | None = None
    email: Email | None = None


class AssessmentRequest(_Body):
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

    def subject(self, now: datetime) -> Subject:
        """What the domain assesses: card, device and address as fingerprints. Raises for a time in the future."""
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
            ip=fingerprint("ip", customer.ip or ""),
            device=fingerprint("device", customer.device_id or ""),
            email=fingerprint("email", (customer.email or "").lower()),
            terminal=fingerprint(
                "terminal", f"{self.merchant_id}/{self.terminal_id}" if self.terminal_id else ""
            ),
            card_bin=self.card_bin or "",
            card_country=self.card_country or "",
        )


_NOBODY = Customer()
BATCH_MAX = 64  # one after the other they take 10 ms of a deadline of 100
REMAINING_MAX_MS = 600_000


class Question(_Body):
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


class AssessmentBatch(_Body):
    """POST /v1/assessments/batch."""

    data: Annotated[list[Question], Field(min_length=1, max_length=BATCH_MAX)]


class Reason(_Body):
    """Why: `code` is stable, `text` is a sentence for people."""

    code: str
    text: str


class AssessmentAnswer(_Body):
    """The assessment object. It documents the API and is held to the answers by a test; it renders nothing."""

    id: str
    object: Literal["assessment"]
    merchant_id: str
    payment_id: str
    decision: Literal["allow", "review", "challenge", "block"]
    score: int = Field(
        ge=0, le=100, description="probability of fraud in percent; 0 with `model` in `degraded`"
    )
    reasons: list[Reason]
    rule_set: str = Field(description="content hash of the rules that decided")
    model: str | None
    degraded: list[str] = Field(description="parts that were missing; see docs/risk.md")
    expires_at: str


Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9._@-]*$")]


class NewStaff(_Body):
    """POST /v1/staff."""

    name: Name
    role: Annotated[Role, Field(strict=False)]


Note = Annotated[
    str,
    Field(min_length=1, max_length=1000, pattern=r"^[^\x00-\x09\x0b-\x1f\x7f]+$"),
    AfterValidator(_no_card_number),
]


class Acknowledgement(_Body):
    """POST /v1/alerts/{alert_id}/acknowledge; the body may be left out."""

    note: Note | None = None


class Resolution(_Body):
    """POST /v1/alerts/{alert_id}/resolve: why it is over, for whoever reads it in a year."""

    note: Note


class RuleDocument(_Body):
    """POST /v1/rule-sets: the document; what is in it is checked by the domain, rule by rule."""

    name: Any = None
    reference_currency: Any = None
    reference_rates: Any = None
    amount_bands: Any = None
    score_bands: Any = None
    rules: Any = None


class Approval(_Body):
    """POST /v1/rule-sets/{hash}/approve."""

    note: Note | None = None


class TrialRequest(_Body):
    """POST /v1/rule-sets/{hash}/trial."""

    share_bp: Annotated[int, Field(ge=0, le=SHARE_MAX_BP)] = 0
    """Basis points of payments that the challenger decides; 0 = it is only heard."""


class ReplayRequest(_Body):
    """POST /v1/replays."""

    after: Annotated[str, Field(max_length=64, pattern=r"^asm_[0-9a-hjkmnp-tv-z]{26}$")] | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 200


class ChainCheckRequest(_Body):
    """POST /v1/chain-checks."""

    after: Annotated[int, Field(ge=0, le=2**53)] = 0
    limit: Annotated[int, Field(ge=1, le=500)] = 500


ListName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,47}$")]
Sentence = Annotated[
    str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$"), AfterValidator(_no_card_number)
]
ENTRIES_PER_REQUEST_MAX = 1_000
BACKTEST_DEFAULT = timedelta(days=30)


class NewList(_Body):
    """POST /v1/lists."""

    name: ListName
    type: Annotated[ListType, Field(strict=False)]
    note: Sentence | None = None


class NewEntry(_Body):
    """One of a batch; a card is named by its token."""

    value: Text
    reason: Sentence
    expires_at: Moment | None = None


class NewEntries(_Body):
    """POST /v1/lists/{name}/entries."""

    data: Annotated[list[NewEntry], Field(min_length=1, max_length=ENTRIES_PER_REQUEST_MAX)]


CaseId = Annotated[str, Field(pattern=r"^cas_[0-9a-hjkmnp-tv-z]{26}$")]
CLOSED_AT_ONCE_MAX = 100  # one transaction each, in one request


class CaseAssignment(_Body):
    """POST /v1/cases/{id}/assign."""

    assignee: Name


class CaseNote(_Body):
    """POST /v1/cases/{id}/notes."""

    text: Note


class CaseDecision(_Body):
    """POST /v1/cases/{id}/decide."""

    verdict: Annotated[Verdict, Field(strict=False)]
    reason: Note
    payment_count: Annotated[int, Field(ge=1, le=PAYMENTS_MAX)] | None = None
    """How many payments you looked at: should there be more by now, nothing is decided (409 `case-grew`)."""


class CaseDecisions(_Body):
    """POST /v1/cases/decide: the same verdict for many."""

    ids: Annotated[list[CaseId], Field(min_length=1, max_length=CLOSED_AT_ONCE_MAX)]
    verdict: Annotated[Verdict, Field(strict=False)]
    reason: Note


LABELS_MAX = 1000


class NewLabel(_Body):
    """One of POST /v1/labels."""

    payment_id: Id
    kind: Annotated[LabelKind, Field(strict=False)]
    event_at: Moment
    labelled_at: Moment | None = None
    assessment_id: Id | None = None

    def label(self, actor: str, now: datetime) -> Label:
        """Raises InvalidTime for a label from the future, or one that was known before it happened."""
        if self.event_at > now or (self.labelled_at or now) > now:
            raise InvalidTime("`event_at` and `labelled_at` are in the past.")
        if self.labelled_at is not None and self.labelled_at < self.event_at:
            raise InvalidTime(
                "/labelled_at: nothing is known before it happens; send a time after `event_at`."
            )
        return Label(
            payment_id=self.payment_id,
            kind=self.kind,
            source=LabelSource.UPLOAD,
            event_at=self.event_at,
            actor=actor,
            assessment_id=self.assessment_id,
            labelled_at=self.labelled_at,
        )


class LabelUpload(_Body):
    """POST /v1/labels. Each item is a whole NewLabel, looked at by itself: one that is refused costs its neighbours
    nothing."""

    data: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=LABELS_MAX)]

    def labels(self, actor: str, now: datetime) -> list[Label | Problem]:
        """What each item says, or the problem that it would be answered with."""
        return [_label_or_problem(item, actor, now) for item in self.data]


def _label_or_problem(item: dict[str, Any], actor: str, now: datetime) -> Label | Problem:
    try:
        return NewLabel.model_validate(item).label(actor, now)
    except ValidationError as error:
        return from_validation_errors(error.errors())
    except InvalidTime as refused:
        return refused


class BacktestRequest(_Body):
    """POST /v1/backtests: by default over the last 30 days."""

    rule_set: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    since: Moment | None = None
    until: Moment | None = None

    def period(self, now: datetime) -> tuple[datetime, datetime]:
        """[since, until). Raises InvalidTime when it is empty."""
        return _period(self.since, self.until, now)


class NewSnooze(_Body):
    """POST /v1/snoozes. `by` names what of the assessment's payment the rule is snoozed for."""

    rule: Annotated[str, Field(min_length=1, max_length=64)]
    by: Annotated[SnoozedBy, Field(strict=False)]
    assessment_id: Id
    until: Moment
    reason: Note


BasisPoints = Annotated[int, Field(ge=0, le=WHOLE_BP)]
Cost = Annotated[int, Field(ge=0, le=10**9)]


_COSTS = Costs()


class CostMatrix(_Body):
    """What mistakes cost: minor units of the reference currency, and basis points of amounts or of payers."""

    fraud_loss_bp: BasisPoints = _COSTS.fraud_loss_bp
    dispute_fee_minor: Cost = _COSTS.dispute_fee_minor
    margin_bp: BasisPoints = _COSTS.margin_bp
    review_minor: Cost = _COSTS.review_minor
    review_misses_bp: BasisPoints = _COSTS.review_misses_bp
    challenge_abandons_bp: BasisPoints = _COSTS.challenge_abandons_bp
    challenge_passes_bp: BasisPoints = _COSTS.challenge_passes_bp


class ThresholdQuestion(_Body):
    """POST /v1/threshold-proposals: by default over the last 30 days."""

    costs: CostMatrix = CostMatrix()
    since: Moment | None = None
    until: Moment | None = None
    merchants: ListName | None = None
    """A list of merchants that the proposal is for; without one it is for everybody."""
    silent_days: Annotated[int, Field(ge=1, le=3650)] | None = None
    """A payment of which nobody complained for so long counts as legitimate; without it only labelled ones count."""
    may_block: bool = False

    def question(self, now: datetime) -> Wanted:
        """Raises InvalidTime when the time is empty."""
        since, until = _period(self.since, self.until, now)
        costs = Costs(**self.costs.model_dump())
        return Wanted(costs, since, until, self.merchants, self.silent_days, self.may_block)


def _period(since: datetime | None, until: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    until = until or now
    since = since or until - BACKTEST_DEFAULT
    if since >= until:
        raise InvalidTime("`since` is before `until`.")
    return since, until
