"""Shapes of rule sets, publications and trials."""

from typing import Final

from platform_kit.contract import ANYTHING, COUNT, TEXT, TIME, Schema, items, nullable, ref, shape
from risk_engine.api.answers.fields import CHANGE, HASH, RATE, named

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

DIFFERENCE: Final = {
    "payments": COUNT,
    "live_alert_rate": RATE | {"description": "share of payments that were not simply allowed"},
    "challenger_alert_rate": RATE,
    "change": CHANGE,
    "change_95": items(CHANGE) | {"description": "ends of its 95 % confidence interval"},
    "stricter": COUNT,
    "milder": COUNT,
}

_SINCE: Final = {
    "since": TIME | {"description": "what is counted: since the trial began, at most seven days"}
}

SCHEMAS: Final[dict[str, Schema]] = {
    "CheckedRuleSet": shape({"hash": HASH, "name": TEXT, "rule_count": COUNT}),
    "RuleSetSummary": shape(RULE_SET),
    "RuleSet": shape({**RULE_SET, "document": ANYTHING}),
    "RuleSetList": shape({"data": items(ref("RuleSetSummary"))}),
    "Publication": shape({"object": named("rule_set_publication"), **PUBLICATION}),
    "PublicationList": shape({"data": items(ref("Publication"))}),
    "Trial": shape(
        {"object": named("rule_set_trial"), **PUBLICATION, "difference": shape(_SINCE | DIFFERENCE)},
    ),
}
