"""The metrics of the risk engine's own domain; names and labels are bounded."""

import time
from collections.abc import Mapping
from functools import partial

from prometheus_client import Counter, Gauge, Histogram

from risk_engine.domain.alert_kinds import KINDS

_STAGE_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1)

assessments_total = Counter("risk_assessments_total", "Decisions made.", ["decision"])
faults_total = Counter("risk_faults_total", "Decisions made without a part.", ["fault"])
rule_errors_total = Counter("risk_rule_errors_total", "Rules that failed on a payment.", ["rule"])
stage_seconds = Histogram(
    "risk_stage_seconds", "Time of one stage of a decision.", ["stage"], buckets=_STAGE_S
)
rule_set_publication = Gauge("risk_rule_set_publication", "Publication that this process decides with.")
rule_set_refused = Gauge("risk_rule_set_refused", "1 while the published rule set does not compile here.")
chained_total = Counter("risk_assessments_chained_total", "Assessments in the hash chain.")
decisions_compared_total = Counter(
    "risk_decisions_compared_total",
    "Payments that ended, compared with their stored decisions: all, and those that differ by how.",
    ["found"],
)
velocity_rebuilt_total = Counter(
    "risk_velocity_rebuilt_total", "Rebuilds of the windows after a loss of Redis."
)

alert_looks_total = Counter("risk_alert_looks_total", "Looks for trouble that were finished.")
alert_acts_total = Counter("risk_alert_acts_total", "What happened to alerts.", ["kind", "act"])
alerts_firing = Gauge("risk_alerts_firing", "Alerts that are not resolved.", ["kind", "severity"])
alert_deliveries_total = Counter(
    "risk_alert_deliveries_total", "Attempts to tell a channel, by what came of them.", ["channel", "outcome"]
)
alert_delivery_waiting_seconds = Gauge(
    "risk_alert_delivery_waiting_seconds", "Age of the oldest message that no channel has taken yet."
)
alert_heartbeats_total = Counter(
    "risk_alert_heartbeats_total", "Signs of life to the dead-man's switch.", ["outcome"]
)

_FIRING_KNOWN_S = 180.0  # any worker may do the next look: what this one saw is forgotten after three
_firing: dict[tuple[str, str], int] = {}
_firing_at_s = 0.0


def note_firing(counts: Mapping[tuple[str, str], int]) -> None:
    """What a look found open, by (kind, severity)."""
    global _firing, _firing_at_s
    _firing, _firing_at_s = dict(counts), time.monotonic()


def _firing_of(key: tuple[str, str]) -> float:
    return float(_firing.get(key, 0)) if time.monotonic() - _firing_at_s < _FIRING_KNOWN_S else 0.0


for _name, _kind in KINDS.items():
    alerts_firing.labels(_name, _kind.severity.value).set_function(
        partial(_firing_of, (_name, _kind.severity.value))
    )

cases = Gauge(
    "risk_cases", "Cases that nobody has decided, and how many of them are past their time.", ["state"]
)
_cases: dict[str, int] = {}
_cases_at_s = 0.0


def note_cases(counts: Mapping[str, int]) -> None:
    """What a look found: {"waiting", "overdue"}."""
    global _cases, _cases_at_s
    _cases, _cases_at_s = dict(counts), time.monotonic()


def _cases_of(state: str) -> float:
    return float(_cases.get(state, 0)) if time.monotonic() - _cases_at_s < _FIRING_KNOWN_S else 0.0


for _state in ("waiting", "overdue"):
    cases.labels(_state).set_function(partial(_cases_of, _state))
