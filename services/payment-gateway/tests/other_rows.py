"""A good row in each table with constraints that holds no money, as SQL; they stand beside those of `money_rows`."""

from __future__ import annotations

from typing import Final

API_KEY: Final = "INSERT INTO payments.api_key (id, merchant_id, key_hash) VALUES ('{}', 'mer_1', 'hash')"
AUDIT_ENTRY: Final = (
    "INSERT INTO payments.audit_entry (id, merchant_id, actor, action, object_id, details)"
    " VALUES ('{}', '{}', '{}', 'merchant.updated', 'mer_1', '{{}}')"
)
EVENT: Final = (
    "INSERT INTO payments.outbox_event (id, type, aggregate_id, merchant_id, data, occurred_at, position)"
    " VALUES ('{}', 'payment.created.v1', 'pay_1', 'mer_1', '{{}}', now(), {})"
)
DELIVERY: Final = (
    "INSERT INTO payments.webhook_delivery (id, endpoint_id, event_id) VALUES ('{}', 'we_1', 'evt_1')"
)

ROWS_WITHOUT_MONEY: Final = (
    API_KEY.format("key_1"),
    AUDIT_ENTRY.format("aud_1", "mer_1", "platform"),
    "INSERT INTO payments.consumer_cursor (consumer, stream, position) VALUES ('c', 's', 0)",
    "INSERT INTO payments.customer (id, merchant_id, metadata, created_at, updated_at)"
    " VALUES ('cus_1', 'mer_1', '{}', now(), now())",
    "INSERT INTO payments.erasure (id, merchant_id, status, subjects, blocked_by, created_at, due_at)"
    " VALUES ('era_1', 'mer_1', 'waiting', '[]', '[]', now(), now())",
    EVENT.format("evt_1", 1),
    EVENT.format("evt_2", 2),
    "INSERT INTO payments.outbox_head (id) VALUES (1) ON CONFLICT DO NOTHING",
    "INSERT INTO payments.payment_method (id, merchant_id, type, method, card, customer_id, billing_details, metadata,"
    " created_at, updated_at) VALUES ('pm_1', 'mer_1', 'card', '{}', '{}', 'cus_1', '{}', '{}', now(), now())",
    "INSERT INTO payments.review_verdict (case_id, payment_id, assessment_id, verdict, decided_at)"
    " VALUES ('case_1', 'pay_1', 'asm_1', 'approve', now())",
    "INSERT INTO payments.setup_intent (id, merchant_id, status, usage, metadata, created_at, updated_at)"
    " VALUES ('seti_1', 'mer_1', 'succeeded', 'off_session', '{}', now(), now())",
    "INSERT INTO payments.webhook_endpoint (id, merchant_id, url, secret)"
    " VALUES ('we_1', 'mer_1', 'https://shop.example', 'sealed')",
    DELIVERY.format("dlv_1"),
    "INSERT INTO payments.webhook_attempt (delivery_id, cycle, number, duration_ms) VALUES ('dlv_1', 1, 1, 5)",
    "INSERT INTO payments.webhook_cursor (singleton) VALUES (true) ON CONFLICT DO NOTHING",
)
