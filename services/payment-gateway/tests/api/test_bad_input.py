"""What is refused, in which words; and that nothing is written then."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from gateway_rig import RunningGateway, a_sale

CARD = b'{"type":"card","card":{"token":"tok_visa"}}'


def a_body(**changes: Any) -> bytes:
    return orjson.dumps(a_sale(**changes))


# ruff: noqa: E501 - a case is one line
CASES: list[tuple[str, bytes, int, str]] = [
    ("a negative amount", a_body(amount_minor=-1), 422, "invalid-amount"),
    ("nothing", a_body(amount_minor=0), 422, "invalid-amount"),
    ("a float", b'{"amount_minor":12.5,"currency":"EUR","method":' + CARD + b"}", 422, "invalid-amount"),
    ("a whole float", b'{"amount_minor":12.0,"currency":"EUR","method":' + CARD + b"}", 422, "invalid-amount"),
    ("an exponent", b'{"amount_minor":1e3,"currency":"EUR","method":' + CARD + b"}", 422, "invalid-amount"),
    ("a text", a_body(amount_minor="1250"), 422, "invalid-amount"),
    ("true", a_body(amount_minor=True), 422, "invalid-amount"),
    ("null", a_body(amount_minor=None), 422, "invalid-amount"),
    ("more than the limit", a_body(amount_minor=10**12 + 1), 422, "invalid-amount"),
    ("2^63", a_body(amount_minor=2**63), 422, "invalid-amount"),
    ("lower case", a_body(currency="eur"), 422, "unsupported-currency"),
    ("a newline", a_body(currency="EUR\n"), 422, "unsupported-currency"),
    ("full-width letters", a_body(currency="ＥＵＲ"), 422, "unsupported-currency"),
    ("no currency", a_body(currency="XXX"), 422, "unsupported-currency"),
    ("an unknown member", a_body(status="captured"), 422, "unknown-field"),
    ("a nested unknown member", a_body(customer={"id": "c", "role": "admin"}), 422, "unknown-field"),
    ("no method", b'{"amount_minor":1,"currency":"EUR"}', 422, "missing-field"),
    ("another method", a_body(method={"type": "cash"}), 422, "invalid-request"),
    ("a card number as token", a_body(token="4242424242424242"), 422, "card-data-not-allowed"),
    ("many digits in a token", a_body(token="tok_visa_1234567890123"), 422, "card-data-not-allowed"),
    ("a card number in a text", a_body(description="card 4242 4242 4242 4242"), 422, "card-data-not-allowed"),
    ("in metadata", a_body(metadata={"n": "4242-4242-4242-4242"}), 422, "card-data-not-allowed"),
    ("a control character", a_body(reference="a\x07b"), 422, "invalid-text"),
    ("a text that reads backwards", a_body(reference="a\u202eb"), 422, "invalid-text"),
    ("too long a reference", a_body(reference="x" * 129), 422, "invalid-request"),
    ("too much metadata", a_body(metadata={str(n): "x" for n in range(21)}), 422, "invalid-request"),
    ("NUL", b'{"amount_minor":1,"currency":"EUR","reference":"\\u0000","method":' + CARD + b"}", 400, "malformed-json"),
    ("half a pair", b'{"amount_minor":1,"currency":"EUR","reference":"\\ud800","method":' + CARD + b"}", 400, "malformed-json"),
    ("a member twice", b'{"amount_minor":1,"amount_minor":2,"currency":"EUR","method":' + CARD + b"}", 400, "duplicate-key"),
    ("no JSON", b'{"amount_minor":', 400, "malformed-json"),
    ("NaN", b'{"amount_minor":NaN,"currency":"EUR","method":' + CARD + b"}", 400, "malformed-json"),
    ("an array", b"[]", 422, "invalid-request"),
    ("null instead of an object", b"null", 422, "invalid-request"),
    ("an empty body", b"", 422, "missing-field"),
    ("an oversized body", a_body(description="x") + b" " * 65_536, 413, "body-too-large"),
]  # fmt: skip


async def test_a_payment_that_is_not_as_documented_is_refused_in_words(
    gateway: RunningGateway, subtests: pytest.Subtests
) -> None:
    before = await gateway.rows()
    for name, raw, status, code in CASES:
        with subtests.test(name):
            reply = await gateway.call("POST", "/v1/payments", raw=raw, headers={"Idempotency-Key": "k"})
            assert (reply.status, reply.problem) == (status, code), reply.raw
            assert reply.headers["Content-Type"] == "application/problem+json"
            assert reply.body["request_id"] == reply.headers["X-Request-Id"]
            assert b"4242" not in reply.raw
            assert await gateway.rows() == before
    assert (await gateway.pay(key="k")).status == 201, "the refused requests left their key unused"


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Bearer",
        "Bearer ",
        "Bearer sk_test_wrong",
        "Basic {key}",
        "Bearer {key}x",
        "Bearer " + "k" * 300,
    ],
)
async def test_without_a_valid_key_nothing_is_answered(
    gateway: RunningGateway, authorization: str | None
) -> None:
    headers = {"Authorization": authorization.format(key=gateway.key)} if authorization else {}
    async with gateway.session.get(f"{gateway.url}/v1/payments", headers=headers) as reply:
        assert reply.status == 401
        assert reply.headers["WWW-Authenticate"] == "Bearer"
        assert (await reply.json(content_type=None))["type"] == "/problems/unauthenticated"


async def test_who_asks_is_looked_at_before_what_is_wrong_with_it(gateway: RunningGateway) -> None:
    for body in (a_body(), a_body(amount_minor=-1), b"[]", b'"text"'):
        reply = await gateway.call("POST", "/v1/payments", token="sk_wrong", raw=body)
        assert (reply.status, reply.problem) == (401, "unauthenticated"), body
    for body in (b"", b"[]", b'"text"'):
        reply = await gateway.call("POST", "/v1/payments", raw=body)
        assert reply.status == 422, (body, reply.raw)


@pytest.mark.parametrize("path", ["/internal/events", "/v1/ledger/verification"])
async def test_a_merchants_key_does_not_open_the_platforms_doors(gateway: RunningGateway, path: str) -> None:
    assert (await gateway.call("GET", path)).status == 401


@pytest.mark.parametrize(
    ("query", "status"),
    [("limit=0", 422), ("limit=101", 422), ("limit=x", 422), ("cursor=nonsense", 422), ("status=paid", 422)],
)
async def test_a_list_refuses_parameters_that_it_does_not_have(
    gateway: RunningGateway, query: str, status: int
) -> None:
    assert (await gateway.call("GET", f"/v1/payments?{query}")).status == status


async def test_a_report_that_is_not_signed_by_the_channel_moves_nothing(gateway: RunningGateway) -> None:
    before = await gateway.rows()
    raw = orjson.dumps({"type": "authorisation.succeeded", "channel_key": "att_x", "outcome": "succeeded"})
    reply = await gateway.call("POST", "/internal/channel-events/card_sim", raw=raw)
    assert (reply.status, reply.problem) == (400, "invalid-signature")
    assert await gateway.rows() == before
