"""The metrics of the risk engine's own domain; names and labels are bounded."""

from prometheus_client import Counter, Gauge, Histogram

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
velocity_rebuilt_total = Counter(
    "risk_velocity_rebuilt_total", "Rebuilds of the windows after a loss of Redis."
)
