"""The shapes of what the engine answers, as JSON schemas: they document, and serialise nothing."""

from typing import Final

from platform_kit.contract import Contract, Guard
from risk_engine.api.answers import (
    alerts,
    appeals,
    assessments,
    backtests,
    cases,
    drift,
    labels,
    lists,
    proofs,
    reason_codes,
    rule_sets,
    snoozes,
    staff,
    thresholds,
)
from risk_engine.api.authentication import require_internal, require_reader, staff_of, who_records

_ACTS: Final = Guard(
    "staffToken",
    "A person's token (`POST /v1/staff`); or the internal token with the header `Acting-For: <name of a person>`, by "
    "which the console asks for whoever has logged in there.",
    {403: "not-permitted: it takes another role; not-staff: nobody of the name in `Acting-For` is admitted"},
)

CONTRACT: Final = Contract(
    guards={
        require_internal: Guard("internalToken", "The token that the platform's own services share."),
        require_reader: Guard("staffToken", _ACTS.description),
        staff_of: _ACTS,
        who_records: _ACTS,
    },
    schemas={
        **assessments.SCHEMAS,
        **proofs.SCHEMAS,
        **cases.SCHEMAS,
        **appeals.SCHEMAS,
        **snoozes.SCHEMAS,
        **labels.SCHEMAS,
        **backtests.SCHEMAS,
        **thresholds.SCHEMAS,
        **lists.SCHEMAS,
        **staff.SCHEMAS,
        **rule_sets.SCHEMAS,
        **reason_codes.SCHEMAS,
        **alerts.SCHEMAS,
        **drift.SCHEMAS,
    },
    links={
        "Alert": {
            "alerts_get_alert": ("alert_id", "/id"),
            "alerts_acknowledge": ("alert_id", "/id"),
            "alerts_resolve": ("alert_id", "/id"),
        },
        "AlertDelivery": {"alert_channels_get_delivery": ("delivery_id", "/id")},
        "AssessmentAnswer": {"assessments_get_assessment": ("assessment_id", "/id")},
        "Appeal": {"appeals_get_appeal": ("appeal_id", "/id"), "cases_get_case": ("case_id", "/case_id")},
        "Snooze": {"snoozes_end": ("snooze_id", "/id")},
        "Case": {
            "cases_get_case": ("case_id", "/id"),
            "cases_assign": ("case_id", "/id"),
            "cases_decide": ("case_id", "/id"),
        },
        "Backtest": {"backtests_get_one": ("backtest_id", "/id")},
        "RuleSetSummary": {
            "rule_sets_approve": ("rule_set", "/hash"),
            "rule_sets_publish": ("rule_set", "/hash"),
            "rule_sets_try_beside": ("rule_set", "/hash"),
            "rule_sets_get_set": ("rule_set", "/hash"),
        },
    },
)
