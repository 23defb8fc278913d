"""Every kind of alert: how severe it is, what it means, what to do. docs/risk-alerts.md shows this table, and a test
holds the page to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType

QUIET = timedelta(minutes=5)  # longer than the pause of a flapping condition
COOLDOWN = timedelta(minutes=15)  # one incident is one alert, not one a minute


class Severity(StrEnum):
    """Who should care: nobody at night, somebody today, somebody now."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Kind:
    """`quiet`: the condition must be away so long before the alert resolves by itself. `cooldown`: so long after an
    alert was resolved its trouble makes no new one."""

    severity: Severity
    condition: str
    advice: str
    quiet: timedelta = QUIET
    cooldown: timedelta = COOLDOWN


_I, _W, _C = Severity.INFO, Severity.WARNING, Severity.CRITICAL

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "block_share": Kind(
            _W,
            "The share of blocked payments is 5 % or more and three times that of the hour before.",
            "Read the reasons of the newest blocks: an attack, or a rule published lately (publish the set before).",
        ),
        "friction_share": Kind(
            _W,
            "As block_share, with challenged and reviewed payments counted in.",
            "As for block_share; the review queue grows meanwhile.",
        ),
        "block_rate": Kind(
            _W,
            "A third or more of all payments is blocked, whatever the hour before was like.",
            "A baseline that rose slowly hides a spike: compare with last week, then look at the reasons.",
        ),
        "decision_rate": Kind(
            _W,
            "Four times as many decisions as in the hour before, and 200 or more in five minutes.",
            "A sale or an attack: look which merchants they come from.",
        ),
        "card_testing": Kind(
            _C,
            "One merchant, ten minutes: 20 cards or more from few devices or addresses, small amounts, half refused.",
            "Block the device or address in the rules, tell the merchant, ask for a challenge on small amounts.",
        ),
        "no_decisions": Kind(
            _C,
            "No decision for ten minutes, although the hour before had 30 or more.",
            "The api processes, then the gateway: it decides alone by its own policy meanwhile.",
            quiet=timedelta(0),
        ),
        "slo_burn_fast": Kind(
            _C,
            "Late or degraded decisions use up the month's 0.5 % 14.4 times too fast, over an hour and five minutes.",
            "`faults` says which part is missing; the alert of that part says what to do.",
        ),
        "slo_burn_slow": Kind(
            _W,
            "The same six times too fast, over six hours and over half an hour.",
            "Not tonight: find the part that is missing now and then.",
        ),
        "velocity_lost": Kind(
            _C,
            "Redis does not answer the worker, or 1 % of decisions were made without windows.",
            "Redis and the way to it. Until it is back, rules with windows are skipped and large amounts reviewed.",
            quiet=timedelta(minutes=2),
        ),
        "velocity_cold": Kind(
            _W,
            "Redis lost its data: the windows are being rebuilt from Postgres and count too little.",
            "Start the consumer if it is down: it rebuilds them, and the alert resolves.",
            quiet=timedelta(minutes=2),
        ),
        "redis_memory": Kind(
            _W,
            "A Redis is filled to 80 % of its `maxmemory`: who has no velocity window yet begins none.",
            "Raise `maxMemory`; or find what grows: strangers (card testing), or a stream that nobody reads.",
        ),
        "model_missing": Kind(
            _W,
            "The model file cannot be loaded, or 1 % of decisions were made without a score.",
            "MODEL_FILE and the log of the process; rules decide alone meanwhile.",
        ),
        "rule_errors": Kind(
            _W,
            "1 % of decisions had a rule that failed or ran out of time.",
            "`rules` names them: correct the rule, publish.",
        ),
        "reference_rate": Kind(
            _W,
            "1 % of decisions were about a currency without a rate in the rule set.",
            "Add the currency to `reference_rates`, publish.",
        ),
        "rule_set_refused": Kind(
            _C,
            "The published rule set does not compile; processes keep the one before.",
            "Publish the set before again.",
            quiet=timedelta(0),
        ),
        "rules_file_refused": Kind(
            _W,
            "RULES_FILE cannot be read or compiled; the packaged set stands in until one is published.",
            "Correct the file, start the processes again.",
            quiet=timedelta(0),
        ),
        "clock_skew": Kind(
            _W,
            "The clock of a process differs from the database's by 30 seconds or more.",
            "NTP of the node that the process runs on. Deadlines are not touched; `expires_at` of decisions is.",
        ),
        "feature_drift": Kind(
            _W,
            "A feature of the model is distributed otherwise than in the reference: PSI from 0.25, or KS from 0.2.",
            "A field that stopped coming, or other customers: then train anew, or pin a new reference.",
            quiet=timedelta(hours=1),
            cooldown=timedelta(hours=24),
        ),
        "score_drift": Kind(
            _W,
            "The score is distributed otherwise than in the reference: PSI from 0.25, or KS from 0.2.",
            "As for feature_drift; thresholds of the rules mean something else now.",
            quiet=timedelta(hours=1),
            cooldown=timedelta(hours=24),
        ),
        "model_quality": Kind(
            _W,
            "The newest labelled decisions against those before: ranked a fifth worse, or scores ten points more off.",
            "Compare with the model before; train anew with the newest labels.",
            quiet=timedelta(hours=6),
            cooldown=timedelta(hours=24),
        ),
        "chain_broken": Kind(
            _C,
            "The hash chain does not follow from the stored assessments, or the head that was seen last is gone.",
            "`platform risk verify` names the place. Compare with a backup and the heads in the log: who wrote?",
            quiet=timedelta(0),
        ),
        "decision_differs": Kind(
            _C,
            "A payment ended by another decision than the stored one, by none, or by an assessment that is not stored.",
            "Compare `GET /v1/assessments/{id}` with the payment's `risk`: a restored database, or who wrote?",
            quiet=timedelta(0),
        ),
        "alert_undelivered": Kind(
            _W,
            "An alert was given up on a channel.",
            "`platform risk alerts test-channel NAME`; its address, its password, the way out of the cluster.",
            cooldown=timedelta(hours=1),
        ),
    }
)

COOLDOWN_MAX = max(kind.cooldown for kind in KINDS.values())
