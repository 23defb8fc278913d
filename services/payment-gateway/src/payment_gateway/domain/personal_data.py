"""Personal data of one subject: sealed under that subject's key wherever it lies, a token wherever it leaves.

`{"subject": "sub_…", "sealed": ["…"]}` stands in the place of what a merchant told us of a person: in rows, and in the
answers that keys repeat. A list, because what merchants may name as they like (metadata) holds texts alone: nobody can
write what we would take for sealed. It is opened at the merchants' own doors alone. What else leaves the gateway has
the token and no ciphertext. Destroying the subject's key is the erasure: all ciphertext is noise from then on.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from payment_gateway.domain.envelope import Tampered, open_bytes, seal_bytes

ERASED: Final = {"erased": True}
"""What is shown in the place of what nobody can open any more."""

_LEAVES: Final = frozenset({str, int, float, bool, type(None)})
"""What nothing can be sealed in: most of an answer, and to ask whether a text is a `Mapping` takes longest."""

Named = tuple[str, str]
"""A subject as somebody names it: the merchant whose it is to be, and its id."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Somebody whom a merchant told us about. `id` is the token that everything else knows them by."""

    id: str
    key: bytes = field(repr=False)

    def seal(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values as they are kept; new ciphertext each time."""
        sealed = seal_bytes(self.key, orjson.dumps(values), _bound_to(self.id))
        return {"subject": self.id, "sealed": [base64.b64encode(sealed).decode()]}

    def open(self, sealed: Mapping[str, Any]) -> dict[str, Any]:
        """What `seal` was given. Raises Tampered."""
        if sealed["subject"] != self.id:
            raise Tampered(f"a value of {sealed['subject']} is not of {self.id}")
        ciphertext = base64.b64decode(sealed["sealed"][0])
        values: dict[str, Any] = orjson.loads(open_bytes(self.key, ciphertext, _bound_to(self.id)))
        return values


def _bound_to(subject_id: str) -> str:
    return f"personal {subject_id}"


def is_sealed(value: Any) -> bool:
    return isinstance(value, Mapping) and "subject" in value and isinstance(value.get("sealed"), list)


def member_of(sealed: Mapping[str, Any], name: str) -> dict[str, Any]:
    """One member of what is sealed, to be shown alone once it is opened."""
    return {"subject": sealed["subject"], "sealed": sealed["sealed"], "member": name}


def token_of(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What leaves the gateway: who it is about, by token. What an older version kept in clear leaves as nothing."""
    return {"subject": value["subject"]} if value and is_sealed(value) else None


def with_payer(data: Any, customer: Mapping[str, Any] | None) -> Any:
    """An event's data for its merchant: what the payment has of the payer, in the place of the token."""
    payment = data.get("payment") if isinstance(data, Mapping) else None
    told = payment.get("customer") if payment else None
    if not payment or not told or not customer:
        return data
    return {**data, "payment": {**payment, "customer": customer}}


def subjects_in(value: Any) -> set[str]:
    """Whose keys it takes to open all that is sealed in an answer."""
    found: set[str] = set()
    rest = [value]
    while rest:
        one = rest.pop()
        if type(one) in _LEAVES:
            continue
        if isinstance(one, Mapping):
            if is_sealed(one):
                found.add(one["subject"])
            else:
                rest.extend(one.values())
        elif isinstance(one, list):
            rest.extend(one)
    return found


def of_merchant(subjects: Mapping[Named, Subject], merchant_id: str | None) -> Mapping[str, Subject]:
    """One merchant's of several merchants' subjects, by their ids."""
    return {subject_id: one for (owner, subject_id), one in subjects.items() if owner == merchant_id}


def opened(value: Any, subjects: Mapping[str, Subject]) -> Any:
    """An answer with what is sealed in it opened; a subject that is not in `subjects` was erased. Raises Tampered."""
    if type(value) in _LEAVES:
        return value
    if isinstance(value, Mapping):
        if is_sealed(value):
            return _opened_one(value, subjects.get(value["subject"]))
        return {name: opened(one, subjects) for name, one in value.items()}
    if isinstance(value, list):
        return [opened(one, subjects) for one in value]
    return value


def _opened_one(sealed: Mapping[str, Any], subject: Subject | None) -> Any:
    if "member" in sealed:
        return None if subject is None else subject.open(sealed).get(sealed["member"])
    beside = {name: one for name, one in sealed.items() if name not in ("subject", "sealed")}
    return beside | (ERASED if subject is None else subject.open(sealed))


def named_reference(customer: Mapping[str, Any]) -> str | None:
    """By what a payer is found again at the next payment: the merchant's own id of them, else the e-mail."""
    if customer.get("id"):
        return f"id:{customer['id']}"
    if customer.get("email"):
        return f"email:{customer['email'].lower()}"
    return None


def payer_reference(customer: Mapping[str, Any], payment_id: str) -> str:
    """By what a payment's payer is found again: as `named_reference` says, else by the payment."""
    return named_reference(customer) or f"payment:{payment_id}"


def saved_reference(customer_id: str) -> str:
    """A saved customer is the payer of the payments that name it."""
    return f"id:{customer_id}"


def method_reference(payment_method_id: str) -> str:
    """Billing details are a subject of their own until they are given up: a payment method may be nobody's."""
    return f"method:{payment_method_id}"
