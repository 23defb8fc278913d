"""Customers and their saved payment methods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from payment_gateway.domain.cards import card_of_token
from payment_gateway.domain.personal_data import member_of
from platform_kit.clock import isoformat


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody who pays a merchant more than once."""

    id: str
    merchant_id: str
    created_at: datetime
    updated_at: datetime
    personal: Mapping[str, Any] | None = None
    """What the merchant says of them, sealed: name, email, description, metadata. None once they are deleted."""
    email_hash: str | None = None
    """By which they are found: a keyed fingerprint of the e-mail as it was written."""
    deleted_at: datetime | None = None
    in_clear: Mapping[str, Any] = field(default_factory=dict)
    """What a process of an older version has written of `personal`, and nobody has sealed yet: it is the newer word."""


@dataclass(frozen=True, slots=True)
class PaymentMethod:
    """A way to pay that can be named again. `method` is what a channel is asked with: a card by the vault's token or a
    test token, never by number; `card` is what may be shown of it."""

    id: str
    merchant_id: str
    type: str
    method: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime
    card: Mapping[str, Any] | None = None
    customer_id: str | None = None
    billing_details: Mapping[str, Any] = field(default_factory=dict)
    """Sealed, or empty."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    detached_at: datetime | None = None
    """Given up for good: it can neither pay nor be attached again."""

    @property
    def vault_card(self) -> str | None:
        """The vault's token, of a card that was given by number."""
        token = self.method.get("token")
        return token if isinstance(token, str) and is_vault_token(token) else None

    @property
    def stored(self) -> dict[str, Any]:
        """The `method` of a payment with it. `identity`, `bin` and `country` are for risk and for nobody to see."""
        shown = dict(self.card or {})
        card = (
            {name: shown.get(name) for name in ("brand", "last4", "exp_month", "exp_year")} if shown else None
        )
        told = {"identity": "fingerprint", "bin": "bin", "country": "country"}
        known = {name: shown[member] for name, member in told.items() if shown.get(member)}
        return {**self.method, "payment_method": self.id, **({"shown": card} if card else {}), **known}


@dataclass(frozen=True, slots=True)
class Verification:
    """What a check without money found: passed, or up to the payer, or refused with `code`."""

    outcome: str  # succeeded | action_required | declined
    code: str | None = None


def is_usable_for(method: PaymentMethod, customer_id: str | None) -> bool:
    """Whether a payment of this customer (None: of nobody in particular) may name the payment method."""
    return customer_id is None or method.customer_id in (None, customer_id)


def is_vault_token(token: str) -> bool:
    """Whether a card token is the vault's, to be opened before a channel sees the card."""
    return token.startswith("card_")


def verification_of_token(token: str) -> Verification:
    """What the issuer of a test token says about the card without charging it."""
    test_card = card_of_token(token)
    if test_card is None:
        return Verification("succeeded")
    if test_card.refusal:
        return Verification("declined", test_card.refusal)
    return Verification("action_required" if test_card.needs_action else "succeeded")


NOTHING_SAID: Final[Mapping[str, Any]] = {"name": None, "email": None, "description": None, "metadata": {}}
"""Of somebody of whom the merchant has said nothing yet."""


def customer_object(customer: Customer) -> dict[str, Any]:
    """What a merchant sees of a customer, once it is opened."""
    said = customer.personal
    return {
        "id": customer.id,
        "object": "customer",
        **({name: member_of(said, name) for name in NOTHING_SAID} if said else NOTHING_SAID),
        **customer.in_clear,
        "created_at": isoformat(customer.created_at),
        "updated_at": isoformat(customer.updated_at),
    }


def payment_method_object(method: PaymentMethod) -> dict[str, Any]:
    """What a merchant sees of a payment method: of a card at most its first six and last four digits."""
    own = {"card": method.card} if method.type == "card" else {method.type: _details(method)}
    return {
        "id": method.id,
        "object": "payment_method",
        "type": method.type,
        **own,
        "customer_id": method.customer_id,
        "billing_details": method.billing_details,
        "metadata": method.metadata,
        "detached_at": isoformat(method.detached_at) if method.detached_at else None,
        "created_at": isoformat(method.created_at),
        "updated_at": isoformat(method.updated_at),
    }


def _details(method: PaymentMethod) -> dict[str, Any]:
    return {name: value for name, value in method.method.items() if name != "type"}
