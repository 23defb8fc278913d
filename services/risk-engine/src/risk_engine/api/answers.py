"""The shapes of what the engine answers, as JSON schemas: they document, and serialise nothing."""

from typing import Final

from platform_kit.contract import (
    ANYTHING,
    COUNT,
    FLAG,
    TEXT,
    TIME,
    Contract,
    Guard,
    Schema,
    items,
    nullable,
    ref,
    shape,
    thing,
)
from risk_engine.api.authentication import require_internal, require_reader, staff_of
from risk_engine.domain.alert_kinds import Severity
from risk_engine.domain.alerts import Act, Status
from risk_engine.domain.decision import Decision
from risk_engine.domain.staff import Role

HASH: Final[Schema] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def named(word: str) -> Schema:
    return {"type": "string", "const": word}


ASSESSMENT: Final = {
    "id": TEXT,
    "object": named("assessment"),
    "merchant_id": TEXT,
    "payment_id": TEXT,
    "decision": {"type": "string", "enum": [decision.value for decision in Decision]},
    "score": {
        "type": "integer",
        "minimum": 0,
        "maximum": 100,
        "description": "probability of fraud in percent; 0 with `model` in `degraded`",
    },
    "reasons": items(shape({"code": TEXT, "text": TEXT})),
    "rule_set": TEXT | {"description": "content hash of the rules that decided"},
    "model": nullable(TEXT),
    "degraded": items(TEXT) | {"description": "parts that were missing; see docs/risk.md"},
    "expires_at": TIME,
}

_SEVERITY: Final[Schema] = {"type": "string", "enum": [severity.value for severity in Severity]}
ALERT: Final = {
    "id": TEXT,
    "object": named("alert"),
    "kind": TEXT,
    "scope": TEXT | {"description": "a merchant, a feature, a channel; empty = the whole engine"},
    "severity": _SEVERITY,
    "status": {"type": "string", "enum": [status.value for status in Status]},
    "summary": TEXT,
    "details": ANYTHING,
    "level": COUNT | {"description": "of escalation: how many times nobody acknowledged it in time"},
    "occurrences": COUNT | {"description": "looks that saw it"},
    "slot_at": TIME,
    "raised_at": TIME,
    "last_seen_at": TIME,
    "acknowledged_at": nullable(TIME),
    "acknowledged_by": nullable(TEXT),
    "resolved_at": nullable(TIME),
    "resolved_by": nullable(TEXT),
}
RULE_SET: Final = {
    "hash": HASH,
    "object": named("rule_set"),
    "name": TEXT,
    "status": {"type": "string", "enum": ["checked", "approved", "on_trial", "live", "retired"]},
    "rule_count": COUNT,
    "saved_by": TEXT,
    "approved_by": nullable(TEXT),
    "note": nullable(TEXT),
    "created_at": TIME,
    "approved_at": nullable(TIME),
    "published_at": nullable(TIME),
}
PUBLICATION: Final = {
    "publication": COUNT,
    "hash": HASH,
    "act": {"type": "string", "enum": ["publish", "rollback", "trial", "end_trial"]},
    "acted_by": TEXT,
    "challenger": nullable(HASH),
    "challenger_share_bp": nullable(COUNT),
    "published_at": TIME,
}
RATE: Final[Schema] = {"type": "number", "minimum": 0, "maximum": 1}
CHANGE: Final[Schema] = {"type": "number", "minimum": -1, "maximum": 1}
DIFFERENCE: Final = {
    "payments": COUNT,
    "live_alert_rate": RATE | {"description": "share of payments that were not simply allowed"},
    "challenger_alert_rate": RATE,
    "change": CHANGE,
    "change_95": items(CHANGE) | {"description": "ends of its 95 % confidence interval"},
    "stricter": COUNT,
    "milder": COUNT,
}

DRIFT_REFERENCE: Final = {
    "id": COUNT,
    "object": named("drift_reference"),
    "model": TEXT,
    "pinned_by": TEXT,
    "pinned_at": TIME,
}

STAFF: Final = {
    "id": TEXT,
    "object": named("staff"),
    "name": TEXT,
    "role": {"type": "string", "enum": [role.value for role in Role]},
    "created_at": TIME,
    "ended_at": nullable(TIME),
}
_NOT_PERMITTED: Final = {403: "not-permitted: it takes another role"}

CONTRACT: Final = Contract(
    guards={
        require_internal: Guard("internalToken", "The token that the platform's own services share."),
        require_reader: Guard("staffToken", "A person's token (`POST /v1/staff`)."),
        staff_of: Guard("staffToken", "A person's token (`POST /v1/staff`).", _NOT_PERMITTED),
    },
    schemas={
        "AssessmentRecord": shape(
            {
                **ASSESSMENT,
                "request": ANYTHING,
                "facts": ANYTHING,
                "trace": ANYTHING,
                "other": nullable(ANYTHING)
                | {"description": "on trial: what the set that did not decide said"},
                "is_late": FLAG,
                "created_at": TIME,
            }
        ),
        "AssessmentAnswers": shape(
            {
                "data": items(
                    {
                        "oneOf": [
                            shape(
                                {
                                    "status": {"type": "integer", "const": 200},
                                    "assessment": ref("AssessmentAnswer"),
                                }
                            ),
                            shape({"status": {"type": "integer", "minimum": 400}, "problem": ref("Problem")}),
                        ]
                    }
                )
            }
        ),
        "AssessmentPage": shape(
            {
                "data": items(shape({**ASSESSMENT, "request": ANYTHING, "created_at": TIME})),
                "next_cursor": nullable(TEXT),
            }
        ),
        "Replay": thing(
            "replay",
            {
                "replayed": COUNT,
                "identical": COUNT,
                "left_out": {"type": "object", "additionalProperties": COUNT},
                "differing": COUNT,
                "differences": items(shape({"id": TEXT, "differs": ANYTHING})),
                "next_after": nullable(TEXT),
            },
        ),
        "ChainCheck": thing(
            "chain_check",
            {"checked": COUNT, "broken_at": nullable(COUNT), "behind": COUNT, "next_after": nullable(COUNT)},
        ),
        "Staff": shape(STAFF),
        "AdmittedStaff": shape({**STAFF, "token": TEXT | {"description": "shown this once"}}),
        "StaffList": shape({"data": items(ref("Staff"))}),
        "CheckedRuleSet": shape({"hash": HASH, "name": TEXT, "rule_count": COUNT}),
        "RuleSetSummary": shape(RULE_SET),
        "RuleSet": shape({**RULE_SET, "document": ANYTHING}),
        "RuleSetList": shape({"data": items(ref("RuleSetSummary"))}),
        "Publication": shape({"object": named("rule_set_publication"), **PUBLICATION}),
        "PublicationList": shape({"data": items(ref("Publication"))}),
        "Trial": shape(
            {"object": named("rule_set_trial"), **PUBLICATION, "difference": shape(DIFFERENCE)},
        ),
        "Alert": shape(ALERT),
        "AlertRecord": shape(
            {
                **ALERT,
                "acts": items(
                    shape(
                        {
                            "act": {"type": "string", "enum": [act.value for act in Act]},
                            "actor": TEXT,
                            "note": nullable(TEXT),
                            "level": COUNT,
                            "at": TIME,
                        }
                    )
                ),
                "deliveries": items(ref("AlertDelivery")),
            }
        ),
        "AlertPage": shape({"data": items(ref("Alert")), "next_cursor": nullable(TEXT)}),
        "AlertDelivery": shape(
            {
                "id": TEXT,
                "object": named("alert_delivery"),
                "alert_id": nullable(TEXT),
                "channel": TEXT,
                "status": {"type": "string", "enum": ["due", "delivered", "given_up"]},
                "attempts": COUNT,
                "last_error": nullable(TEXT),
                "created_at": TIME,
                "settled_at": nullable(TIME),
            }
        ),
        "DriftReference": shape(DRIFT_REFERENCE),
        "Drift": shape(
            {
                "object": named("drift"),
                "reference": shape(DRIFT_REFERENCE),
                "sample_size": COUNT,
                "columns": items(shape({"name": TEXT, "psi": {"type": "number"}, "ks": {"type": "number"}})),
            }
        ),
        "AlertChannelList": shape(
            {
                "data": items(
                    shape(
                        {
                            "name": TEXT,
                            "object": named("alert_channel"),
                            "kind": TEXT,
                            "severities": items(_SEVERITY),
                            "level": COUNT,
                        }
                    )
                )
            }
        ),
    },
    links={
        "AlertDelivery": {"alert_channels_get_delivery": ("delivery_id", "/id")},
        "AssessmentAnswer": {"assessments_get_assessment": ("assessment_id", "/id")},
        "RuleSetSummary": {
            "rule_sets_approve": ("rule_set", "/hash"),
            "rule_sets_publish": ("rule_set", "/hash"),
            "rule_sets_try_beside": ("rule_set", "/hash"),
            "rule_sets_get_set": ("rule_set", "/hash"),
        },
    },
)
