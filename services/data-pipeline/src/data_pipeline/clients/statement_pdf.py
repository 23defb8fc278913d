"""A statement as a PDF, drawn record by record. The same records give the same bytes: no clock, no chance.

The standard fonts know Latin letters only; a reference with others is shown with `?` here and whole in CSV and XLSX.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

LINES_MAX: Final = 2_000  # forty pages: more is for machines, and in the other two formats
LEFT, RIGHT, TOP, BOTTOM = 48, 547, 794, 56  # points on A4
LEADING: Final = 14
FONT, BOLD = "Helvetica", "Helvetica-Bold"
GREY, INK = 0.42, 0.08
NO_LINES: Final = "No movement touched the balance in this period."


class StatementPdf:
    """A file being drawn: heading and sums, then the lines, then how many there were."""

    def __init__(self, path: Path) -> None:
        from reportlab.lib.pagesizes import A4
        from reportlab.pdfgen.canvas import Canvas

        self._pdf = Canvas(str(path), pagesize=A4, invariant=1, pageCompression=1, lang="en")
        self._y, self._pages, self._lines = TOP, 1, 0
        self._title, self._accounts = "", dict[str, dict[str, str]]()

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        for row in rows:
            match row["record"]:
                case "statement":
                    self._head(row)
                case "opening":
                    self._sum("Opening balance", row, bold=True)
                case "merchant":
                    self._name(row)
                case "total":
                    self._sum(words(row["section"]).capitalize(), row)
                case "closing":
                    self._rule()
                    self._sum("Closing balance", row, bold=True)
                case "payout":
                    self._sum(f"To be paid out: {row['object_id']} to {row['kind']}", row)
                case "account":
                    self._account(row)
                case "line":
                    self._line(row)
                case "end":
                    self._end(row)

    def close(self) -> None:
        self._foot()
        self._pdf.save()

    def _head(self, row: Mapping[str, Any]) -> None:
        self._title = f"{row['object_id']} of {row['reference']}"
        self._pdf.setTitle(f"Settlement statement {row['object_id']}")
        self._pdf.setCreator("payment platform")
        self._text(LEFT, "Settlement statement", size=18, font=BOLD)
        self._down(26)
        for name, value in (
            ("Merchant", row["reference"]),
            ("Statement", row["object_id"]),
            ("Up to", when(row["at"])),
            ("Currency", row["currency"]),
        ):
            self._text(LEFT, name, grey=GREY)
            self._text(LEFT + 90, str(value))
            self._down()
        self._down()

    def _name(self, row: Mapping[str, Any]) -> None:
        """One more line of the head."""
        self._down(-LEADING)
        self._text(LEFT, "Name", grey=GREY)
        self._text(LEFT + 90, row["reference"])
        self._down()
        self._down()

    def _sum(self, name: str, row: Mapping[str, Any], *, bold: bool = False) -> None:
        font = BOLD if bold else FONT
        self._text(LEFT, name, font=font)
        self._right(RIGHT, amount(row), font=font)
        self._down()

    def _account(self, row: Mapping[str, Any]) -> None:
        """Two records an account; drawn as one row when both are here."""
        sides = self._accounts.setdefault(row["kind"], {})
        if len(self._accounts) == 1 and not sides:
            self._down()
            self._text(LEFT, "Accounts in the ledger", font=BOLD)
            for place, heading in ((430, "before"), (RIGHT, "after")):
                self._right(place, heading, grey=GREY)
            self._down()
        sides[row["section"]] = amount(row)
        if len(sides) == 2:
            self._text(LEFT, words(row["kind"]))
            self._right(430, sides["opening"])
            self._right(RIGHT, sides["closing"])
            self._down()

    def _line(self, row: Mapping[str, Any]) -> None:
        self._lines += 1
        if self._lines > LINES_MAX:
            return
        if self._lines == 1:
            self._down()
            self._lines_head()
        self._text(LEFT, when(row["at"])[:19], size=8)
        self._text(LEFT + 92, fitting(words(row["kind"]), 22), size=8)
        self._text(LEFT + 188, row["object_id"], size=7, grey=GREY)
        self._text(LEFT + 330, fitting(row["reference"] or "", 24), size=8)
        self._right(RIGHT, amount(row), size=8)
        self._down(11)

    def _lines_head(self) -> None:
        for place, name in ((0, "Time (UTC)"), (92, "Movement"), (188, "Of"), (330, "Your reference")):
            self._text(LEFT + place, name, size=8, font=BOLD)
        self._right(RIGHT, "Amount", size=8, font=BOLD)
        self._down(11)

    def _end(self, row: Mapping[str, Any]) -> None:
        left_out = self._lines - LINES_MAX
        if left_out > 0:
            self._text(LEFT, f"{left_out:,} more lines are in the CSV and XLSX statement.", size=8, grey=GREY)
            self._down()
        if not self._lines:
            self._text(LEFT, NO_LINES, grey=GREY)
            self._down()
        self._down(6)
        self._rule()
        self._sum(f"{row['count']:,} {'line' if row['count'] == 1 else 'lines'}", row, bold=True)

    def _rule(self) -> None:
        self._pdf.setStrokeGray(0.75)
        self._pdf.line(LEFT, self._y + 10, RIGHT, self._y + 10)

    def _down(self, by: int = LEADING) -> None:
        self._y -= by
        if self._y >= BOTTOM:
            return
        self._foot()
        self._pdf.showPage()
        self._y, self._pages = TOP, self._pages + 1
        if 0 < self._lines <= LINES_MAX:
            self._lines_head()

    def _foot(self) -> None:
        y, self._y = self._y, BOTTOM - 24
        self._text(LEFT, self._title, size=7, grey=GREY)
        self._right(RIGHT, f"page {self._pages}", size=7, grey=GREY)
        self._y = y

    def _text(self, x: int, text: str, *, size: int = 10, font: str = FONT, grey: float = INK) -> None:
        self._pdf.setFont(font, size)
        self._pdf.setFillGray(grey)
        self._pdf.drawString(x, self._y, known(text))

    def _right(self, x: int, text: str, *, size: int = 10, font: str = FONT, grey: float = INK) -> None:
        self._pdf.setFont(font, size)
        self._pdf.setFillGray(grey)
        self._pdf.drawRightString(x, self._y, known(text))


def known(text: str) -> str:
    """What the standard fonts can show of it; control characters are none of it."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text)
    return shown.encode("cp1252", "replace").decode("cp1252")


def amount(row: Mapping[str, Any]) -> str:
    value: Decimal = row["amount"]
    return f"{value:,f} {row['currency']}"


def when(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def words(name: str) -> str:
    return name.replace("_", " ")


def fitting(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"
