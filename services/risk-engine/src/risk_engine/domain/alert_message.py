"""What a channel is told of an alert: one document for programs, a title and a few lines for people."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from platform_kit.clock import isoformat
from risk_engine.domain.alert_kinds import KINDS
from risk_engine.domain.alerts import Act

TRIAL = "trial"


def message_of(
    alert: Mapping[str, Any], act: Act, actor: str, note: str | None, now: datetime
) -> dict[str, Any]:
    """The payload in the form of Standard Webhooks: `type`, `timestamp`, `data`."""
    kind = KINDS.get(alert["kind"])
    told = dict(alert) | {"advice": kind.advice if kind else "", "actor": actor, "note": note}
    return {"type": f"risk.alert.{act.value}", "timestamp": isoformat(now), "data": told}


def trial_message(channel: str, actor: str, now: datetime) -> dict[str, Any]:
    """What a trial of a channel sends."""
    summary = f"{actor} tries the channel {channel}: nothing is wrong."
    data = {"kind": TRIAL, "severity": "info", "summary": summary, "actor": actor}
    return {"type": "risk.alert.trial", "timestamp": isoformat(now), "data": data}


def title_of(message: Mapping[str, Any]) -> str:
    """The subject line: `[CRITICAL] card_testing mer_1 raised`."""
    data, act = message["data"], message["type"].rpartition(".")[2]
    return " ".join(filter(None, (f"[{data['severity'].upper()}]", data["kind"], data.get("scope"), act)))


def body_of(message: Mapping[str, Any]) -> str:
    """Plain text: what is seen, what to do, where to go on."""
    data = message["data"]
    lines = [data["summary"]]
    if "id" in data:
        lines.append(
            f"Seen {data['occurrences']} times since {data['raised_at'][:19]}Z, level {data['level']}."
        )
        if message["type"].endswith(".resolved"):
            by = f"Resolved by {data['actor']}"
            lines.append(f"{by}: {data['note']}" if data["note"] else f"{by}.")
        else:
            lines += [f"What to do: {data['advice']}", f"platform risk alerts ack {data['id']}"]
    return "\n".join(lines)
