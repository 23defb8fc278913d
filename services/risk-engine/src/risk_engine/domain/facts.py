"""What a rule may read: the declared names and types, and how they are built for one payment.

Facts are flat scalars, never null (a missing text is "", a missing count 0), so that every name in a rule can be
checked when the rule is saved and no rule can fail on a value that happens to be absent.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from risk_engine.domain import links, velocity
from risk_engine.domain.failure_policy import Band
from risk_engine.domain.features import amount_ratio
from risk_engine.domain.rules import RuleSet

Fact = int | float | str | bool
LIST_FACT = "list_"  # a list's name follows: whether this payment is on it
BIN_DIGITS = 6  # of 6 or 8: those that every card shows
NIGHT_ENDS_HOUR = 6  # the handbook's night: hour <= 6


@dataclass(frozen=True, slots=True)
class Subject:
    """One payment to assess, as the domain sees it. Card, device and addresses are fingerprints, never raw values."""

    merchant_id: str
    key: str  # one decision per (merchant, key): a retried request counts once, also under a new payment id
    payment_id: str
    amount_minor: int
    currency: str
    method: str  # card | wallet | bank
    occurred_at: datetime
    card: str = ""
    customer_id: str = ""
    country: str = ""  # ISO 3166 alpha-2 of the customer
    ip: str = ""
    ip_country: str = ""  # where that address is, by the table of addresses
    device: str = ""
    email: str = ""
    terminal: str = ""  # where the merchant took the payment: a till, a point of sale
    card_bin: str = ""  # the card's first 6 or 8 digits
    card_country: str = ""  # ISO 3166 alpha-2 of the issuer

    @property
    def event_id(self) -> str:
        """What the windows know this payment by."""
        return fingerprint("decision", f"{self.merchant_id}/{self.key}")

    @property
    def occurred_at_ms(self) -> int:
        """Event time in milliseconds: what every window is measured from, never the wall clock."""
        return int(self.occurred_at.timestamp() * 1000)

    def entities(self) -> dict[str, str]:
        """The entities whose windows this payment has; a customer without an id is known by the card."""
        customer = (
            fingerprint("customer", f"{self.merchant_id}/{self.customer_id}")
            if self.customer_id
            else self.card
        )
        return velocity.entities_of(
            self.card,
            customer,
            self.device,
            self.ip,
            self.merchant_id,
            self.terminal,
            self.email,
            f"{self.merchant_id}/{self.card_bin[:BIN_DIGITS]}" if self.card_bin else "",
        )


def fingerprint(kind: str, value: str) -> str:
    """A stable name for a card token, device or address that does not give it away; "" stays "".

    The assessment log is append-only, so it must hold nothing that a person may ask to have deleted.
    """
    return hashlib.blake2b(f"{kind}:{value}".encode(), digest_size=12).hexdigest() if value else ""


INPUT_FACTS: Mapping[str, type] = MappingProxyType(
    {
        "amount_minor": int,  # in the payment's own currency
        "amount_reference_minor": int,  # in the rule set's reference currency, 0 when it has no rate
        "amount_band": str,  # low | medium | high | very_high
        "currency": str,
        "method": str,  # card | wallet | bank
        "has_card": bool,
        "has_customer": bool,
        "has_device": bool,
        "has_email": bool,
        "customer_country": str,
        "card_country": str,
        "countries_differ": bool,  # the customer's and the card's, when both are known
        "ip_country": str,  # where the address is
        "ip_card_differ": bool,  # the address's country and the card's, when both are known
        "ip_customer_differ": bool,
        "hour": int,  # UTC, 0-23, of the event time
        "is_weekend": bool,
        "is_night": bool,
    }
)
SCORE_FACTS: Mapping[str, type] = MappingProxyType({"score": int})
VELOCITY_FACTS: Mapping[str, type] = MappingProxyType(
    {name: bool if name.endswith("_saturated") else int for name in sorted(velocity.FACTS)}
    | dict(links.FACTS)
    | {"amount_ratio_30d": float}  # amount against the customer's mean of 30 days, 1.0 for the first payment
)
FACTS: Mapping[str, type] = MappingProxyType({**INPUT_FACTS, **SCORE_FACTS, **VELOCITY_FACTS})


def type_of(name: str) -> type | None:
    """The type of a fact; None when there is none of this name. Which lists there are is checked when rules are saved:
    a list that is gone has nobody on it."""
    return FACTS.get(name) or (bool if name.startswith(LIST_FACT) else None)


def build_facts(
    subject: Subject,
    band: Band,
    reference_minor: int | None,
    windows: Mapping[str, int | bool],
    score: int | None,
) -> dict[str, Fact]:
    """All declared facts of one payment; what is unknown has its default."""
    amount = reference_minor or 0
    return {
        "amount_minor": subject.amount_minor,
        "amount_reference_minor": amount,
        "amount_band": band.value,
        "currency": subject.currency,
        "method": subject.method,
        "has_card": bool(subject.card),
        "has_customer": bool(subject.customer_id),
        "has_device": bool(subject.device),
        "has_email": bool(subject.email),
        "customer_country": subject.country,
        "card_country": subject.card_country,
        "countries_differ": _differ(subject.card_country, subject.country),
        "ip_country": subject.ip_country,
        "ip_card_differ": _differ(subject.ip_country, subject.card_country),
        "ip_customer_differ": _differ(subject.ip_country, subject.country),
        "hour": subject.occurred_at.hour,
        "is_weekend": is_weekend(subject.occurred_at),
        "is_night": is_night(subject.occurred_at),
        "score": score or 0,
        **windows,
        "amount_ratio_30d": amount_ratio(amount, windows["customer_sum_30d"], windows["customer_count_30d"]),
    }


def _differ(one: str, other: str) -> bool:
    return "" != one != other != ""


def no_windows() -> dict[str, int | bool]:
    """Every fact that Redis gives, at its default: nothing was seen, nobody is known."""
    return velocity.empty_windows() | links.no_memory()


def sized_facts(rule_set: RuleSet, facts: Mapping[str, Fact]) -> tuple[dict[str, Fact], Band]:
    """The same facts with the amount sized by another rule set's bands and rates, and its band there."""
    amount_minor, currency = int(facts["amount_minor"]), str(facts["currency"])
    band = rule_set.band_of(amount_minor, currency)
    sized = {
        "amount_reference_minor": rule_set.reference_minor(amount_minor, currency) or 0,
        "amount_band": band.value,
    }
    return {**facts, **sized}, band


def is_weekend(at: datetime) -> bool:
    """Saturday or Sunday, UTC."""
    return at.weekday() >= 5


def is_night(at: datetime) -> bool:
    """Hour 0 to 6, UTC."""
    return at.hour <= NIGHT_ENDS_HOUR
