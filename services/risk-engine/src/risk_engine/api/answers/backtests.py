"""Shapes of what was tried on history."""

from typing import Final

from platform_kit.contract import ANYTHING, COUNT, TEXT, TIME, Schema, items, nullable, ref, shape
from risk_engine.api.answers.fields import HASH, named

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

SCHEMAS: Final[dict[str, Schema]] = {
    "Backtest": shape(BACKTEST),
    "BacktestList": shape({"data": items(ref("Backtest"))}),
}
