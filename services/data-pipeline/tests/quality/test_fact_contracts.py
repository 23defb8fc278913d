"""The contracts of the fact tables: good rows pass, and each rule finds the row that was planted to break it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from data_pipeline.clients.fact_contracts import contract, examine
from data_pipeline.clients.snapshot_store import arrow_schema
from data_pipeline.domain.quality import RULES, Examined, Failure, Severity
from data_pipeline.domain.snapshot import CLOCKS
from data_pipeline.store.snapshot import columns_of

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = NOON.date()

PAYMENT: dict[str, Any] = {
    "payment_id": "pay_1", "merchant_id": "mer_1", "status": "captured", "amount_minor": 1250, "currency": "EUR",
    "authorised_minor": 1250, "captured_minor": 1250, "refunded_minor": 0, "method": "card", "channel": "card_sim",
    "reference": None, "decline_code": None, "decision": "allow", "score": 12, "is_fallback": False,
    "assessment_id": "asm_1", "version": 2, "created_at": NOON, "updated_at": NOON + timedelta(seconds=1),
    "approved_at": NOON + timedelta(milliseconds=80), "decided_at": NOON + timedelta(milliseconds=80), "position": 7,
}  # fmt: skip
REFUND: dict[str, Any] = {
    "refund_id": "rf_1", "payment_id": "pay_1", "amount_minor": 250, "currency": "EUR", "status": "succeeded",
    "reason": None, "created_at": NOON, "position": 8,
}  # fmt: skip
TRANSFER: dict[str, Any] = {
    "journal_id": "je_1", "line": 0, "event_id": "evt_1", "position": 7, "occurred_at": NOON, "aggregate_id": "pay_1",
    "merchant_id": "mer_1", "debit": "channel:card_sim:receivable", "credit": "merchant:mer_1:pending",
    "amount_minor": 1250, "currency": "EUR", "kind": "posted", "settled_channel": "card_sim", "settled_type": "charge",
    "channel_reference": "ch_1", "channel_key": "att_1",
}  # fmt: skip
ASSESSMENT: dict[str, Any] = {
    "assessment_id": "asm_1", "merchant_id": None, "payment_id": "pay_1", "decision": "allow", "score": 12,
    "rule_set": "abc", "model": None, "occurred_at": NOON, "position": 3,
}  # fmt: skip
BREAK: dict[str, Any] = {
    "id": "brk_1", "day": DAY, "channel": "card_sim", "break_class": "amount_differs", "settled_type": "charge",
    "run_id": "rec_1", "opened_at": NOON, "last_seen_at": NOON, "closed_at": None, "state": "open",
}  # fmt: skip
MERCHANT: dict[str, Any] = {
    "merchant_id": "mer_1", "position": 3, "name": "Shop", "country": "DE", "mcc": "5411", "api_version": "2026-11-26",
    "is_disabled": False, "settlement_delay_days": 2, "settlement_currency": None, "reserve_basis_points": None,
    "reserve_days": None, "told_at": NOON, "valid_from": NOON, "valid_to": None,
}  # fmt: skip
ATTEMPT: dict[str, Any] = {
    "told_by": "evt_1", "line": 0, "delivery_id": "dlv_1", "endpoint_id": "we_1", "merchant_id": "mer_1",
    "event_id": "evt_2", "event_type": "payment.captured.v1", "cycle": 1, "number": 1, "outcome": "delivered",
    "status_code": 200, "error": None, "duration_ms": 30, "waited_ms": 80, "ended_at": NOON, "position": 9,
}  # fmt: skip
CASE: dict[str, Any] = {
    "case_id": "cas_1", "merchant_id": "mer_1", "priority": "high", "payment_count": 1, "status": "approved",
    "had_proposal": False, "opened_at": NOON, "due_at": NOON + timedelta(hours=4),
    "decided_at": NOON + timedelta(minutes=5), "position": 4,
}  # fmt: skip
GOOD = {
    "fact_payment": PAYMENT,
    "fact_refund": REFUND,
    "fact_transfer": TRANSFER,
    "fact_assessment": ASSESSMENT,
    "merchant_version": MERCHANT,
    "fact_webhook_attempt": ATTEMPT,
    "fact_case": CASE,
    "reconciliation_break": BREAK,
}


def table_of(name: str, *rows: dict[str, Any]) -> pa.Table:
    schema = arrow_schema(columns_of(name))
    return pa.Table.from_pylist([{key: row.get(key) for key in schema.names} for row in rows], schema=schema)


def found(name: str, *rows: dict[str, Any], day: date = DAY) -> list[Failure]:
    return examine(name, table_of(name, *rows), day, NOON + timedelta(hours=1))


@pytest.mark.parametrize("name", list(CLOCKS))
def test_good_rows_break_nothing_and_neither_do_none(name: str) -> None:
    assert found(name, GOOD[name]) == []
    assert found(name) == []


PLANTED = [
    ("fact_payment", {"payment_id": "tok_1"}, "id_form", "payment_id"),
    ("fact_payment", {"status": "lost"}, "allowed_value", "status"),
    ("fact_payment", {"decision": "perhaps"}, "allowed_value", "decision"),
    ("fact_payment", {"currency": "XXQ"}, "currency_exponent", "currency"),
    ("fact_payment", {"amount_minor": -1}, "amount_range", "amount_minor"),
    ("fact_payment", {"amount_minor": 10**12 + 1}, "amount_range", "amount_minor"),
    ("fact_payment", {"score": 101}, "score_range", "score"),
    ("fact_payment", {"version": 0}, "counts_from_one", "version"),
    ("fact_payment", {"merchant_id": None}, "not_null", "merchant_id"),
    ("fact_payment", {"created_at": NOON - timedelta(days=1)}, "in_its_partition", "created_at"),
    ("fact_payment", {"authorised_minor": 1249}, "captured_within_authorised", None),
    ("fact_payment", {"refunded_minor": 1251}, "refunded_within_captured", None),
    ("fact_payment", {"status": "declined"}, "declined_without_money", None),
    ("fact_payment", {"decided_at": NOON - timedelta(seconds=1)}, "times_in_order", None),
    ("fact_payment", {"updated_at": NOON - timedelta(seconds=1)}, "times_in_order", None),
    ("fact_refund", {"amount_minor": 0}, "amount_range", "amount_minor"),
    ("fact_refund", {"status": "perhaps"}, "allowed_value", "status"),
    ("fact_refund", {"refund_id": "pay_1"}, "id_form", "refund_id"),
    ("fact_transfer", {"amount_minor": 0}, "moves_money", "amount_minor"),
    ("fact_transfer", {"credit": TRANSFER["debit"]}, "moves_money", None),
    ("fact_transfer", {"kind": "lent"}, "allowed_value", "kind"),
    ("fact_transfer", {"settled_type": "gift"}, "allowed_value", "settled_type"),
    ("fact_transfer", {"currency": "BTC"}, "currency_exponent", "currency"),
    ("fact_assessment", {"score": -1}, "score_range", "score"),
    ("fact_assessment", {"decision": None}, "not_null", "decision"),
    ("fact_assessment", {"occurred_at": NOON + timedelta(hours=2)}, "not_in_the_future", "occurred_at"),
    ("merchant_version", {"merchant_id": "shop_1"}, "id_form", "merchant_id"),
    ("merchant_version", {"valid_to": NOON - timedelta(seconds=1)}, "times_in_order", None),
    ("merchant_version", {"settlement_delay_days": -1}, "not_negative", "settlement_delay_days"),
    ("fact_webhook_attempt", {"outcome": "lost"}, "allowed_value", "outcome"),
    ("fact_webhook_attempt", {"duration_ms": -1}, "not_negative", "duration_ms"),
    ("fact_webhook_attempt", {"number": 0}, "counts_from_one", "number"),
    ("fact_case", {"status": "lost"}, "allowed_value", "status"),
    ("fact_case", {"decided_at": NOON - timedelta(seconds=1)}, "times_in_order", None),
    ("reconciliation_break", {"break_class": "odd"}, "allowed_value", "break_class"),
    ("reconciliation_break", {"closed_at": NOON - timedelta(days=1)}, "times_in_order", None),
]


@pytest.mark.parametrize(("name", "planted", "rule", "column"), PLANTED)
def test_a_planted_row_is_found_by_its_rule_alone_and_told_by_its_key(
    name: str, planted: dict[str, Any], rule: str, column: str | None
) -> None:
    key = next(iter(GOOD[name]))
    other = GOOD[name] | {key: f"{GOOD[name][key]}0"}
    [failure] = found(name, other, GOOD[name] | planted)
    assert (failure.rule, failure.column, failure.failed_count) == (rule, column, 1)
    assert failure.sample[0][key] == str(planted.get(key, GOOD[name][key]))


@pytest.mark.parametrize("name", list(CLOCKS))
def test_a_row_that_is_there_twice_is_found(name: str) -> None:
    [failure] = found(name, GOOD[name], GOOD[name])
    assert (failure.rule, failure.severity) == ("unique", Severity.BLOCK)


def test_two_lines_of_a_journal_are_two_rows() -> None:
    assert found("fact_transfer", TRANSFER, TRANSFER | {"line": 1}) == []


def test_a_column_that_lacks_or_has_another_type_blocks_the_whole_partition() -> None:
    rows = table_of("fact_payment", PAYMENT)
    [lacks] = examine("fact_payment", rows.drop_columns(["score"]), DAY, NOON)
    text = rows.set_column(3, "amount_minor", pa.array(["1250"]))
    [retyped] = examine("fact_payment", text, DAY, NOON)
    assert (lacks.rule, lacks.column, retyped.rule, retyped.column) == (
        "columns", "score", "columns", "amount_minor",
    )  # fmt: skip
    assert Examined("fact_payment", DAY, 1, (lacks,)).score == 0.0


def test_every_rule_of_a_row_is_planted_here() -> None:
    """A rule that no test can break guards nothing."""
    of_sums = {"rollup_equals_detail", "journals_are_whole"}
    assert {rule for _, _, rule, _ in PLANTED} | {"unique", "columns"} | of_sums == set(RULES)


@pytest.mark.parametrize("name", list(CLOCKS))
def test_a_contract_names_rules_that_have_a_severity(name: str) -> None:
    schema = contract(name)
    checks = [check.name for column in schema.columns.values() for check in column.checks]
    assert {*checks, *(check.name for check in schema.checks)} <= set(RULES)


def test_a_score_is_the_share_of_rows_without_a_fault_and_never_told_too_good() -> None:
    two = (Failure("score_range", 3), Failure("allowed_value", 2))
    assert Examined("fact_payment", DAY, 10, two).score == pytest.approx(0.5)
    assert Examined("fact_payment", DAY, 4, two).failed_count == 4
    assert Examined("fact_payment", DAY, 0).score == 1.0
    assert not Examined("fact_payment", DAY, 10, (Failure("times_in_order", 9),)).is_blocked
