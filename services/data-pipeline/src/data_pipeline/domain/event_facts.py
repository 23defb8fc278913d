"""What an event says, as fact rows. Total: every input gives either facts or the reason why not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from data_pipeline.domain.events import (
    CASE_EVENTS,
    ENDPOINT_EVENTS,
    MERCHANT_EVENTS,
    PAYMENT_EVENTS,
    POSITION_MAX,
    RISK_EVENTS,
    WEBHOOKS_ATTEMPTED,
    Envelope,
    Fault,
    Refused,
    read_envelope,
)
from data_pipeline.domain.facts import (
    APPROVED,
    ATTEMPT_OUTCOMES,
    DECISIONS,
    DISPUTE_DECIDED,
    DISPUTE_STATUSES,
    MOVES_MONEY,
    PAYOUT_DECIDED,
    PAYOUT_STATUSES,
    PRIORITIES,
    REFUND_STATUSES,
    STATUSES,
    TRANSFER_KINDS,
    UNDECIDED,
    AssessmentFact,
    CaseFact,
    DisputeFact,
    Facts,
    MerchantVersion,
    PaymentFact,
    PayoutFact,
    RefundFact,
    ReserveFact,
    TransferFact,
    WebhookAttemptFact,
    channel_of,
)
from data_pipeline.domain.members import (
    MINOR_MAX,
    ContractViolation,
    currency,
    currency_or_none,
    integer,
    minor,
    object_,
    objects,
    one_of,
    optional,
    text,
    text_or_none,
    texts,
    time,
)

PLATFORM: Final = "platform:"
COUNT_MAX: Final = 2**31 - 1
TRANSFERS_MAX: Final = 1000  # of one journal, by its contract; a payment with fees has fewer than ten


def facts_of(raw: object) -> Facts | Refused:
    """Read one event as received. Never raises."""
    try:
        envelope = read_envelope(raw)
    except ContractViolation as violation:
        return Refused(Fault.NOT_AN_ENVELOPE, str(violation))
    try:
        if envelope.type in PAYMENT_EVENTS:
            return _payment_facts(envelope)
        if envelope.type in MERCHANT_EVENTS:
            return Facts(envelope, merchant=_merchant(envelope))
        if envelope.type == WEBHOOKS_ATTEMPTED:
            return Facts(envelope, attempts=_attempts(envelope))
        if envelope.type in RISK_EVENTS:
            return _risk_facts(envelope)
        if envelope.type in ENDPOINT_EVENTS:
            return Facts(envelope)
    except ContractViolation as violation:
        return Refused(Fault.CONTRACT_VIOLATION, str(violation))
    return Refused(Fault.UNKNOWN_TYPE, "This program knows no event of this type.")


def _payment_facts(envelope: Envelope) -> Facts:
    data = envelope.data
    payment = optional(data, "payment")
    refund = optional(data, "refund")
    dispute, payout, reserve = (optional(data, name) for name in ("dispute", "payout", "reserve"))
    if payment is None and not envelope.type.startswith(
        ("ledger.", "payout.", "balance.", "reserve.", "channel.", "suspense.")
    ):
        raise ContractViolation("/data/payment is missing")
    return Facts(
        envelope,
        payment=_payment(payment, envelope) if payment is not None else None,
        refund=_refund(refund, envelope) if refund is not None else None,
        transfers=_transfers(optional(data, "journal"), optional(data, "attempt"), envelope),
        dispute=_dispute(dispute, payment or {}, envelope) if dispute is not None else None,
        payout=_payout(payout, envelope) if payout is not None else None,
        reserve=_reserve(reserve, envelope) if reserve is not None else None,
    )


def _risk_facts(envelope: Envelope) -> Facts:
    if envelope.type in CASE_EVENTS:
        return Facts(envelope, case=_case(object_(envelope.data, "case"), envelope))
    if envelope.type != "assessment.made.v1":
        return Facts(envelope)  # an alert or appeal is kept in the event store; it has no fact of its own yet
    return Facts(envelope, assessment=_assessment(object_(envelope.data, "assessment"), envelope))


def _payment(body: Mapping[str, Any], envelope: Envelope) -> PaymentFact:
    risk = optional(body, "risk") or {}
    status = one_of(body, "status", STATUSES)
    at = envelope.occurred_at
    return PaymentFact(
        payment_id=text(body, "id"),
        merchant_id=text(body, "merchant_id"),
        status=status,
        amount_minor=minor(body, "amount_minor"),
        currency=currency(body),
        authorised_minor=minor(body, "authorised_minor"),
        captured_minor=minor(body, "captured_minor"),
        refunded_minor=minor(body, "refunded_minor"),
        method=_method(body),
        channel=text_or_none(body, "channel"),
        reference=text_or_none(body, "reference"),
        decline_code=text_or_none(body, "decline_code"),
        decision=one_of(risk, "decision", DECISIONS) if risk else None,
        score=integer(risk, "score", 0, 100) if risk.get("score") is not None else None,
        is_fallback=bool(risk.get("fallback")) if risk else None,
        assessment_id=text_or_none(risk, "assessment_id"),
        version=integer(body, "version", 0, POSITION_MAX),
        created_at=time(body, "created_at"),
        updated_at=time(body, "updated_at"),
        approved_at=at if status in APPROVED else None,
        decided_at=at if status not in UNDECIDED else None,
        position=envelope.position,
    )


def _method(body: Mapping[str, Any]) -> str:
    """`none` for a payment that has yet to be given one."""
    method = optional(body, "method")
    return text(method, "type") if method is not None else "none"


def _refund(body: Mapping[str, Any], envelope: Envelope) -> RefundFact:
    return RefundFact(
        refund_id=text(body, "id"),
        payment_id=text(body, "payment_id"),
        amount_minor=minor(body, "amount_minor"),
        currency=currency(body),
        status=one_of(body, "status", REFUND_STATUSES),
        reason=text_or_none(body, "reason"),
        created_at=time(body, "created_at"),
        position=envelope.position,
    )


def _dispute(body: Mapping[str, Any], payment: Mapping[str, Any], envelope: Envelope) -> DisputeFact:
    status = one_of(body, "status", DISPUTE_STATUSES)
    return DisputeFact(
        dispute_id=text(body, "id"),
        payment_id=text(body, "payment_id"),
        merchant_id=text(payment, "merchant_id"),
        channel=text_or_none(payment, "channel"),
        status=status,
        reason=text(body, "reason"),
        amount_minor=minor(body, "amount_minor"),
        reserved_minor=minor(body, "reserved_minor"),
        fee_minor=minor(body, "fee_minor"),
        fee_returned_minor=minor(body, "fee_returned_minor"),
        currency=currency(body),
        closed_by=text_or_none(body, "closed_by"),
        evidence_due_at=time(body, "evidence_due_at"),
        created_at=time(body, "created_at"),
        updated_at=time(body, "updated_at"),
        decided_at=envelope.occurred_at if status in DISPUTE_DECIDED else None,
        position=envelope.position,
    )


def _payout(body: Mapping[str, Any], envelope: Envelope) -> PayoutFact | None:
    """Payouts and reserves name their merchant in the envelope alone; what is nobody's gives no fact."""
    if envelope.merchant_id is None:
        return None
    status = one_of(body, "status", PAYOUT_STATUSES)
    return PayoutFact(
        payout_id=text(body, "id"),
        merchant_id=envelope.merchant_id,
        status=status,
        amount_minor=minor(body, "amount_minor"),
        currency=currency(body),
        destination=text(body, "destination"),
        slot=text_or_none(body, "slot"),
        failure_code=text_or_none(body, "failure_code"),
        created_at=time(body, "created_at"),
        updated_at=time(body, "updated_at"),
        decided_at=envelope.occurred_at if status in PAYOUT_DECIDED else None,
        position=envelope.position,
    )


def _reserve(body: Mapping[str, Any], envelope: Envelope) -> ReserveFact | None:
    if envelope.merchant_id is None:
        return None
    return ReserveFact(
        reserve_id=text(body, "id"),
        merchant_id=envelope.merchant_id,
        amount_minor=minor(body, "amount_minor"),
        currency=currency(body),
        created_at=time(body, "created_at"),
        release_at=time(body, "release_at"),
        decided_at=time(body, "released_at") if body.get("released_at") is not None else None,
        position=envelope.position,
    )


def _transfers(
    journal: Mapping[str, Any] | None, attempt: Mapping[str, Any] | None, envelope: Envelope
) -> tuple[TransferFact, ...]:
    if journal is None:
        return ()
    journal_id, rows = text(journal, "id"), journal.get("transfers")
    if not isinstance(rows, list) or len(rows) > TRANSFERS_MAX:
        raise ContractViolation(f"/transfers is not a list of at most {TRANSFERS_MAX}")
    return tuple(_transfer(row, line, journal_id, attempt or {}, envelope) for line, row in enumerate(rows))


def _transfer(
    row: object, line: int, journal_id: str, attempt: Mapping[str, Any], envelope: Envelope
) -> TransferFact:
    if not isinstance(row, Mapping):
        raise ContractViolation("/transfers has an item that is not an object")
    debit, credit = text(row, "debit"), text(row, "credit")
    if debit == credit:
        raise ContractViolation("/debit and /credit are the same account")
    kind = one_of(row, "kind", TRANSFER_KINDS)
    settled_channel, settled_type = _settled(debit, credit) if kind in MOVES_MONEY else (None, None)
    return TransferFact(
        journal_id=journal_id,
        line=line,
        event_id=envelope.id,
        position=envelope.position,
        occurred_at=envelope.occurred_at,
        aggregate_id=envelope.aggregate_id,
        merchant_id=envelope.merchant_id,
        debit=debit,
        credit=credit,
        amount_minor=integer(row, "amount_minor", 1, MINOR_MAX),
        currency=currency(row),
        kind=kind,
        settled_channel=settled_channel,
        settled_type=settled_type,
        channel_reference=text_or_none(attempt, "channel_reference"),
        channel_key=text_or_none(attempt, "channel_key") or text_or_none(attempt, "id"),
    )


def _settled(debit: str, credit: str) -> tuple[str | None, str | None]:
    """Debiting a channel's receivable is a charge there, crediting it a refund; but what the platform books there by
    itself (what the channel costs, suspense) is nothing that the channel has a line for."""
    if debit.startswith(PLATFORM) or credit.startswith(PLATFORM):
        return None, None
    charged, refunded = channel_of(debit), channel_of(credit)
    if charged and not refunded:
        return charged, "charge"
    if refunded and not charged:
        return refunded, "refund"
    return None, None


def _assessment(body: Mapping[str, Any], envelope: Envelope) -> AssessmentFact:
    request = optional(body, "request") or {}
    return AssessmentFact(
        assessment_id=text(body, "id"),
        merchant_id=text_or_none(request, "merchant_id") or envelope.merchant_id,
        payment_id=text_or_none(request, "payment_id"),
        decision=one_of(body, "decision", DECISIONS),
        score=integer(body, "score", 0, 100),
        reasons=tuple(objects(body, "reasons")),
        rule_set=text_or_none(body, "rule_set"),
        model=text_or_none(body, "model"),
        degraded=tuple(texts(body, "degraded")),
        occurred_at=envelope.occurred_at,
        position=envelope.position,
    )


def _merchant(envelope: Envelope) -> MerchantVersion:
    body, terms = object_(envelope.data, "merchant"), object_(envelope.data, "terms")
    reserve = optional(terms, "reserve") or {}
    return MerchantVersion(
        merchant_id=text(body, "id"),
        position=envelope.position,
        name=text(body, "name"),
        country=text(body, "country"),
        mcc=text_or_none(body, "mcc"),
        api_version=text(body, "api_version"),
        is_disabled=body.get("disabled_at") is not None,
        settlement_delay_days=integer(terms, "settlement_delay_days", 0, COUNT_MAX),
        settlement_currency=currency_or_none(terms, "settlement_currency"),
        fee_plan=terms.get("fee_plan"),
        reserve_basis_points=integer(reserve, "basis_points", 0, COUNT_MAX) if reserve else None,
        reserve_days=integer(reserve, "days", 0, COUNT_MAX) if reserve else None,
        told_at=envelope.occurred_at,
    )


def _attempts(envelope: Envelope) -> tuple[WebhookAttemptFact, ...]:
    rows = objects(envelope.data, "attempts")
    if len(rows) > TRANSFERS_MAX:
        raise ContractViolation(f"/attempts is not a list of at most {TRANSFERS_MAX}")
    return tuple(_attempt(row, line, envelope) for line, row in enumerate(rows))


def _attempt(row: Mapping[str, Any], line: int, envelope: Envelope) -> WebhookAttemptFact:
    def count_or_none(name: str, most: int) -> int | None:
        return None if row.get(name) is None else integer(row, name, 0, most)

    return WebhookAttemptFact(
        told_by=envelope.id,
        line=line,
        delivery_id=text(row, "delivery_id"),
        endpoint_id=text(row, "endpoint_id"),
        merchant_id=text(row, "merchant_id"),
        event_id=text(row, "event_id"),
        event_type=text(row, "event_type"),
        cycle=integer(row, "cycle", 0, COUNT_MAX),
        number=integer(row, "number", 0, COUNT_MAX),
        outcome=ATTEMPT_OUTCOMES[one_of(row, "status", frozenset(ATTEMPT_OUTCOMES))],
        status_code=count_or_none("status_code", COUNT_MAX),
        error=text_or_none(row, "error"),
        duration_ms=integer(row, "duration_ms", 0, POSITION_MAX),
        waited_ms=count_or_none("waited_ms", POSITION_MAX),
        ended_at=envelope.occurred_at,
        position=envelope.position,
    )


def _case(body: Mapping[str, Any], envelope: Envelope) -> CaseFact | None:
    """A verdict that was told before cases were told whole says too little for a fact."""
    if body.get("opened_at") is None:
        return None
    status, decided_at = "open", None
    if envelope.type == "case.decided.v1":
        status = {"approve": "approved", "reject": "rejected"}[
            one_of(body, "verdict", frozenset({"approve", "reject"}))
        ]
        decided_at = time(body, "decided_at")
    elif envelope.type == "case.closed.v1":
        status, decided_at = (
            "ended",
            time(body, "closed_at") if body.get("closed_at") else envelope.occurred_at,
        )
    return CaseFact(
        case_id=text(body, "id"),
        merchant_id=text(body, "merchant_id"),
        priority=one_of(body, "priority", PRIORITIES),
        payment_count=integer(body, "payment_count", 0, POSITION_MAX),
        status=status,
        had_proposal=body.get("proposed_by") is not None,
        opened_at=time(body, "opened_at"),
        due_at=time(body, "due_at"),
        decided_at=decided_at,
        position=envelope.position,
    )
