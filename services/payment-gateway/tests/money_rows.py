"""A good row in each of the money tables, as SQL: what tests of the database itself start from."""

from __future__ import annotations

from typing import Final

TRANSFER: Final = (
    "INSERT INTO payments.transfer (journal_id, debit_account_id, credit_account_id, amount_minor, currency, kind,"
    " debit_version, credit_version) VALUES ('{}', {}, {}, {}, 'EUR', '{}', {}, {})"
)
HOLD: Final = (
    "INSERT INTO payments.hold (id, debit_account_id, credit_account_id, currency, amount_minor, posted_minor,"
    " released_minor, state) VALUES ('{}', {}, {}, 'EUR', {}, {}, {}, '{}')"
)
JOURNAL: Final = (
    "INSERT INTO payments.journal (id, transfer_count, amount_sum_minor, reverses) VALUES ('{}', 1, 100, {})"
)
DISPUTE: Final = (
    "INSERT INTO payments.dispute (id, payment_id, merchant_id, channel, channel_reference, amount_minor, currency,"
    " reason, status, evidence_due_at, created_at, updated_at, reserved_minor, evidence)"
    " VALUES ('{}', 'pay_1', 'mer_1', 'card_sim', 'd1', 100, 'EUR', 'fraudulent', 'needs_response', now(), now(),"
    " now(), 100, '{{}}')"
)
PAYOUT: Final = (
    "INSERT INTO payments.payout (id, merchant_id, amount_minor, currency, destination, status, created_at,"
    " updated_at, slot, tries) VALUES ('{}', 'mer_1', 100, 'EUR', 'ba_pays', 'pending', now(), now(), '2026-11-27', 0)"
)

A_GOOD_ROW_OF_EACH: Final = (
    "INSERT INTO payments.merchant (id, name, country) VALUES ('mer_1', 'Shop', 'DE')",
    "INSERT INTO payments.payment (id, merchant_id, amount_minor, currency, capture, method, status, version,"
    " authorised_minor, captured_minor, refunded_minor, fee_minor, surcharge_minor, metadata, created_at, updated_at)"
    " VALUES ('pay_1', 'mer_1', 10000, 'EUR', 'automatic', '{}', 'captured', 1, 10000, 8000, 0, 100, 300, '{}',"
    " now(), now())",
    "INSERT INTO payments.refund (id, payment_id, merchant_id, amount_minor, currency, status, created_at)"
    " VALUES ('rf_1', 'pay_1', 'mer_1', 100, 'EUR', 'pending', now())",
    "INSERT INTO payments.attempt (id, payment_id, operation, channel, amount_minor, currency, sent_at)"
    " VALUES ('att_1', 'pay_1', 'authorise', 'card_sim', 10000, 'EUR', now())",
    DISPUTE.format("dp_1"),
    PAYOUT.format("po_1"),
    "INSERT INTO payments.merchant_terms (merchant_id, settlement_delay_days) VALUES ('mer_1', 2)",
    "INSERT INTO payments.fx_residue (id, carried_atto) VALUES ('EUR', 0)",
    "INSERT INTO payments.account (id, owner, kind, currency) OVERRIDING SYSTEM VALUE VALUES"
    " (1, 'ledger:mer_1', 'a', 'EUR'), (2, 'ledger:mer_1', 'b', 'EUR'), (3, 'ledger:mer_1', 'a', 'USD')",
    TRANSFER.format("je_1", 1, 2, 100, "posted", 1, 1),
    TRANSFER.format("je_2", 2, 1, 100, "posted", 2, 2),
    TRANSFER.format("je_3", 2, 1, 100, "posted", 3, 3),
    JOURNAL.format("je_1", "NULL"),
    JOURNAL.format("je_2", "'je_1'"),
    JOURNAL.format("je_3", "NULL"),
    HOLD.format("hld_1", 1, 2, 100, 0, 0, "pending"),
    "INSERT INTO payments.ledger_chain (position, transfer_id, previous, hash)"
    " SELECT 1, min(id), '', '' FROM payments.transfer",
    "INSERT INTO payments.reserve (id, merchant_id, currency, amount_minor, created_at, release_at)"
    " VALUES ('rsv_1', 'mer_1', 'EUR', 100, now(), now() + interval '1 day')",
    "INSERT INTO payments.suspense (id, channel, reference, direction, amount_minor, currency, note, created_at)"
    " VALUES ('sus_1', 'card_sim', 'brk_1', 'received', 100, 'EUR', '', now())",
)
