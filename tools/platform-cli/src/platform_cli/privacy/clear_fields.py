"""What releases before sealing told of people in events, and the same events as they are told today.

An event tells of a payer by token. Before, it had the payer as the merchant gave them, and a dispute's evidence with
it; the risk engine's had the merchant's own id of them. Nothing else of an event is touched: type, position, amounts,
journals and what the risk engine decided stay to the letter.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from platform_kit.ids import is_id

MARKS: Final = ('"customer"', '"evidence"')
"""An event without any of these tells of nobody."""

Tokens = Mapping[str, str]
"""Payment -> the token of who paid."""


def without_people(data: Mapping[str, Any], tokens: Tokens) -> dict[str, Any] | None:
    """An event's data with the payer by token and no evidence; None when it is so already."""
    changed = dict(data)
    payment, dispute, assessment = (_mapping(data.get(name)) for name in ("payment", "dispute", "assessment"))
    if _is_clear_payer(payment.get("customer")):
        token = tokens.get(str(payment.get("id")))
        changed["payment"] = {**payment, "customer": {"subject": token} if token else None}
    if dispute.get("evidence"):
        changed["dispute"] = {**dispute, "evidence": {}}
    request = _mapping(assessment.get("request"))
    customer = _mapping(request.get("customer"))
    if _is_clear_id(customer.get("id")):
        told = {**customer, "id": tokens.get(str(assessment.get("payment_id")))}
        changed["assessment"] = {**assessment, "request": {**request, "customer": told}}
    return changed if changed != data else None


def payments_of(data: Mapping[str, Any]) -> Iterator[str]:
    """Whose tokens `without_people` asks for."""
    payment, assessment = _mapping(data.get("payment")), _mapping(data.get("assessment"))
    if _is_clear_payer(payment.get("customer")):
        yield str(payment.get("id"))
    if _is_clear_id(_mapping(_mapping(assessment.get("request")).get("customer")).get("id")):
        yield str(assessment.get("payment_id"))


def data_of(text: str, member: str | None) -> Mapping[str, Any] | None:
    """The data in an event's JSON: the whole of it, or what stands under `member`. None when no data can be read."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):  # no JSON, or of a depth or with a number that no event has
        return None
    found = document if member is None else _mapping(document).get(member)
    return found if isinstance(found, Mapping) else None


def scrubbed(texts: Sequence[str], member: str | None, tokens: Tokens) -> dict[int, str]:
    """Index -> JSON of those that held something in clear."""
    found: dict[int, str] = {}
    for index, text in enumerate(texts):
        data = data_of(text, member)
        clean = None if data is None else without_people(data, tokens)
        if clean is not None:
            document = clean if member is None else {**json.loads(text), member: clean}
            found[index] = _written(document)
    return found


def _written(document: Mapping[str, Any]) -> str:
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which can only be written as it came: escaped
        return json.dumps(document, separators=(",", ":"))
    return text


def may_tell_of_people(text: str) -> bool:
    return any(mark in text for mark in MARKS)


def _is_clear_payer(customer: Any) -> bool:
    """A payer is a token and nothing beside it, or unknown."""
    return customer is not None and not (isinstance(customer, Mapping) and set(customer) == {"subject"})


def _is_clear_id(customer_id: Any) -> bool:
    """Anything but a token: a merchant's own name for somebody may begin with `sub_` too."""
    return customer_id is not None and not is_id("sub", str(customer_id))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
