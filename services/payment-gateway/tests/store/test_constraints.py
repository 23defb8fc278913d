"""Every constraint of the gateway's tables: Postgres refuses what breaks it, and without it lets the same through.

The second half is the mutant: it shows that nothing else would have caught it, so that the first half stands and falls
with this one constraint. A constraint that is new must come with a statement that breaks it, or say why it has none.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
from money_rows import A_GOOD_ROW_OF_EACH, DISPUTE, HOLD, PAYOUT, TRANSFER
from other_rows import API_KEY, AUDIT_ENTRY, DELIVERY, EVENT, ROWS_WITHOUT_MONEY
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from payment_gateway.settings import Settings
from platform_cli.embedded.testing import FreshDatabase
from platform_kit.db import create_engine

BREAKS: Final[dict[str, str]] = {
    # payments and refunds
    "payment_amount_is_positive_check": "UPDATE payments.payment SET amount_minor = 0, authorised_minor = 0,"
    " captured_minor = 0, fee_minor = 0, surcharge_minor = 0",
    "payment_refunded_within_captured_check": "UPDATE payments.payment SET refunded_minor = 8000, disputed_minor = 1",
    "payment_captured_within_authorised_check": "UPDATE payments.payment SET captured_minor = 10001",
    "payment_authorised_within_amount_check": "UPDATE payments.payment SET authorised_minor = 10001",
    "payment_fee_returned_within_fee_check": "UPDATE payments.payment SET fee_returned_minor = 101",
    "payment_surcharge_within_cap_check": "UPDATE payments.payment SET surcharge_minor = 385",
    "payment_surcharge_refunded_within_surcharge_check": "UPDATE payments.payment SET surcharge_refunded_minor = 301",
    "payment_method_is_known_check": "UPDATE payments.payment SET method = NULL",
    "payment_capture_check": "UPDATE payments.payment SET capture = 'sometimes'",
    "payment_status_check": "UPDATE payments.payment SET status = 'nonsense'",
    "refund_amount_is_positive_check": "UPDATE payments.refund SET amount_minor = 0",
    "refund_surcharge_within_amount_check": "UPDATE payments.refund SET surcharge_minor = 101",
    "refund_fee_returned_within_amount_check": "UPDATE payments.refund SET fee_returned_minor = 101",
    "refund_status_check": "UPDATE payments.refund SET status = 'nonsense'",
    "refund_payment_id_fkey": "UPDATE payments.refund SET payment_id = 'pay_none'",
    "attempt_payment_id_fkey": "UPDATE payments.attempt SET payment_id = 'pay_none'",
    # disputes and payouts
    "dispute_payment_id_fkey": "UPDATE payments.dispute SET payment_id = 'pay_none'",
    "dispute_channel_channel_reference_key": DISPUTE.format("dp_2"),
    "dispute_fee_is_not_negative_check": "UPDATE payments.dispute SET fee_minor = -1",
    "dispute_amount_is_positive_check": "UPDATE payments.dispute SET amount_minor = 0, reserved_minor = 0",
    "dispute_reserved_within_amount_check": "UPDATE payments.dispute SET reserved_minor = 101",
    "dispute_status_check": "UPDATE payments.dispute SET status = 'nonsense'",
    "payout_merchant_id_fkey": "UPDATE payments.payout SET merchant_id = 'mer_none'",
    "payout_merchant_id_currency_slot_key": PAYOUT.format("po_2"),
    "payout_amount_is_positive_check": "UPDATE payments.payout SET amount_minor = 0",
    "payout_status_check": "UPDATE payments.payout SET status = 'nonsense'",
    "merchant_terms_merchant_id_fkey": "UPDATE payments.merchant_terms SET merchant_id = 'mer_none'",
    "merchant_terms_delay_is_sane_check": "UPDATE payments.merchant_terms SET settlement_delay_days = 61",
    "merchant_terms_reserve_is_sane_check": "UPDATE payments.merchant_terms SET reserve_basis_points = 100",
    "reserve_merchant_id_fkey": "UPDATE payments.reserve SET merchant_id = 'mer_none'",
    "reserve_amount_is_positive_check": "UPDATE payments.reserve SET amount_minor = 0",
    "reserve_released_when_due_check": "UPDATE payments.reserve SET released_at = now()",
    "suspense_amount_is_positive_check": "UPDATE payments.suspense SET amount_minor = 0",
    "suspense_resolved_to_somebody_check": "UPDATE payments.suspense SET resolved_at = now()",
    "suspense_merchant_where_it_is_one_check": "UPDATE payments.suspense SET resolved_at = now(),"
    " resolved_to = 'merchant'",
    "suspense_direction_check": "UPDATE payments.suspense SET direction = 'nonsense'",
    "suspense_resolved_to_check": "UPDATE payments.suspense SET resolved_at = now(), resolved_to = 'nonsense'",
    "suspense_resolved_merchant_fkey": "UPDATE payments.suspense SET resolved_at = now(), resolved_to = 'merchant',"
    " resolved_merchant = 'mer_none'",
    "fx_residue_carried_is_below_one_check": "UPDATE payments.fx_residue SET carried_atto = 1000000000000000000",
    # the ledger
    "account_owner_kind_currency_key": "INSERT INTO payments.account (id, owner, kind, currency)"
    " OVERRIDING SYSTEM VALUE VALUES (9, 'ledger:mer_1', 'a', 'EUR')",
    "account_counters_not_negative_check": "UPDATE payments.account SET debits_pending = -1 WHERE id = 1",
    "account_not_below_floor_check": "UPDATE payments.account SET floor_minor = 0, debits_pending = 1 WHERE id = 1",
    "account_not_above_ceiling_check": "UPDATE payments.account SET ceiling_minor = 0, credits_pending = 1"
    " WHERE id = 1",
    "account_reserve_is_not_overdrawn_check": "UPDATE payments.account SET owner = 'merchant:mer_1',"
    " kind = 'reserve', debits_posted = 1 WHERE id = 1",
    "transfer_debit_account_id_currency_fkey": TRANSFER.format("je_9", 3, 2, 1, "posted", 9, 9),
    "transfer_credit_account_id_currency_fkey": TRANSFER.format("je_9", 1, 3, 1, "posted", 9, 9),
    "transfer_amount_is_positive_check": TRANSFER.format("je_9", 1, 2, 0, "posted", 9, 9),
    "transfer_two_accounts_check": TRANSFER.format("je_9", 1, 1, 1, "posted", 9, 9),
    "transfer_kind_check": TRANSFER.format("je_9", 1, 2, 1, "nonsense", 9, 9),
    "transfer_debit_version_key": TRANSFER.format("je_9", 1, 2, 1, "posted", 1, 9),
    "transfer_credit_version_key": TRANSFER.format("je_9", 1, 2, 1, "posted", 9, 1),
    "journal_has_transfers_check": "UPDATE payments.journal SET transfer_count = 0 WHERE id = 'je_3'",
    "journal_reverses_another_check": "UPDATE payments.journal SET reverses = id WHERE id = 'je_3'",
    "journal_reverses_key": "UPDATE payments.journal SET reverses = 'je_1' WHERE id = 'je_3'",
    "journal_reverses_fkey": "UPDATE payments.journal SET reverses = 'je_none' WHERE id = 'je_3'",
    "hold_debit_account_id_currency_fkey": HOLD.format("hld_9", 3, 2, 100, 0, 0, "pending"),
    "hold_credit_account_id_currency_fkey": HOLD.format("hld_9", 1, 3, 100, 0, 0, "pending"),
    "hold_amount_is_positive_check": HOLD.format("hld_9", 1, 2, 0, 0, 0, "posted"),
    "hold_two_accounts_check": HOLD.format("hld_9", 1, 1, 100, 0, 0, "pending"),
    "hold_within_amount_check": HOLD.format("hld_9", 1, 2, 100, 100, 1, "posted"),
    "hold_state_check": HOLD.format("hld_9", 1, 2, 100, 0, 100, "nonsense"),
    "hold_state_fits_amounts_check": HOLD.format("hld_9", 1, 2, 100, 50, 0, "posted"),
    "ledger_chain_transfer_id_key": "INSERT INTO payments.ledger_chain (position, transfer_id, previous, hash)"
    " SELECT 2, min(id), '', '' FROM payments.transfer",
    "ledger_chain_transfer_id_fkey": "UPDATE payments.ledger_chain SET transfer_id = 0",
    "ledger_chain_position_is_positive_check": "UPDATE payments.ledger_chain SET position = 0",
    # who may ask, and who did
    "api_key_key_hash_key": API_KEY.format("key_2"),
    "api_key_merchant_id_fkey": "UPDATE payments.api_key SET merchant_id = 'mer_none'",
    "audit_entry_actor_check": AUDIT_ENTRY.format("aud_2", "mer_1", "nobody"),
    "audit_entry_merchant_id_fkey": AUDIT_ENTRY.format("aud_2", "mer_none", "platform"),
    # whom merchants know, and how those pay
    "customer_merchant_id_fkey": "UPDATE payments.customer SET merchant_id = 'mer_none'",
    "erasure_merchant_id_fkey": "UPDATE payments.erasure SET merchant_id = 'mer_none'",
    "erasure_status_check": "UPDATE payments.erasure SET status = 'nonsense'",
    "erasure_erased_has_a_time_check": "UPDATE payments.erasure SET status = 'erased'",
    "erasure_reported_once_erased_check": "UPDATE payments.erasure SET report = '{}', reported_at = now()",
    "payment_method_merchant_id_fkey": "UPDATE payments.payment_method SET merchant_id = 'mer_none'",
    "payment_method_customer_id_fkey": "UPDATE payments.payment_method SET customer_id = 'cus_none'",
    "payment_method_type_check": "UPDATE payments.payment_method SET type = 'nonsense', card = NULL",
    "payment_method_card_is_shown_check": "UPDATE payments.payment_method SET card = NULL",
    "payment_method_detached_has_no_customer_check": "UPDATE payments.payment_method SET detached_at = now()",
    "setup_intent_merchant_id_fkey": "UPDATE payments.setup_intent SET merchant_id = 'mer_none'",
    "setup_intent_status_check": "UPDATE payments.setup_intent SET status = 'nonsense'",
    "review_verdict_verdict_check": "UPDATE payments.review_verdict SET verdict = 'nonsense'",
    "review_verdict_finished_has_an_outcome_check": "UPDATE payments.review_verdict SET outcome = 'captured'",
    # events, and how they are told
    "outbox_event_position_key": EVENT.format("evt_3", 2),
    "outbox_head_one_row_check": "UPDATE payments.outbox_head SET id = 2",
    "outbox_head_published_check": "UPDATE payments.outbox_head SET published_position = last_position + 1",
    "consumer_cursor_position_check": "UPDATE payments.consumer_cursor SET position = -1",
    "webhook_endpoint_merchant_id_fkey": "UPDATE payments.webhook_endpoint SET merchant_id = 'mer_none'",
    "webhook_endpoint_style_check": "UPDATE payments.webhook_endpoint SET style = 'nonsense'",
    "webhook_endpoint_deleted_is_disabled_check": "UPDATE payments.webhook_endpoint SET deleted_at = now()",
    "webhook_delivery_endpoint_id_fkey": "UPDATE payments.webhook_delivery SET endpoint_id = 'we_none'",
    "webhook_delivery_endpoint_id_event_id_key": DELIVERY.format("dlv_2"),
    "webhook_delivery_status_check": "UPDATE payments.webhook_delivery SET status = 'nonsense'",
    "webhook_attempt_delivery_id_fkey": "UPDATE payments.webhook_attempt SET delivery_id = 'dlv_none'",
    "webhook_cursor_one_row_check": "UPDATE payments.webhook_cursor SET singleton = false",
}
WITHOUT: Final = {
    "account_id_currency_key": "the primary key holds it; it is there for the composite keys to point to"
}

# CHECK, UNIQUE and FOREIGN KEY by name; a unique index that is no constraint as well.
CONSTRAINTS: Final = text("""
    SELECT c.conname AS name, t.relname AS relation, 'CONSTRAINT' AS kind
    FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
    WHERE c.connamespace = 'payments'::regnamespace AND c.contype IN ('c', 'u', 'f')
    UNION ALL
    SELECT i.relname, t.relname, 'INDEX' FROM pg_index x
    JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
    WHERE i.relnamespace = 'payments'::regnamespace AND x.indisunique
      AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.oid)
""")


@pytest.fixture
async def engine(fresh_database: FreshDatabase) -> AsyncIterator[AsyncEngine]:
    """As the owner: a role's privileges are another guard, with tests of its own."""
    database = await fresh_database("payments")
    engine = create_engine(Settings(database_url=database.admin_url))
    async with engine.begin() as connection:
        for statement in A_GOOD_ROW_OF_EACH + ROWS_WITHOUT_MONEY:
            await connection.execute(text(statement))
    yield engine
    async with (
        engine.begin() as connection
    ):  # they tell nothing, and would be held to what their types promise
        await connection.execute(text("DELETE FROM payments.outbox_event"))
    await engine.dispose()


async def constraints(connection: AsyncConnection) -> dict[str, Any]:
    return {row.name: row for row in await connection.execute(CONSTRAINTS)}


async def refused_by(connection: AsyncConnection, statement: str) -> str | None:
    """The name of the constraint that refuses it; None when it passes. Undone in either case."""
    undo = await connection.begin_nested()
    try:
        await connection.execute(text(statement))
    except IntegrityError as error:
        return str(getattr(error.orig.__cause__, "constraint_name", error))  # type: ignore[union-attr]
    finally:
        await undo.rollback()
    return None


async def test_every_constraint_has_a_statement_that_breaks_it(
    engine: AsyncEngine,
) -> None:
    async with engine.connect() as connection:
        assert (await constraints(connection)).keys() == BREAKS.keys() | WITHOUT.keys()


async def test_what_breaks_a_constraint_is_refused_by_it_and_by_nothing_else(engine: AsyncEngine) -> None:
    refused: dict[str, str | None] = {}
    let_through: dict[str, str | None] = {}
    async with engine.connect() as connection:
        known = await constraints(connection)
        for name, statement in BREAKS.items():
            refused[name] = await refused_by(connection, statement)
            undo = await connection.begin_nested()
            drop = (
                f"DROP INDEX payments.{name}"
                if known[name].kind == "INDEX"
                else f"ALTER TABLE payments.{known[name].relation} DROP CONSTRAINT {name}"
            )
            await connection.execute(text(drop))
            let_through[name] = await refused_by(connection, statement)
            await undo.rollback()
    assert refused == {name: name for name in BREAKS}
    assert let_through == dict.fromkeys(BREAKS), (
        "something else refuses it: then its statement proves nothing"
    )
