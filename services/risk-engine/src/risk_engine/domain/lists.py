"""Lists: who is on them, and how a rule asks.

A list has a type, which says what of a payment is looked for on it. A rule reads a list as the fact `list_<name>`: true
when this payment's card (address, country, ...) is on it at that moment. So membership costs one look-up for each list
that the rules name, never a copy of the list, and stands among the facts of the decision for replay and audit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from risk_engine.domain.facts import LIST_FACT, Subject, fingerprint
from risk_engine.domain.fingerprints import KEYED, Fingerprints

ENTRIES_MAX = 200_000  # on all lists together: about 40 MB in each process
NAME = re.compile(r"[a-z][a-z0-9_]{1,47}")


class ListType(StrEnum):
    CARD = "card"  # the card's token
    CUSTOMER = "customer"  # <merchant id>/<token of the customer>
    EMAIL = "email"
    IP = "ip"
    DEVICE = "device"
    BIN = "bin"  # 6 or 8 digits: the card begins with them
    COUNTRY = "country"  # of the customer, ISO 3166 alpha-2
    MERCHANT = "merchant"


_SHAPES: Mapping[ListType, str] = {
    ListType.CUSTOMER: r"[A-Za-z0-9_.:-]{1,64}/sub_[0-9a-z_]{1,60}",
    ListType.EMAIL: r"[^@\s]{1,64}@[^@\s]{1,190}",
    ListType.BIN: r"[0-9]{6}|[0-9]{8}",
    ListType.COUNTRY: r"[A-Z]{2}",
    ListType.MERCHANT: r"[A-Za-z0-9_.:-]{1,64}",
}
_ANYTHING = r"[^\x00-\x1f\x7f]{1,128}"
_WORDS: Mapping[ListType, str] = {
    ListType.CUSTOMER: "a customer is met by token, <merchant id>/sub_…, as decisions and the console show it: the "
    "merchant's own id is on no payment",
    ListType.EMAIL: "an e-mail address has an @",
    ListType.BIN: "a bin has 6 or 8 digits",
    ListType.COUNTRY: "a country has two capital letters, as DE",
}


def fault_of(kind: ListType, value: str) -> str | None:
    """Why no payment can meet this value on a list of the type, in a sentence; None when one can. Entries of earlier
    releases may have one."""
    if re.fullmatch(_SHAPES.get(kind, _ANYTHING), value):
        return None
    return f"not the value of a list of type {kind}" + (f": {_WORDS[kind]}" if kind in _WORDS else "")


def forms_of(kind: ListType, value: str, fingerprints: Fingerprints) -> list[str]:
    """How an entry's value is kept and compared, the newest form first, and older ones that it may stand there in: what
    may name a person only as its fingerprint. Raises ValueError with a sentence for a value that no payment of this
    type can have."""
    if fault := fault_of(kind, value):
        raise ValueError(fault)
    if kind in (ListType.BIN, ListType.COUNTRY, ListType.MERCHANT):
        return [value]
    return fingerprints.forms_of(kind.value, value.lower() if kind is ListType.EMAIL else value)


def upgraded(entry: Entry, fingerprints: Fingerprints) -> Entry:
    """An entry of before as payments are compared with it now."""
    if entry.type.value not in KEYED:
        return entry
    return replace(entry, entity=fingerprints.upgraded(entry.entity))


def entities_of(kind: ListType, subject: Subject) -> tuple[str, ...]:
    """What of a payment is looked for on lists of a type; nothing when it is unknown."""
    found = _ENTITIES[kind](subject)
    return tuple(one for one in found if one)


def _customer(subject: Subject) -> tuple[str, ...]:
    if not subject.customer_id:
        return ()
    return (fingerprint("customer", f"{subject.merchant_id}/{subject.customer_id}"),)


_ENTITIES: Mapping[ListType, Callable[[Subject], tuple[str, ...]]] = {
    ListType.CARD: lambda subject: (subject.card,),
    ListType.CUSTOMER: _customer,
    ListType.EMAIL: lambda subject: (subject.email,),
    ListType.IP: lambda subject: (subject.ip,),
    ListType.DEVICE: lambda subject: (subject.device,),
    ListType.BIN: lambda subject: (
        subject.card_bin[:6],
        subject.card_bin if len(subject.card_bin) == 8 else "",
    ),
    ListType.COUNTRY: lambda subject: (subject.country,),
    ListType.MERCHANT: lambda subject: (subject.merchant_id,),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """An entity on a list until `expires_at`, or for good; `is_removed` takes it off."""

    list: str
    type: ListType
    entity: str
    expires_at: datetime | None
    is_removed: bool = False


class Lists:
    """All lists in memory: for each the entities on it, and until when."""

    def __init__(self) -> None:
        self._types: dict[str, ListType] = {}
        self._entries: dict[str, dict[str, datetime | None]] = {}

    def names(self) -> Mapping[str, ListType]:
        """The lists there are."""
        return dict(self._types)

    def declare(self, name: str, kind: ListType) -> None:
        """A list exists, with nobody on it yet."""
        self._types[name] = kind
        self._entries.setdefault(name, {})

    def apply(self, changes: Iterable[Entry]) -> None:
        """Bring entries on and off, in the order that they were made."""
        for change in changes:
            self.declare(change.list, change.type)
            if change.is_removed:
                self._entries[change.list].pop(change.entity, None)
            else:
                self._entries[change.list][change.entity] = change.expires_at

    def facts(self, names: Iterable[str], subject: Subject, now: datetime) -> dict[str, bool]:
        """`list_<name>` for each of the names; a list that is not known has nobody on it."""
        return {LIST_FACT + name: self._is_on(name, subject, now) for name in names}

    def _is_on(self, name: str, subject: Subject, now: datetime) -> bool:
        entries = self._entries.get(name)
        if not entries:
            return False
        found = (entries[one] for one in entities_of(self._types[name], subject) if one in entries)
        return any(until is None or until > now for until in found)

    def forget_ended(self, now: datetime) -> None:
        """Drop entries whose time is over: they answer no more, and would fill the process."""
        for entries in self._entries.values():
            ended = [one for one, until in entries.items() if until is not None and until <= now]
            for one in ended:
                del entries[one]
