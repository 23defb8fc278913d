"""A closed batch as its merchant reads it: records in one order, totals first, the same batch always the same records.

Each record is a row of the CSV and of the sheet, and what the PDF is drawn from:

    statement   whose it is, until when
    merchant    its id, and what it was called when the batch was closed: not in batches of before names were told
    opening     the balance before
    total       one per section: what its lines add up to
    closing     opening and totals
    payout      what was instructed to be paid out, and where to
    account     each account of the ledger before and after
    line        one movement
    end         how many lines there were, and their sum: a file without it is cut off
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from data_pipeline.domain.exports import MEDIA_TYPES as TABLE_TYPES
from data_pipeline.domain.exports import FileFormat
from data_pipeline.domain.report_definition import Column, Unit
from data_pipeline.domain.settlement_batch import ACCOUNTS, Section
from platform_kit.money import exponent

Record = Mapping[str, Any]


class StatementFormat(StrEnum):
    CSV = "csv"
    XLSX = "xlsx"
    PDF = "pdf"


MEDIA_TYPES: Final[Mapping[StatementFormat, str]] = {
    StatementFormat.CSV: TABLE_TYPES[FileFormat.CSV],
    StatementFormat.XLSX: TABLE_TYPES[FileFormat.XLSX],
    StatementFormat.PDF: "application/pdf",
}
COLUMNS: Final = (
    Column("record", "text", None, "what the row is"),
    Column("section", "text", None, "where a line stands"),
    Column("kind", "text", None, "what moved"),
    Column("at", "time", None, "when it happened, UTC"),
    Column("object_id", "text", None, "payment, payout, reserve or journal"),
    Column("reference", "text", None, "the merchant's own name for the payment"),
    Column("entry", "text", None, "journal and line in the ledger"),
    Column("count", "integer", Unit.COUNT, "lines added up"),
    Column("amount", "decimal", None, "in whole units; what leaves the balance is negative"),
    Column("amount_minor", "integer", Unit.MINOR, "the same in minor units"),
    Column("currency", "text", None, "ISO 4217"),
)
SECTIONS: Final = tuple(section for section in Section if section is not Section.BETWEEN)


def name_of(batch: Mapping[str, Any], format_: StatementFormat) -> str:
    """What the file is called: its merchant, currency, number in the row of batches, and day."""
    parts = batch["merchant_id"], batch["currency"], batch["number"], f"{batch['closes_at']:%Y%m%d}"
    return f"settlement-{'-'.join(map(str, parts))}.{format_}"


def head(batch: Mapping[str, Any], payouts: Iterable[Mapping[str, Any]]) -> Iterator[Record]:
    """Everything but the lines and the end. Of a payout only what was instructed: its way goes on after this."""
    currency = batch["currency"]

    def record(name: str, amount_minor: int | None = None, **values: Any) -> Record:
        return _record(name, currency, amount_minor, **values)

    yield record("statement", object_id=batch["id"], reference=batch["merchant_id"], at=batch["closes_at"])
    if batch["merchant_name"]:
        yield record("merchant", object_id=batch["merchant_id"], reference=batch["merchant_name"])
    yield record("opening", batch["opening_minor"])
    for section in SECTIONS:
        yield record("total", batch[f"{section}_minor"], section=section)
    yield record("closing", batch["closing_minor"], at=batch["closes_at"])
    for payout in payouts:
        yield record(
            "payout",
            payout["amount_minor"],
            section=Section.PAYOUTS,
            kind=payout["destination"],
            at=payout["created_at"],
            object_id=payout["payout_id"],
        )
    for account in ACCOUNTS:
        sides = batch["accounts"].get(account, {"opening_minor": 0, "closing_minor": 0})
        yield record("account", sides["opening_minor"], kind=account, section="opening")
        yield record("account", sides["closing_minor"], kind=account, section="closing")


def line(currency: str, moved: Mapping[str, Any]) -> Record:
    """One movement. Its amount is what it adds to the balance: 0 for a lost dispute, which was taken when it opened."""
    return _record(
        "line",
        currency,
        moved["effect_minor"],
        section=moved["section"],
        kind=moved["kind"],
        at=moved["occurred_at"],
        object_id=moved["object_id"],
        reference=moved["reference"],
        entry=f"{moved['journal_id']}:{moved['line']}",
    )


def end(currency: str, count: int, total_minor: int) -> Record:
    return _record("end", currency, total_minor, count=count)


def in_units(amount_minor: int, currency: str) -> Decimal:
    """Minor units as a decimal number with the currency's own places: 1250 EUR = 12.50, 1250 JPY = 1250."""
    return Decimal(amount_minor).scaleb(-exponent(currency))


def _record(
    name: str,
    currency: str,
    amount_minor: int | None,
    *,
    section: str | None = None,
    kind: str | None = None,
    at: datetime | None = None,
    object_id: str | None = None,
    reference: str | None = None,
    entry: str | None = None,
    count: int | None = None,
) -> Record:
    return {
        "record": name,
        "section": str(section) if section else None,
        "kind": kind,
        "at": at,
        "object_id": object_id,
        "reference": reference,
        "entry": entry,
        "count": count,
        "amount": None if amount_minor is None else in_units(amount_minor, currency),
        "amount_minor": amount_minor,
        "currency": currency,
    }
