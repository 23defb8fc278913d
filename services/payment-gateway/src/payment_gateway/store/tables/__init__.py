"""The schema `payments`. Every invariant of the domain stands here once more as a constraint (pair assertions)."""

from payment_gateway.store.tables.audit import audit_entry
from payment_gateway.store.tables.channels import parked_event, routing_decision, routing_rule_set
from payment_gateway.store.tables.customers import customer, payment_method
from payment_gateway.store.tables.erasures import erasure
from payment_gateway.store.tables.keys_and_events import idempotency_key, job_run, outbox
from payment_gateway.store.tables.ledger import account, hold, journal, ledger_chain, transfer
from payment_gateway.store.tables.merchants import api_key, merchant
from payment_gateway.store.tables.money import dispute, fx_residue, merchant_terms, payout, settlement
from payment_gateway.store.tables.payments import attempt, channel_event, payment, refund
from payment_gateway.store.tables.reserve import reserve
from payment_gateway.store.tables.reviews import consumer_cursor, quarantined_event, review_verdict
from payment_gateway.store.tables.schema import SCHEMA, metadata
from payment_gateway.store.tables.setup_intents import setup_intent
from payment_gateway.store.tables.suspense import suspense
from payment_gateway.store.tables.webhooks import (
    webhook_attempt,
    webhook_cursor,
    webhook_delivery,
    webhook_endpoint,
)

__all__ = [
    "SCHEMA",
    "account",
    "api_key",
    "attempt",
    "audit_entry",
    "channel_event",
    "consumer_cursor",
    "customer",
    "dispute",
    "erasure",
    "fx_residue",
    "hold",
    "idempotency_key",
    "job_run",
    "journal",
    "ledger_chain",
    "merchant",
    "merchant_terms",
    "metadata",
    "outbox",
    "parked_event",
    "payment",
    "payment_method",
    "payout",
    "quarantined_event",
    "refund",
    "reserve",
    "review_verdict",
    "routing_decision",
    "routing_rule_set",
    "settlement",
    "setup_intent",
    "suspense",
    "transfer",
    "webhook_attempt",
    "webhook_cursor",
    "webhook_delivery",
    "webhook_endpoint",
]
