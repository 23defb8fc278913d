"""By what payments are related to each other: the same payer, or the same means."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from risk_engine.domain.facts import fingerprint

LINKED_FOR: Final = timedelta(days=30)


def linked_entities(merchant_id: str, request: Mapping[str, Any]) -> tuple[str, ...]:
    """By what payments are related, from an assessment's request. A customer is one merchant's, the rest is not."""
    customer = request["customer"]["id"]
    named = {
        "card": request["card"],
        "customer": fingerprint("customer", f"{merchant_id}/{customer}") if customer else None,
        "device": request["device"],
        "ip": request["ip"],
    }
    return tuple(f"{name}:{value}" for name, value in named.items() if value)


def related_by(merchant_id: str, request: Mapping[str, Any]) -> tuple[str, ...]:
    """By what payments are shown as related: the same, and the e-mail. Neither a case nor a snooze goes by an e-mail:
    whoever types one at a checkout may type anybody's."""
    email = request.get("email")
    return (*linked_entities(merchant_id, request), *([f"email:{email}"] if email else []))
