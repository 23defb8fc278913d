"""The contract of each fact table as a Pandera schema over Arrow, and what a partition breaks of it.

Arrow's backend of Pandera needs neither pandas nor Polars: it judges the very table that becomes the file. Rules are
named in `domain/quality.py`, which knows their severity. Pandera is imported when a partition is examined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from data_pipeline.domain.facts import (
    ATTEMPT_OUTCOMES,
    CASE_STATUSES,
    DECISIONS,
    PRIORITIES,
    REFUND_STATUSES,
    STATUSES,
    TRANSFER_KINDS,
)
from data_pipeline.domain.quality import RULES, SAMPLE_MAX, Failure
from data_pipeline.domain.reconciliation import BreakClass
from data_pipeline.domain.settlement import SettlementType
from data_pipeline.domain.snapshot import CLOCKS, KEYS
from platform_kit.money import AMOUNT_MAX, CURRENCIES

if TYPE_CHECKING:
    import pyarrow as pa

AHEAD_MAX: Final = timedelta(minutes=5)  # by so much may another machine's clock be ahead of ours
VALUE_MAX: Final = 64  # characters of a value in a sample

_STRUCTURE: Final = {
    "field_uniqueness": "unique",
    "multiple_fields_uniqueness": "unique",
    "not_nullable": "not_null",
}
"""Pandera's own names for what a column itself must be; every other check has our name."""
_SHAPE: Final = frozenset({"COLUMN_NOT_IN_SCHEMA", "COLUMN_NOT_IN_DATAFRAME", "WRONG_DATATYPE"})


class ContractUnclear(RuntimeError):
    """A check raised: the contract is wrong, or was held against what it was not made for."""


def examine(table: str, rows: pa.Table, day: date, now: datetime) -> list[Failure]:
    """What the rows of a partition break, nothing when all is well."""
    import pandera.pyarrow as pandera

    failures = _outside(table, rows, day, now)
    try:
        contract(table).validate(rows, lazy=True)
    except pandera.errors.SchemaErrors as found:
        shapeless = [error for error in found.schema_errors if error.reason_code.name in _SHAPE]
        # Values of the wrong type cannot be judged: what checks say of them is noise.
        failures += [_failure(table, rows, error) for error in shapeless or found.schema_errors]
    return sorted(failures, key=lambda one: (one.severity, one.rule, one.column or ""))


@cache
def contract(table: str) -> Any:
    """The table's schema: every column, its type, and what its values may be."""
    import pandera.pyarrow as pandera
    import pyarrow as pa

    check = pandera.Check

    def column(kind: Any, *checks: Any, nullable: bool = False, unique: bool = False) -> Any:
        return pandera.Column(kind, list(checks), nullable=nullable, unique=unique)

    def text(*checks: Any, nullable: bool = False, unique: bool = False) -> Any:
        return column(pa.string(), *checks, nullable=nullable, unique=unique)

    def id_of(prefix: str) -> Any:
        return text(check.str_startswith(f"{prefix}_", name="id_form"), unique=True)

    def word(words: Any, *, nullable: bool = False) -> Any:
        return text(check.isin(sorted(words), name="allowed_value"), nullable=nullable)

    def number(name: str, low: int, high: int | None = None, *, nullable: bool = False) -> Any:
        limits = check.ge(low, name=name) if high is None else check.in_range(low, high, name=name)
        return column(pa.int64(), limits, nullable=nullable)

    at = column(pa.timestamp("us", tz="UTC"))
    maybe_at = column(pa.timestamp("us", tz="UTC"), nullable=True)
    amount, counted = number("amount_range", 0, AMOUNT_MAX), number("counts_from_one", 1)
    whole, maybe_whole = number("not_negative", 0), number("not_negative", 0, nullable=True)
    currency = text(check.isin(sorted(CURRENCIES), name="currency_exponent"))
    score = number("score_range", 0, 100)
    columns: dict[str, dict[str, Any]] = {
        "fact_payment": {
            "payment_id": id_of("pay"), "merchant_id": text(), "status": word(STATUSES), "amount_minor": amount,
            "currency": currency, "authorised_minor": amount, "captured_minor": amount, "refunded_minor": amount,
            "method": text(), "channel": text(nullable=True), "reference": text(nullable=True),
            "decline_code": text(nullable=True), "decision": word(DECISIONS, nullable=True),
            "score": number("score_range", 0, 100, nullable=True), "is_fallback": column(pa.bool_(), nullable=True),
            "assessment_id": text(nullable=True), "version": counted, "created_at": at, "updated_at": at,
            "approved_at": maybe_at, "decided_at": maybe_at, "position": counted,
        },
        "fact_refund": {
            "refund_id": id_of("rf"), "payment_id": text(), "amount_minor": number("amount_range", 1, AMOUNT_MAX),
            "currency": currency, "status": word(REFUND_STATUSES), "reason": text(nullable=True), "created_at": at,
            "position": counted,
        },
        "fact_transfer": {
            "journal_id": text(), "line": column(pa.int64()), "event_id": text(), "position": counted,
            "occurred_at": at, "aggregate_id": text(), "merchant_id": text(nullable=True), "debit": text(),
            "credit": text(), "amount_minor": number("moves_money", 1), "currency": currency,
            "kind": word(TRANSFER_KINDS), "settled_channel": text(nullable=True),
            "settled_type": word(SettlementType, nullable=True), "channel_reference": text(nullable=True),
            "channel_key": text(nullable=True),
        },
        "fact_assessment": {
            "assessment_id": id_of("asm"), "merchant_id": text(nullable=True), "payment_id": text(nullable=True),
            "decision": word(DECISIONS), "score": score, "rule_set": text(nullable=True), "model": text(nullable=True),
            "occurred_at": at, "position": counted,
        },
        "merchant_version": {
            "merchant_id": text(check.str_startswith("mer_", name="id_form")), "position": counted, "name": text(),
            "country": text(), "mcc": text(nullable=True), "api_version": text(), "is_disabled": column(pa.bool_()),
            "settlement_delay_days": whole, "settlement_currency": text(nullable=True),
            "reserve_basis_points": maybe_whole, "reserve_days": maybe_whole, "told_at": at, "valid_from": at,
            "valid_to": maybe_at,
        },
        "fact_webhook_attempt": {
            "told_by": text(check.str_startswith("evt_", name="id_form")), "line": column(pa.int64()),
            "delivery_id": text(), "endpoint_id": text(), "merchant_id": text(), "event_id": text(),
            "event_type": text(), "cycle": counted, "number": counted, "outcome": word(ATTEMPT_OUTCOMES.values()),
            "status_code": maybe_whole, "error": text(nullable=True), "duration_ms": whole,
            "waited_ms": maybe_whole, "ended_at": at, "position": counted,
        },
        "fact_case": {
            "case_id": id_of("cas"), "merchant_id": text(), "priority": word(PRIORITIES), "payment_count": whole,
            "status": word(CASE_STATUSES), "had_proposal": column(pa.bool_()), "opened_at": at, "due_at": at,
            "decided_at": maybe_at, "position": counted,
        },
    }  # fmt: skip
    if table == "reconciliation_break":
        # Its columns are many and still grow; what reports read of them is held to a contract.
        given = {
            "id": text(unique=True),
            "break_class": word(BreakClass),
            "channel": text(),
            "opened_at": at,
            "closed_at": maybe_at,
        }
        return pandera.DataFrameSchema(given, checks=_across(table))
    keys = KEYS[table]
    return pandera.DataFrameSchema(
        columns[table], checks=_across(table), strict=True, unique=list(keys) if len(keys) > 1 else None
    )


def _across(table: str) -> list[Any]:
    """Checks of several columns of a row."""
    import pandera.pyarrow as pandera
    import pyarrow.compute as pc

    def check(name: str, holds: Callable[[pa.Table], Any]) -> Any:
        # A comparison with nothing is nothing, and nothing is at fault.
        return pandera.Check(lambda data: pc.fill_null(holds(data.table), True), name=name)

    def ordered(first: str, *later: str) -> Any:
        def holds(rows: pa.Table) -> Any:
            in_order = None
            for name in later:
                one = pc.fill_null(pc.less_equal(rows[first], rows[name]), True)
                in_order = one if in_order is None else pc.and_(in_order, one)
            return in_order

        return check("times_in_order", holds)

    def within(name: str, part: str, whole: str) -> Any:
        return check(name, lambda rows: pc.less_equal(rows[part], rows[whole]))

    checks: Mapping[str, list[Any]] = {
        "fact_payment": [
            within("captured_within_authorised", "captured_minor", "authorised_minor"),
            within("refunded_within_captured", "refunded_minor", "captured_minor"),
            check(
                "declined_without_money",
                lambda rows: pc.or_(
                    pc.not_equal(rows["status"], "declined"), pc.equal(rows["captured_minor"], 0)
                ),
            ),
            ordered("created_at", "updated_at", "approved_at", "decided_at"),
        ],
        "fact_transfer": [check("moves_money", lambda rows: pc.not_equal(rows["debit"], rows["credit"]))],
        "merchant_version": [ordered("valid_from", "valid_to")],
        "fact_case": [ordered("opened_at", "decided_at")],
        "reconciliation_break": [ordered("opened_at", "closed_at")],
    }
    return checks.get(table, [])


def _outside(table: str, rows: pa.Table, day: date, now: datetime) -> list[Failure]:
    """Facts that are not of this day, or of no day yet: what no schema of the table alone can say."""
    import pyarrow as pa
    import pyarrow.compute as pc

    clock = CLOCKS[table]
    if clock not in rows.column_names or rows.schema.field(clock).type != pa.timestamp("us", tz="UTC"):
        return []  # the contract says that
    first = datetime.combine(day, time(), UTC)
    before, last = pc.less(rows[clock], first), pc.greater_equal(rows[clock], first + timedelta(days=1))
    found = {
        "in_its_partition": pc.or_(before, last),
        "not_in_the_future": pc.greater(rows[clock], now + AHEAD_MAX),
    }
    told = []
    for rule, at_fault in found.items():
        bad = rows.filter(at_fault)
        if bad.num_rows:
            told.append(Failure(rule, bad.num_rows, clock, _sample(table, bad, clock)))
    return told


def _failure(table: str, rows: pa.Table, error: Any) -> Failure:
    """One of Pandera's errors in our words."""
    import pyarrow as pa

    name = error.check if isinstance(error.check, str) else error.check.name
    rule, column = _STRUCTURE.get(name, name if name in RULES else "columns"), error.schema.name
    cases = error.failure_cases
    if error.reason_code.name == "CHECK_ERROR":
        raise ContractUnclear(f"{table}: {name}: {cases}")
    if rule == "columns" or not isinstance(cases, pa.Table):
        return Failure("columns", 0, column or str(cases), ())
    if column is None:  # a check of whole rows gives them
        return Failure(rule, cases.num_rows, None, _sample(table, cases))
    return Failure(rule, cases.num_rows, column, _sample(table, _at_fault(rows, column, cases), column))


def _at_fault(rows: pa.Table, column: str, cases: pa.Table) -> pa.Table:
    """The rows whose value is one of those at fault."""
    import pyarrow.compute as pc

    values = cases[column].combine_chunks()
    found = pc.is_in(rows[column], value_set=values)
    return rows.filter(pc.or_(found, pc.is_null(rows[column])) if values.null_count else found)


def _sample(table: str, rows: pa.Table, column: str | None = None) -> tuple[dict[str, str], ...]:
    """Keys of the first few, and the value at fault: no person's data is in either."""
    names = dict.fromkeys(name for name in (*KEYS[table], column) if name in rows.column_names)
    shown = rows.select(list(names)).slice(0, SAMPLE_MAX).to_pylist()
    return tuple({name: str(value)[:VALUE_MAX] for name, value in row.items()} for row in shown)
