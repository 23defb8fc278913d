"""The platform's bank, as far as channels pay out to it: one statement per day and currency, as camt.053 or MT940.

What a channel settled on a day arrives on the next one: charges less refunds, lost disputes and fees, as one line named
`<channel>-<day>-<currency>`. The account is swept each night, so every statement begins at zero. Made from the journals
alone: the same day gives the same bytes whenever it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Final

import orjson

from payment_gateway.clients.simulators.book import Book
from payment_gateway.clients.simulators.settlement import FeePlan
from platform_kit.money import plain_minor

ACCOUNT: Final = "PLATFORM"
CAMT: Final = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"


def entries_of(channels: Iterable[tuple[Book, FeePlan]], day: date, currency: str) -> list[tuple[str, int]]:
    """The bookings of `day`: (batch, minor units), of what each channel settled the day before."""
    settled_on = day - timedelta(days=1)
    found = []
    for book, fees in channels:
        net = _net(book, fees, settled_on, currency)
        if net:
            found.append((f"{book.channel}-{settled_on:%Y%m%d}-{currency}", net))
    return found


def _net(book: Book, fees: FeePlan, day: date, currency: str) -> int:
    net = 0
    for seq in book.money_lines(day.isoformat()):
        for raw in book.journal.read(seq - 1, 1):
            line = orjson.loads(raw)
            if line["currency"] == currency:
                charged = int(line.get("charged_minor", 0))
                net += (
                    (charged - fees.fee_minor(charged, currency)) if charged else -int(line["refunded_minor"])
                )
    return net


def camt053(day: date, currency: str, entries: list[tuple[str, int]]) -> bytes:
    """The statement as ISO 20022 has it."""
    name, stamp = f"STMT{day:%Y%m%d}{currency}", day.isoformat()

    def amount(minor: int) -> str:
        mark = "CRDT" if minor >= 0 else "DBIT"
        return f'<Amt Ccy="{currency}">{plain_minor(abs(minor), currency)}</Amt><CdtDbtInd>{mark}</CdtDbtInd>'

    def balance(code: str, minor: int) -> str:
        kind = f"<Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>"
        return f"<Bal>{kind}{amount(minor)}<Dt><Dt>{stamp}</Dt></Dt></Bal>\n"

    lines = "".join(
        f"<Ntry>{amount(minor)}<Sts><Cd>BOOK</Cd></Sts><BookgDt><Dt>{stamp}</Dt></BookgDt>"
        f"<ValDt><Dt>{stamp}</Dt></ValDt><NtryDtls><TxDtls><Refs><EndToEndId>{batch}</EndToEndId></Refs></TxDtls>"
        "</NtryDtls></Ntry>\n"
        for batch, minor in entries
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="{CAMT}"><BkToCstmrStmt>\n'
        f"<GrpHdr><MsgId>{name}</MsgId><CreDtTm>{stamp}T23:59:59Z</CreDtTm></GrpHdr>\n"
        f"<Stmt><Id>{name}</Id><ElctrncSeqNb>{_number(day)}</ElctrncSeqNb><CreDtTm>{stamp}T23:59:59Z</CreDtTm>\n"
        f"<Acct><Id><Othr><Id>{ACCOUNT}</Id></Othr></Id><Ccy>{currency}</Ccy></Acct>\n"
        f"{balance('OPBD', 0)}{balance('CLBD', sum(minor for _, minor in entries))}"
        f"{lines}</Stmt></BkToCstmrStmt></Document>\n"
    ).encode()


def mt940(day: date, currency: str, entries: list[tuple[str, int]]) -> bytes:
    """The statement as SWIFT has it."""

    def signed(minor: int) -> tuple[str, str]:
        text = plain_minor(abs(minor), currency).replace(".", ",")
        return "C" if minor >= 0 else "D", text if "," in text else text + ","

    def balance(minor: int) -> str:
        mark, text = signed(minor)
        return f"{mark}{day:%y%m%d}{currency}{text}"

    lines = [
        f":20:STMT{day:%Y%m%d}{currency}",
        f":25:{ACCOUNT}",
        f":28C:{_number(day)}/1",
        f":60F:{balance(0)}",
    ]
    for batch, minor in entries:
        lines += [f":61:{day:%y%m%d}{day:%m%d}{''.join(signed(minor))}NTRFNONREF", f":86:{batch}"]
    lines += [f":62F:{balance(sum(minor for _, minor in entries))}", "-", ""]
    return "\r\n".join(lines).encode()


FORMATS: Final = {"camt053": camt053, "mt940": mt940}


def _number(day: date) -> int:
    return day.timetuple().tm_yday
