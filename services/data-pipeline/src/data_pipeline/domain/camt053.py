"""ISO 20022 camt.053, the bank-to-customer statement: its one reader and its one writer.

Read is what `generate` writes: one statement of one account with opening (OPBD) and closing (CLBD) booked balance, and
entries whose end-to-end id names them. Everything else is refused, so `generate(parse(f)) == f`.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final
from xml.etree import ElementTree

from data_pipeline.domain.statements import (
    RefusedStatement,
    Statement,
    StatementEntry,
    StatementFault,
    checked,
    to_decimal,
    to_minor,
)
from platform_kit.money import CURRENCIES

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"
DECLARATION: Final = b'<?xml version="1.0" encoding="UTF-8"?>\n'
_N: Final = {"c": NAMESPACE}
_AMOUNT: Final = re.compile(r"([0-9]{1,13})(?:\.([0-9]{1,4}))?")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_ACCOUNT: Final = re.compile(r"[A-Z0-9]{1,34}")
_NUMBER: Final = re.compile(r"[0-9]{1,5}")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def generate(statement: Statement) -> bytes:
    """The same statement gives the same bytes: no clock is in it, the message is named after day and currency."""
    day, currency = statement.booked_on.isoformat(), statement.currency
    name = f"STMT{statement.booked_on:%Y%m%d}{currency}"
    entries = "".join(_entry(entry, day, currency) for entry in statement.entries)
    return (
        DECLARATION
        + (
            f'<Document xmlns="{NAMESPACE}"><BkToCstmrStmt>\n'
            f"<GrpHdr><MsgId>{name}</MsgId><CreDtTm>{day}T23:59:59Z</CreDtTm></GrpHdr>\n"
            f"<Stmt><Id>{name}</Id><ElctrncSeqNb>{statement.number}</ElctrncSeqNb>"
            f"<CreDtTm>{day}T23:59:59Z</CreDtTm>\n"
            f"<Acct><Id><Othr><Id>{statement.account}</Id></Othr></Id><Ccy>{currency}</Ccy></Acct>\n"
            f"{_balance('OPBD', statement.opening_minor, day, currency)}"
            f"{_balance('CLBD', statement.closing_minor, day, currency)}"
            f"{entries}</Stmt></BkToCstmrStmt></Document>\n"
        ).encode()
    )


def parse(raw: bytes) -> Statement | RefusedStatement:
    """Read one statement, whole or not at all."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return RefusedStatement(StatementFault.NOT_UTF8, "It is no UTF-8.")
    # In another encoding, which a mark or a declaration would choose, a document type looks otherwise.
    if not raw.startswith(DECLARATION) or "<!" in text:
        return _bad("It begins with the XML declaration of UTF-8, and has no document type and no comment.")
    try:
        root = ElementTree.fromstring(raw)  # noqa: S314 - see above
    except (ElementTree.ParseError, ValueError, LookupError):
        return _bad("It is no XML.")
    currency = _text(root, ".//c:Acct/c:Ccy")
    if currency not in CURRENCIES:
        return RefusedStatement(StatementFault.UNKNOWN_CURRENCY, "Ccy is no active ISO 4217 code.")
    account, number = _text(root, ".//c:Acct/c:Id/c:Othr/c:Id"), _text(root, ".//c:Stmt/c:ElctrncSeqNb")
    day = _day(_text(root, ".//c:Bal/c:Dt/c:Dt"))
    balances = [_minor(one, currency) for one in root.findall(".//c:Stmt/c:Bal", _N)]
    if not _ACCOUNT.fullmatch(account) or not _NUMBER.fullmatch(number) or day is None or len(balances) != 2:
        return _bad("Acct, ElctrncSeqNb or the two balances are missing.")
    entries = []
    for found in root.findall(".//c:Stmt/c:Ntry", _N):
        minor, name = _minor(found, currency), _text(found, "./c:NtryDtls/c:TxDtls/c:Refs/c:EndToEndId")
        if minor is not None and found.find("./c:Amt", _N).get("Ccy") != currency:  # type: ignore[union-attr]
            return RefusedStatement(StatementFault.OTHER_CURRENCY, "An entry is of another currency.")
        if not minor or not _NAME.fullmatch(name):
            return _bad("An entry has no amount of the account's currency, or no end-to-end id.")
        if _text(found, "./c:BookgDt/c:Dt") != day.isoformat():
            return RefusedStatement(StatementFault.OTHER_DAY, "An entry is of another day.")
        entries.append(StatementEntry(minor, name))
    opening, closing = balances
    if opening is None or closing is None:
        return _bad("A balance is no amount of the account's currency.")
    read = Statement(account, int(number), currency, day, opening, closing, tuple(entries))
    return (
        checked(read) if generate(read) == raw else _bad("It has more, or other, than a statement of ours.")
    )


def _balance(code: str, minor: int, day: str, currency: str) -> str:
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>{_amount(minor, currency)}"
        f"<Dt><Dt>{day}</Dt></Dt></Bal>\n"
    )


def _entry(entry: StatementEntry, day: str, currency: str) -> str:
    return (
        f"<Ntry>{_amount(entry.amount_minor, currency)}<Sts><Cd>BOOK</Cd></Sts>"
        f"<BookgDt><Dt>{day}</Dt></BookgDt><ValDt><Dt>{day}</Dt></ValDt>"
        f"<NtryDtls><TxDtls><Refs><EndToEndId>{entry.reference}</EndToEndId></Refs></TxDtls></NtryDtls></Ntry>\n"
    )


def _amount(minor: int, currency: str) -> str:
    mark = "CRDT" if minor >= 0 else "DBIT"
    return f'<Amt Ccy="{currency}">{to_decimal(minor, currency)}</Amt><CdtDbtInd>{mark}</CdtDbtInd>'


def _text(node: ElementTree.Element, path: str) -> str:
    found = node.find(path, _N)
    return (found.text or "") if found is not None else ""


def _minor(node: ElementTree.Element, currency: str) -> int | None:
    amount = _AMOUNT.fullmatch(_text(node, "./c:Amt"))
    mark = _text(node, "./c:CdtDbtInd")
    if amount is None or mark not in ("CRDT", "DBIT"):
        return None
    minor = to_minor(amount[1], amount[2] or "", currency)
    return minor if minor is None or mark == "CRDT" else -minor


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        return None


def _bad(detail: str) -> RefusedStatement:
    return RefusedStatement(StatementFault.BAD_FORM, detail)
