"""Shapes of alerts and their channels."""

from typing import Final

from platform_kit.contract import ANYTHING, COUNT, TEXT, TIME, Schema, items, nullable, ref, shape
from risk_engine.api.answers.fields import named
from risk_engine.domain.alert_kinds import Severity
from risk_engine.domain.alerts import Act, Status

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

SCHEMAS: Final[dict[str, Schema]] = {
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
}
