"""docs/webhooks.md says what is so: its verifier runs, its example is the code's own, its list of types is whole."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from factories import captured

from payment_gateway.api.schemas.events import EVENTS
from payment_gateway.domain import postings
from payment_gateway.domain.ledger import Journal
from payment_gateway.domain.webhook import new_secret
from payment_gateway.domain.webhook_keys import Keys, headers_of, new_private_key
from payment_gateway.domain.webhook_style import StoredEvent, native_body
from payment_gateway.operations.apply_verdicts import DECIDED
from payment_gateway.operations.events import payment_event

ROOT = Path(__file__).parents[4]
PAGE = ROOT / "docs/webhooks.md"
SOURCE = ROOT / "services/payment-gateway/src/payment_gateway"
NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def the_pages(function: str) -> Any:
    """A function that the page shows, as it stands there."""
    names: dict[str, Any] = {}
    for code in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S):
        exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102 - the repository's own page
    return names[function]


def test_the_pages_verifier_accepts_ours_and_refuses_what_was_bent() -> None:
    verify, now_s, body = the_pages("verify"), int(time.time()), b'{"id": "evt_1"}'
    old, new = (Keys(new_secret(), new_private_key()) for _ in range(2))
    headers = headers_of([new, old], "evt_1", now_s, body)
    for keys in (old, new):
        verify(keys.secret, headers, body)
    with pytest.raises(ValueError, match="no signature fits"):
        verify(new.secret, headers, body + b" ")
    with pytest.raises(ValueError, match="no signature fits"):
        verify(new_secret(), headers, body)
    with pytest.raises(ValueError, match="too old"):
        verify(new.secret, headers_of([new], "evt_1", now_s - 301, body), body)


def an_example() -> str:
    """`payment.captured.v1` as a receiver gets it, with fixed ids and times."""
    payment = captured(
        id="pay_01kazr7m9v4n3w8c2x5q6t7y8z",
        merchant_id="mer_01kazr6f0b1d2g3h4j5k6m7n8p",
        reference="order-1042",
        created_at=NOON,
        updated_at=NOON,
    )
    journal = Journal(
        "je_01kazr7ma2b3c4d5e6f7g8h9jk",
        payment.id,
        postings.sale(payment.merchant_id, "card_sim", "EUR", 10_000),
    )
    event = payment_event("payment.captured.v1", payment, journal=journal)
    stored = StoredEvent(
        "evt_01kazr7mb1c2d3e4f5g6h7j8k9",
        event.type,
        event.aggregate_id,
        event.merchant_id,
        event.occurred_at,
        orjson.dumps(event.data).decode(),
    )
    return json.dumps(json.loads(native_body(stored)), indent=2)


def test_the_example_is_what_is_sent() -> None:
    (shown,) = re.findall(
        r"^<!-- example -->\n```json\n(.*?)\n?```$", PAGE.read_text(encoding="utf-8"), re.M | re.S
    )
    assert shown == an_example()


def test_the_page_finds_no_fault_in_its_example_and_one_in_a_bent_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    faults, body = the_pages("faults"), an_example().encode()
    assert faults(body) == []
    assert faults(body.replace(b'"amount_minor": 10000', b'"amount_minor": "100"', 1)) == [
        "/data/payment/amount_minor: '100' is not of type 'integer'"
    ]


def test_every_event_type_of_the_code_is_listed() -> None:
    listed = set(re.findall(r"^\| `([a-z_.]+\.v1)` \|", PAGE.read_text(encoding="utf-8"), re.M))
    told = {
        name
        for file in SOURCE.rglob("*.py")
        for name in re.findall(r'"([a-z_]+\.[a-z_]+\.v1)"', file.read_text(encoding="utf-8"))
    }
    assert listed == set(EVENTS)
    assert told - listed == {DECIDED}, "the risk engine's, which is read here and told to nobody"
