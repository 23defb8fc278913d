"""Find payments for the platform's operators by what a payer says of themselves: an e-mail, or a card's last four
digits.

Neither leaves this service. An e-mail is looked up by its keyed fingerprints, a merchant's own each: of payers whom the
merchant named by nothing else, and of saved customers. Whoever was named by an id of the merchant's is found by that id
alone: their e-mail is sealed, and nobody can search what is sealed (docs/privacy.md). That somebody searched, who it
was and by what, stands in the audit log; for whom does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from payment_gateway.domain.audit import Actor, Entry
from payment_gateway.domain.cards import card_of_token, tokens_ending
from payment_gateway.operations.deps import Deps
from payment_gateway.store import audit_log, payment_search
from platform_kit.clock import isoformat

FOUND_MAX: Final = 50
LOOKED_AT: Final = 20_000
"""Payments that one search for a card's digits reads: there is no index of them, for it would be written with each
payment and read when somebody calls (ADR 179)."""
MERCHANTS_MAX: Final = 2_000
"""Of whom a search for an e-mail makes fingerprints: 23 ms of one core."""


async def search_by_email(deps: Deps, by: Actor, email: str) -> dict[str, Any]:
    """The newest payments of whoever is known by this e-mail alone, at any merchant. Raises VaultClosed."""
    async with deps.engine.connect() as connection:
        merchants = await payment_search.newest_merchants(connection, MERCHANTS_MAX + 1)
    spelled = {f"email:{form}" for form in (email, email.lower())}
    hashes = [
        deps.subjects.hidden(one, form) for one in merchants[:MERCHANTS_MAX] for form in sorted(spelled)
    ]
    known = set(await deps.subjects.known_as(hashes))
    async with deps.engine.begin() as connection:
        known |= set(await payment_search.subjects_of_customers(connection, hashes))
        found = await payment_search.of_subjects(connection, sorted(known), FOUND_MAX + 1)
        await audit_log.record(connection, by, _entry("email", found))
    return _answer(found, is_whole=len(merchants) <= MERCHANTS_MAX and len(found) <= FOUND_MAX)


async def search_by_last_four(deps: Deps, by: Actor, digits: str, before: str | None) -> dict[str, Any]:
    """The newest payments with a card that ends so, among LOOKED_AT of those before `before`."""
    stems = [f"{token}%" for token in tokens_ending(digits)]
    async with deps.engine.begin() as connection:
        fitting = await payment_search.by_last_four(
            connection, digits, stems, before=before, looked_at=LOOKED_AT, limit=FOUND_MAX + 1
        )
        end = await payment_search.end_of(connection, before=before, looked_at=LOOKED_AT)
        found = [
            row for row in fitting[:FOUND_MAX] if _ends(row, digits)
        ]  # the one beyond begins the next page
        await audit_log.record(connection, by, _entry("last_four", found))
    # What is further back: after a full page from its last one on, else from where the looking stopped.
    goes_on = fitting[FOUND_MAX - 1].id if len(fitting) > FOUND_MAX else end
    return _answer(found, is_whole=goes_on is None, next_before=goes_on)


def _ends(row: Any, digits: str) -> bool:
    """A test token stands for the card of its longest prefix: a shorter one may stand for another."""
    if row.token is None:
        return True
    card = card_of_token(row.token)
    return card is not None and card.number.endswith(digits)


def _entry(what: str, found: Sequence[Any]) -> Entry:
    return Entry("payments.searched", None, "payments", {"by": what, "found": min(len(found), FOUND_MAX)})


def _answer(found: Iterable[Any], *, is_whole: bool, next_before: str | None = None) -> dict[str, Any]:
    data = [
        {"payment_id": row.id, "merchant_id": row.merchant_id, "created_at": isoformat(row.created_at)}
        for row in list(found)[:FOUND_MAX]
    ]
    return {"data": data, "is_whole": is_whole, "next_before": next_before}
