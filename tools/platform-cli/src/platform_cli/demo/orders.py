"""`examples/orders.csv`: one order a line, as a shop's checkout would know it."""

import csv
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import IO, Any


class Then(StrEnum):
    """What the shop does with the payment after it is made."""

    NOTHING = ""
    CAPTURE = "capture"  # these three: the order is only authorised first
    PARTIAL_CAPTURE = "partial_capture"
    VOID = "void"
    REFUND = "refund"
    PARTIAL_REFUND = "partial_refund"
    REPLAY = "replay"  # the answer was lost: the same request with the same key again
    PASS_CHALLENGE = "pass_challenge"  # noqa: S105 - the customer's part of 3-D Secure
    FAIL_CHALLENGE = "fail_challenge"
    ABANDON_CHALLENGE = "abandon_challenge"


@dataclass(frozen=True, slots=True)
class Order:
    """`amount_minor` counts the currency's smallest unit: cents, whole yen, fils. `placed_at` is UTC."""

    order: str
    placed_at: str
    amount_minor: int
    currency: str
    method: str  # card or wallet
    card_token: str
    customer_id: str
    country: str
    ip: str
    device_id: str
    email: str
    story: str  # why it is in the file: shopping, declined, issuer_challenge, bad_line, stolen_card, ...
    then: Then = Then.NOTHING

    @property
    def is_manual(self) -> bool:
        """Authorised first, captured or voided later."""
        return self.then in {Then.CAPTURE, Then.PARTIAL_CAPTURE, Then.VOID}

    def request(self) -> dict[str, Any]:
        """The body of POST /v1/payments."""
        card = {"type": "card", "card": {"token": self.card_token}}
        return {
            "amount_minor": self.amount_minor,
            "currency": self.currency,
            "capture": "manual" if self.is_manual else "automatic",
            "method": card if self.method == "card" else {"type": "wallet", "wallet": {"provider": "qr"}},
            "reference": self.order,
            "description": f"Order {self.order}",
            "customer": {
                "id": self.customer_id,
                "country": self.country,
                "ip": self.ip,
                "device_id": self.device_id,
                "email": self.email,
            },
            "metadata": {"story": self.story},
        }


def read_orders(file: Path) -> list[Order]:
    """All orders of the file. Raises ValueError naming the line that is wrong."""
    with file.open(newline="", encoding="utf-8") as source:
        return [_order(number, row) for number, row in enumerate(csv.DictReader(source), start=2)]


def _order(number: int, row: dict[str, str]) -> Order:
    try:
        known = {field.name: row[field.name] for field in fields(Order)}
        return Order(**{**known, "amount_minor": int(row["amount_minor"]), "then": Then(row["then"])})  # type: ignore[arg-type]
    except (KeyError, ValueError, TypeError) as error:
        raise ValueError(f"line {number}: {error}") from error


def write_orders(orders: list[Order], target: IO[str]) -> None:
    """Write them with a header line."""
    writer = csv.DictWriter(target, [field.name for field in fields(Order)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(order) for order in orders)
