"""The schema `risk`. Assessments, rule sets, publications and the acts on alerts are append-only for the program: the
migrations take UPDATE and DELETE on them away from `risk_app`."""

from platform_kit.inbox import cursor_table
from platform_kit.outbox import outbox_tables
from platform_kit.tasks import job_run_table
from risk_engine.store.tables.alerts import alert, alert_act, alert_delivery
from risk_engine.store.tables.appeals import appeal
from risk_engine.store.tables.assessments import (
    assessment,
    assessment_chain,
    decision_difference,
    explanation,
    payment_link,
    payment_outcome,
    quarantined_event,
)
from risk_engine.store.tables.cases import case_act, case_entity, case_payment, review_case
from risk_engine.store.tables.labels import label
from risk_engine.store.tables.lists import list_, list_entry
from risk_engine.store.tables.rule_sets import backtest, rule_set, rule_set_approval, rule_set_publication
from risk_engine.store.tables.schema import SCHEMA, metadata
from risk_engine.store.tables.snoozes import rule_snooze
from risk_engine.store.tables.staff import staff
from risk_engine.store.tables.watches import chain_watch, decision_minute, drift_reference

outbox = outbox_tables(metadata)
consumer_cursor = cursor_table(metadata)
job_run = job_run_table(metadata)

APPEND_ONLY = (
    "alert_act",
    "appeal",
    "assessment",
    "assessment_chain",
    "case_act",
    "drift_reference",
    "explanation",
    "label",
    "rule_set",
    "rule_set_approval",
    "rule_set_publication",
)

__all__ = [
    "APPEND_ONLY",
    "SCHEMA",
    "alert",
    "alert_act",
    "alert_delivery",
    "appeal",
    "assessment",
    "assessment_chain",
    "backtest",
    "case_act",
    "case_entity",
    "case_payment",
    "chain_watch",
    "consumer_cursor",
    "decision_difference",
    "decision_minute",
    "drift_reference",
    "explanation",
    "job_run",
    "label",
    "list_",
    "list_entry",
    "metadata",
    "outbox",
    "payment_link",
    "payment_outcome",
    "quarantined_event",
    "review_case",
    "rule_set",
    "rule_set_approval",
    "rule_set_publication",
    "rule_snooze",
    "staff",
]
