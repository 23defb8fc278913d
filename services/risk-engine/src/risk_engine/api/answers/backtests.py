"""Shapes of what was tried on history."""

from typing import Final

from platform_kit.contract import COUNT, TEXT, TIME, Schema, items, nullable, ref, shape
from risk_engine.api.answers.fields import HASH, RATE, named
from risk_engine.api.answers.rule_sets import DIFFERENCE

MONEY_CHANGE: Final = {
    "type": "integer"
}  # minor units of the reference currency; below 0: less than was decided
_DECISIONS: Final = ("allow", "review", "challenge", "block")
_SHARE: Final = {"share": nullable(RATE), "low_95": RATE, "high_95": RATE}
_COUNTED: Final = shape(_SHARE | {"number": COUNT})

_STOPPED: Final = {
    "precision": ref("Share"),
    "recall": ref("Share"),
    "frauds_stopped": COUNT,
    "fraud_stopped_minor": COUNT,
    "good_stopped": _COUNTED,
    "good_stopped_minor": COUNT,
}

REPORT: Final = {
    "payments": COUNT,
    "labelled": COUNT,
    "frauds": COUNT,
    "fraud_minor": COUNT,
    "left_out": {"type": "object", "additionalProperties": COUNT},
    "decided": ref("BacktestSide"),
    "tried": ref("BacktestSide"),
    "money_saved_minor": MONEY_CHANGE,
    "good_customers_hurt": {"type": "integer"},
    "difference": shape(DIFFERENCE),
    "changed": items(
        shape(
            {name: {"type": "string", "enum": [*_DECISIONS]} for name in ("was", "would")} | {"number": COUNT}
        )
    ),
    "rules": {
        "type": "object",
        "additionalProperties": shape(
            {"hits": COUNT, "fraud": COUNT, "legitimate": COUNT, "precision": ref("Share")}
        ),
    },
    "curve": nullable(ref("ScoreCurve")),
    "took_s": {"type": "number", "minimum": 0},
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
    "report": nullable(ref("BacktestReport")),
    "failure": nullable(TEXT),
    "finished_at": nullable(TIME),
}

SCHEMAS: Final[dict[str, Schema]] = {
    "Share": shape(_SHARE),
    "BacktestSide": shape(
        {"decisions": shape(dict.fromkeys(_DECISIONS, COUNT)), "alert_rate": ref("Share")} | _STOPPED
    ),
    "ScoreCurve": shape(
        {
            "payments": COUNT,
            "frauds": COUNT,
            "fraud_minor": COUNT,
            "legitimate": COUNT,
            "points": items(
                shape(
                    {
                        "score_from": {"type": "integer", "minimum": 0, "maximum": 100},
                        "stopped": _COUNTED,
                        "money_saved_minor": MONEY_CHANGE,
                    }
                    | _STOPPED
                )
            ),
        }
    ),
    "BacktestReport": shape(REPORT),
    "Backtest": shape(BACKTEST),
    "BacktestList": shape({"data": items(ref("Backtest"))}),
}
