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
from risk_engine.domain.cases import CaseStatus, PaymentStatus, Priority, Verdict
from risk_engine.domain.decision import Decision
from risk_engine.domain.labels import LabelKind, LabelSource
from risk_engine.domain.lists import ListType
from risk_engine.domain.reason_codes import Source
from risk_engine.domain.snoozes import SnoozedBy
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
    "status": {
        "type": "string",
        "enum": ["checked", "backtested", "approved", "on_trial", "live", "retired"],
    },
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

BACKTEST: Final = {
    "id": TEXT,
    "object": named("backtest"),
    "rule_set": HASH,
    "since": TIME,
    "until": TIME,
    "asked_by": TEXT,
    "asked_at": TIME,
    "status": {"type": "string", "enum": ["queued", "running", "done", "failed"]},
    "done": COUNT,
    "total": nullable(COUNT),
    "report": nullable(ANYTHING),
    "failure": nullable(TEXT),
    "finished_at": nullable(TIME),
}
LIST: Final = {
    "object": named("list"),
    "name": TEXT,
    "fact": TEXT | {"description": "what rules read"},
    "type": {"type": "string", "enum": [kind.value for kind in ListType]},
    "note": nullable(TEXT),
    "made_by": TEXT,
    "made_at": TIME,
    "entry_count": COUNT,
}
ENTRY: Final = {
    "id": COUNT,
    "object": named("list_entry"),
    "list": TEXT,
    "value": TEXT,
    "reason": TEXT,
    "added_by": TEXT,
    "added_at": TIME,
    "expires_at": nullable(TIME),
    "removed_by": nullable(TEXT),
    "removed_at": nullable(TIME),
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
_ACTS: Final = Guard(
    "staffToken",
    "A person's token (`POST /v1/staff`); or the internal token with the header `Acting-For: <name of a person>`, by "
    "which the console asks for whoever has logged in there.",
    {403: "not-permitted: it takes another role; not-staff: nobody of the name in `Acting-For` is admitted"},
)

_PROPOSAL: Final = {"type": "string", "enum": [verdict.value for verdict in Verdict]}
CASE: Final = {
    "id": TEXT,
    "object": named("case"),
    "merchant_id": TEXT,
    "status": {"type": "string", "enum": [status.value for status in CaseStatus]},
    "priority": {"type": "string", "enum": [priority.value for priority in Priority]},
    "amount_reference_minor": COUNT | {"description": "at stake, in `reference_currency`"},
    "reference_currency": TEXT,
    "payment_count": COUNT,
    "opened_at": TIME,
    "due_at": TIME,
    "overdue": FLAG,
    "assignee": nullable(TEXT),
    "locked_by": nullable(TEXT),
    "locked_until": nullable(TIME),
    "proposed": nullable(_PROPOSAL),
    "proposed_by": nullable(TEXT),
    "verdict": nullable(_PROPOSAL),
    "closed_by": nullable(TEXT),
    "closed_at": nullable(TIME),
}
_CASE_PAYMENT: Final = shape(
    {
        "payment_id": TEXT,
        "assessment_id": TEXT,
        "amount_minor": COUNT,
        "currency": TEXT,
        "score": COUNT,
        "reasons": items(shape({"code": TEXT, "text": TEXT})),
        "request": ANYTHING,
        "added_at": TIME,
        "status": {"type": "string", "enum": [status.value for status in PaymentStatus]},
        "effect": nullable(shape({"code": TEXT, "text": TEXT})),
    }
)
_RELATED: Final = shape(
    {
        "payment_id": TEXT,
        "assessment_id": TEXT,
        "merchant_id": TEXT,
        "shares": items({"type": "string", "enum": ["card", "customer", "device", "ip"]}),
        "decision": {"type": "string", "enum": [decision.value for decision in Decision]},
        "score": COUNT,
        "amount_minor": COUNT,
        "currency": TEXT,
        "occurred_at": TIME,
    }
)
_CASE_ACT: Final = shape(
    {
        "id": COUNT,
        "at": TIME,
        "actor": TEXT,
        "kind": TEXT,
        "before": ANYTHING,
        "after": ANYTHING,
        "text": nullable(TEXT),
    }
)
SNOOZE: Final = {
    "id": TEXT,
    "object": named("snooze"),
    "rule": TEXT,
    "by": {"type": "string", "enum": [by.value for by in SnoozedBy]},
    "assessment_id": TEXT,
    "until": TIME,
    "reason": TEXT,
    "made_by": TEXT,
    "made_at": TIME,
    "ended_by": nullable(TEXT),
    "ended_at": nullable(TIME),
}
_LABEL: Final = shape(
    {
        "id": TEXT,
        "object": named("label"),
        "payment_id": TEXT,
        "assessment_id": nullable(TEXT),
        "kind": {"type": "string", "enum": [kind.value for kind in LabelKind]},
        "source": {"type": "string", "enum": [source.value for source in LabelSource]},
        "payment_at": nullable(TIME),
        "event_at": TIME,
        "labelled_at": TIME | {"description": "when it became known: use it for nothing earlier"},
        "actor": TEXT,
    }
)


def _each(answer: str) -> Schema:
    """The answer about one of many: what it became, or why not."""
    return {
        "oneOf": [
            shape({"id": TEXT, "status": {"type": "integer", "const": 200}, "case": ref(answer)}),
            shape({"id": TEXT, "status": {"type": "integer", "minimum": 400}, "problem": ref("Problem")}),
        ]
    }


CONTRACT: Final = Contract(
    guards={
        require_internal: Guard("internalToken", "The token that the platform's own services share."),
        require_reader: Guard("staffToken", _ACTS.description),
        staff_of: _ACTS,
    },
    schemas={
        "AssessmentRecord": shape(
            {
                **ASSESSMENT,
                "request": ANYTHING,
                "facts": ANYTHING,
                "trace": ANYTHING,
                "explanation": nullable(
                    shape(
                        {
                            "model": TEXT,
                            "reasons": items(
                                shape(
                                    {
                                        "code": TEXT,
                                        "text": TEXT,
                                        "feature": TEXT,
                                        "value": {"type": "number"},
                                        "contribution": {"type": "number"},
                                    }
                                )
                            ),
                        }
                    )
                )
                | {"description": "what raised the score most; null until the worker has explained it"},
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
                "data": items(
                    shape({**ASSESSMENT, "request": ANYTHING, "hits": items(TEXT), "created_at": TIME})
                ),
                "next_cursor": nullable(TEXT),
                "searched_to": nullable(TIME)
                | {
                    "description": "set when the page ends because enough was searched: older ones follow the cursor"
                },
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
            {
                "checked": COUNT,
                "broken_at": nullable(COUNT),
                "behind": COUNT,
                "next_after": nullable(COUNT),
                "swept_at": nullable(TIME),
            },
        ),
        "Case": shape(CASE),
        "CaseRecord": shape(
            {
                **CASE,
                "payments": items(_CASE_PAYMENT),
                "related": items(_RELATED),
                "acts": items(_CASE_ACT),
            }
        ),
        "CasePage": shape({"data": items(ref("Case")), "next_cursor": nullable(TEXT)}),
        "NextCase": shape({"case": nullable(ref("Case"))}),
        "DecidedCases": shape({"data": items(_each("Case"))}),
        "Snooze": shape(SNOOZE),
        "SnoozePage": shape({"data": items(ref("Snooze")), "next_cursor": nullable(TEXT)}),
        "LabelPage": shape({"data": items(_LABEL), "next_cursor": nullable(TEXT)}),
        "UploadedLabels": shape(
            {
                "data": items(
                    {
                        "oneOf": [
                            shape(
                                {
                                    "status": {"type": "integer", "enum": [200, 201]},
                                    "label_id": nullable(TEXT),
                                }
                            ),
                            shape({"status": {"type": "integer", "minimum": 400}, "problem": ref("Problem")}),
                        ]
                    }
                )
            }
        ),
        "Backtest": shape(BACKTEST),
        "ThresholdProposal": thing(
            "threshold_proposal",
            {
                "costs": {"type": "object", "additionalProperties": COUNT},
                "payments": COUNT,
                "frauds": COUNT,
                "cost_decided_minor": COUNT,
                "cost_always_minor": {"type": "object", "additionalProperties": COUNT},
                "cost_proposed_minor": COUNT,
                "thresholds": {"type": "object", "additionalProperties": COUNT},
                "score_bands": items(ANYTHING),
                "rules": items(ANYTHING),
            },
        ),
        "BacktestList": shape({"data": items(ref("Backtest"))}),
        "List": shape(LIST),
        "Lists": shape({"data": items(ref("List"))}),
        "Entry": shape(ENTRY),
        "EntryPage": shape({"data": items(ref("Entry")), "next_cursor": nullable(COUNT)}),
        "AddedEntries": shape(
            {
                "data": items(
                    shape(
                        {
                            "result": {"type": "string", "enum": ["added", "renewed", "refused"]},
                            "id": nullable(COUNT),
                            "detail": nullable(TEXT),
                        }
                    )
                )
            }
        ),
        "HitPage": shape(
            {
                "data": items(
                    shape(
                        {
                            "assessment_id": TEXT,
                            "merchant_id": TEXT,
                            "payment_id": TEXT,
                            "decision": TEXT,
                            "created_at": TIME,
                        }
                    )
                ),
                "next_cursor": nullable(TEXT),
            }
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
        "ReasonCodeList": shape(
            {
                "data": items(
                    shape(
                        {
                            "code": TEXT,
                            "object": named("reason_code"),
                            "source": {"type": "string", "enum": [source.value for source in Source]},
                            "reviewer": TEXT,
                            "merchant": TEXT,
                        }
                    )
                )
            }
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
        "Alert": {
            "alerts_get_alert": ("alert_id", "/id"),
            "alerts_acknowledge": ("alert_id", "/id"),
            "alerts_resolve": ("alert_id", "/id"),
        },
        "AlertDelivery": {"alert_channels_get_delivery": ("delivery_id", "/id")},
        "AssessmentAnswer": {"assessments_get_assessment": ("assessment_id", "/id")},
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
