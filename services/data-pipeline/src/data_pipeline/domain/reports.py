"""The reports: what each counts, by which clock, over which denominator. Data, not code: the expressions
(`store/report_expressions.py`) give the integers, `with_ratios` computes the shares from the very definitions that the
API and the documentation show.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from data_pipeline.domain.report_definition import Measure, Ratio, Report, ReportName, Unit

FILTERS: Final = ("merchant_id", "channel", "method", "currency")
_PAYMENT_SPLITS: Final = ("merchant_id", "channel", "method", "decision", "score_band")

_PAYMENTS: Final = Measure("payment_count", Unit.COUNT, "payments created")
_APPROVED: Final = Measure(
    "approved_count", Unit.COUNT, "payments that a channel approved, whatever became of them later"
)
_DECLINED: Final = Measure(
    "declined_count", Unit.COUNT, "payments that a channel declined; what risk blocked never reached one"
)
_BLOCKED: Final = Measure("blocked_count", Unit.COUNT, "payments that risk blocked")
_APPROVAL: Final = Ratio(
    "approval_rate",
    ("approved_count",),
    ("approved_count", "declined_count"),
    "approved, of what a channel decided",
)
_PERCENTILES: Final = tuple(
    Measure(
        f"p{share}_ms",
        Unit.MS,
        f"{share} % of the payments with an outcome had it within this time, exactly (nearest rank)",
    )
    for share in (50, 95, 99)
)
_DECIDED: Final = Measure("decided_count", Unit.COUNT, "payments with an outcome")

_ALL: Final = (
    Report(
        ReportName.VOLUME,
        "Payment volume",
        "Payments by their creation, and what has become of their money until now.",
        "fact_payment",
        "created_at",
        (
            _PAYMENTS,
            Measure("amount_minor", Unit.MINOR, "asked for"),
            Measure("captured_count", Unit.COUNT, "payments of which something was captured"),
            Measure("captured_minor", Unit.MINOR, "captured"),
            Measure("refunded_minor", Unit.MINOR, "refunded of it"),
            Measure("net_minor", Unit.MINOR, "captured less refunded"),
        ),
        (
            Ratio(
                "average_captured_minor",
                ("captured_minor",),
                ("captured_count",),
                "captured per capture",
                Unit.MINOR,
            ),
            Ratio("refund_rate", ("refunded_minor",), ("captured_minor",), "refunded, of what was captured"),
        ),
        dimensions=("currency",),
        options=_PAYMENT_SPLITS,
        filters=FILTERS,
    ),
    Report(
        ReportName.APPROVAL,
        "Approval rate",
        "How many payments channels approved, of those they decided.",
        "fact_payment",
        "created_at",
        (
            _PAYMENTS,
            _APPROVED,
            _DECLINED,
            _BLOCKED,
            Measure("open_count", Unit.COUNT, "payments without an outcome yet"),
            Measure("other_count", Unit.COUNT, "cancelled, failed or expired before any approval"),
        ),
        (_APPROVAL, Ratio("blocked_share", ("blocked_count",), ("payment_count",), "blocked, of all")),
        options=("currency", *_PAYMENT_SPLITS),
        filters=FILTERS,
    ),
    Report(
        ReportName.DECLINES,
        "Declines by reason",
        "Declined payments by the code that the channel or risk gave.",
        "fact_payment",
        "created_at",
        (
            Measure("declined_count", Unit.COUNT, "payments declined for this reason, risk's among them"),
            Measure("amount_minor", Unit.MINOR, "asked for by them"),
            Measure("all_declined_count", Unit.COUNT, "declined for any reason in the same group"),
        ),
        (Ratio("share", ("declined_count",), ("all_declined_count",), "of the declines of the group"),),
        dimensions=("currency", "decline_code"),
        options=_PAYMENT_SPLITS,
        filters=FILTERS,
    ),
    Report(
        ReportName.FUNNEL,
        "Funnel",
        "How far payments came. Each step counts payments that also took the steps before it.",
        "fact_payment",
        "created_at",
        (
            _PAYMENTS,
            Measure("assessed_count", Unit.COUNT, "and risk gave a decision"),
            Measure("passed_count", Unit.COUNT, "and it was not to block"),
            Measure("sent_count", Unit.COUNT, "and a channel was chosen"),
            Measure("approved_count", Unit.COUNT, "and it approved"),
            Measure("captured_count", Unit.COUNT, "and something was captured"),
            Measure("kept_count", Unit.COUNT, "and nothing was refunded"),
        ),
        (
            Ratio("passed_share", ("passed_count",), ("assessed_count",), "passed, of the assessed"),
            Ratio("approved_share", ("approved_count",), ("sent_count",), "approved, of those sent"),
            Ratio(
                "captured_share",
                ("captured_count",),
                ("payment_count",),
                "captured, of all that were created",
            ),
        ),
        options=("currency", "merchant_id", "channel", "method"),
        filters=FILTERS,
    ),
    Report(
        ReportName.CHANNELS,
        "Channel performance",
        "What each channel approved, how fast, and where its outcome is unknown.",
        "fact_payment",
        "created_at",
        (
            _PAYMENTS,
            _APPROVED,
            _DECLINED,
            Measure("unknown_count", Unit.COUNT, "payments whose outcome the channel has not told"),
            Measure("captured_minor", Unit.MINOR, "captured"),
            _DECIDED,
            *_PERCENTILES,
        ),
        (
            _APPROVAL,
            Ratio("unknown_share", ("unknown_count",), ("payment_count",), "of unknown outcome, of all"),
        ),
        dimensions=("channel", "currency"),
        options=("merchant_id", "method"),
        filters=FILTERS,
    ),
    Report(
        ReportName.LATENCY,
        "Time to outcome",
        "From a payment's creation to its first outcome, of payments that have one.",
        "fact_payment",
        "created_at",
        (
            _DECIDED,
            Measure("total_ms", Unit.MS, "all their times together"),
            *_PERCENTILES,
            Measure("max_ms", Unit.MS, "the slowest"),
        ),
        (Ratio("mean_ms", ("total_ms",), ("decided_count",), "the mean", Unit.MS),),
        options=("currency", *_PAYMENT_SPLITS),
        filters=FILTERS,
    ),
    Report(
        ReportName.RISK,
        "Risk decisions",
        "What the risk engine decided, by the time of the assessment.",
        "fact_assessment",
        "occurred_at",
        (
            Measure("assessment_count", Unit.COUNT, "assessments"),
            *(
                Measure(f"{word}_count", Unit.COUNT, f"decided `{word}`")
                for word in ("allow", "challenge", "review", "block")
            ),
            Measure("total_score", Unit.COUNT, "all their scores together"),
        ),
        (
            Ratio("block_share", ("block_count",), ("assessment_count",), "blocked, of all assessments"),
            Ratio("review_share", ("review_count",), ("assessment_count",), "to be reviewed, of all"),
            Ratio(
                "mean_score", ("total_score",), ("assessment_count",), "the mean score, 0 to 100", Unit.COUNT
            ),
        ),
        options=("merchant_id", "score_band"),
        filters=("merchant_id",),
    ),
    Report(
        ReportName.CHARGEBACKS,
        "Chargebacks by cohort",
        "Payments by their creation, and the disputes that came of them until now, however late: a cohort's rate only"
        " grows. Read off the ledger: a dispute sets money aside (`disputed`), a lost one gives it to the channel.",
        "fact_payment",
        "created_at",
        (
            Measure("captured_count", Unit.COUNT, "payments of which something was captured"),
            Measure("captured_minor", Unit.MINOR, "captured"),
            Measure("disputed_count", Unit.COUNT, "of them, with a dispute (inquiries do not count)"),
            Measure("disputed_minor", Unit.MINOR, "set aside for disputes"),
            Measure("lost_count", Unit.COUNT, "of them, with a dispute lost"),
            Measure("lost_minor", Unit.MINOR, "lost, less what was given back"),
        ),
        (
            Ratio(
                "chargeback_rate", ("disputed_count",), ("captured_count",), "disputed, of captured payments"
            ),
            Ratio(
                "chargeback_value_rate",
                ("disputed_minor",),
                ("captured_minor",),
                "disputed, of captured money",
            ),
            Ratio("loss_rate", ("lost_minor",), ("captured_minor",), "lost, of captured money"),
        ),
        dimensions=("currency",),
        options=_PAYMENT_SPLITS,
        filters=FILTERS,
    ),
    Report(
        ReportName.FEES,
        "Fees and costs",
        "What merchants paid the platform and what channels cost it, as the ledger booked it in the range.",
        "fact_transfer",
        "occurred_at",
        (
            Measure("charged_minor", Unit.MINOR, "charged at channels"),
            Measure("earned_minor", Unit.MINOR, "fees taken"),
            Measure("returned_minor", Unit.MINOR, "fees given back"),
            Measure("channel_costs_minor", Unit.MINOR, "what channels kept"),
            Measure("net_minor", Unit.MINOR, "fees taken less given back less costs"),
        ),
        (
            Ratio("take_rate", ("earned_minor",), ("charged_minor",), "fees taken, of what was charged"),
            Ratio("margin", ("net_minor",), ("charged_minor",), "what is left, of what was charged"),
        ),
        dimensions=("currency",),
        options=("merchant_id",),
        filters=("merchant_id", "currency"),
    ),
    Report(
        ReportName.SETTLEMENT,
        "Settlement by channel",
        "What the ledger says each channel owes for the range: the left side of its reconciliation.",
        "fact_transfer",
        "occurred_at",
        (
            Measure("charge_count", Unit.COUNT, "charges booked"),
            Measure("charge_minor", Unit.MINOR, "charged"),
            Measure("refund_count", Unit.COUNT, "refunds and lost disputes booked"),
            Measure("refund_minor", Unit.MINOR, "given back"),
            Measure("net_minor", Unit.MINOR, "charged less given back"),
        ),
        dimensions=("channel", "currency"),
        options=("merchant_id",),
        filters=("merchant_id", "channel", "currency"),
    ),
    Report(
        ReportName.BREAK_AGEING,
        "Break ageing",
        "Breaks of the reconciliation that were open at the end of the range, whenever they were opened.",
        "reconciliation_break",
        "opened_at",
        (
            Measure("break_count", Unit.COUNT, "open breaks"),
            Measure("ledger_minor", Unit.MINOR, "on the ledger's side of them"),
            Measure("file_minor", Unit.MINOR, "on the file's side"),
        ),
        dimensions=("channel", "break_class", "age_band", "currency"),
        filters=("channel", "currency"),
        has_grain=False,
    ),
    Report(
        ReportName.WEBHOOKS,
        "Webhook deliveries",
        "Attempts to send events to merchants' endpoints, by the time of the attempt, and how long endpoints took.",
        "fact_webhook_attempt",
        "ended_at",
        (
            Measure("attempt_count", Unit.COUNT, "attempts"),
            Measure("delivered_count", Unit.COUNT, "attempts that the endpoint took note of"),
            Measure("given_up_count", Unit.COUNT, "attempts that were the last of their delivery, in vain"),
            Measure("first_count", Unit.COUNT, "attempts that were the first of their delivery"),
            Measure("first_delivered_count", Unit.COUNT, "of them, those that the endpoint took note of"),
            Measure("total_ms", Unit.MS, "all their times together"),
            *(
                Measure(f"p{share}_ms", Unit.MS, f"{share} % of attempts took no longer (nearest rank)")
                for share in (50, 95, 99)
            ),
            Measure("max_ms", Unit.MS, "the slowest"),
        ),
        (
            Ratio(
                "delivery_rate",
                ("delivered_count",),
                ("delivered_count", "given_up_count"),
                "delivered, of deliveries that ended",
            ),
            Ratio(
                "first_time_rate",
                ("first_delivered_count",),
                ("first_count",),
                "delivered by the first attempt, of first attempts",
            ),
            Ratio("mean_ms", ("total_ms",), ("attempt_count",), "the mean", Unit.MS),
        ),
        dimensions=("endpoint_id",),
        options=("merchant_id", "event_type", "answer"),
        filters=("merchant_id",),
    ),
    Report(
        ReportName.CASES,
        "Review cases",
        "Cases of the review queue by when they were opened, what people said of them, and how long that took.",
        "fact_case",
        "opened_at",
        (
            Measure("case_count", Unit.COUNT, "cases opened"),
            Measure("decided_count", Unit.COUNT, "of them, decided by a person"),
            Measure(
                "approved_count", Unit.COUNT, "of those, approved: the person let through what risk held"
            ),
            Measure("rejected_count", Unit.COUNT, "of those, rejected"),
            Measure(
                "two_people_count", Unit.COUNT, "of those, proposed by one person and decided by another"
            ),
            Measure("in_time_count", Unit.COUNT, "of those, decided before they were due"),
            Measure("ended_count", Unit.COUNT, "cases that ended because nothing was left to decide"),
            Measure("open_count", Unit.COUNT, "cases that wait until now"),
            Measure("overdue_count", Unit.COUNT, "of the waiting ones, due before the end of the range"),
            Measure("total_ms", Unit.MS, "all times from opening to verdict together"),
            *(
                Measure(
                    f"p{share}_ms", Unit.MS, f"{share} % of verdicts came within this time (nearest rank)"
                )
                for share in (50, 95, 99)
            ),
            Measure("max_ms", Unit.MS, "the slowest"),
        ),
        (
            Ratio("in_time_rate", ("in_time_count",), ("decided_count",), "decided in time, of verdicts"),
            Ratio("overturn_rate", ("approved_count",), ("decided_count",), "let through, of verdicts"),
            Ratio("mean_ms", ("total_ms",), ("decided_count",), "the mean", Unit.MS),
        ),
        dimensions=("priority",),
        options=("merchant_id",),
        filters=("merchant_id",),
    ),
    Report(
        ReportName.CASE_AGEING,
        "Case ageing",
        "Cases that waited for a person at the end of the range, whenever they were opened.",
        "fact_case",
        "opened_at",
        (
            Measure("case_count", Unit.COUNT, "waiting cases"),
            Measure("overdue_count", Unit.COUNT, "of them, due by then"),
            Measure("payment_count", Unit.COUNT, "payments in them"),
        ),
        (Ratio("overdue_share", ("overdue_count",), ("case_count",), "overdue, of the waiting"),),
        dimensions=("priority", "age_band"),
        options=("merchant_id",),
        filters=("merchant_id",),
        has_grain=False,
    ),
)
REPORTS: Final[Mapping[ReportName, Report]] = {report.name: report for report in _ALL}
