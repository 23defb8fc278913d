"""Bad input is refused in words, and nothing is written then."""

import json
import secrets
from typing import Any

import pytest

GOOD = '{"amount_minor":1250,"currency":"EUR","reference":"%s","method":{"type":"card","card":{"token":"tok_visa"}}}'


def good(reference: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(GOOD % reference)
    return body


def raw_with(old: str, new: str) -> Any:
    return lambda reference: (GOOD % reference).replace(old, new).encode()


CASES = [
    ("unknown_field", raw_with('"currency"', '"colour":"red","currency"'), 422, "unknown-field"),
    ("negative_amount", raw_with("1250", "-1250"), 422, "invalid-amount"),
    ("zero_amount", raw_with("1250", "0"), 422, "invalid-amount"),
    ("float_amount", raw_with("1250", "12.5"), 422, "invalid-amount"),
    ("whole_float_amount", raw_with("1250", "1250.0"), 422, "invalid-amount"),
    ("text_amount", raw_with("1250", '"1250"'), 422, "invalid-amount"),
    ("true_amount", raw_with("1250", "true"), 422, "invalid-amount"),
    ("huge_amount", raw_with("1250", "9223372036854775808"), 422, "invalid-amount"),
    ("unknown_currency", raw_with("EUR", "XXX"), 422, "unsupported-currency"),
    ("small_currency", raw_with("EUR", "eur"), 422, "unsupported-currency"),
    ("duplicate_key", raw_with('"currency"', '"amount_minor":1,"currency"'), 400, "duplicate-key"),
    ("not_a_number", raw_with("1250", "NaN"), 400, "malformed-json"),
    ("broken_json", raw_with("}}}", "}}"), 400, "malformed-json"),
    ("trailing_garbage", lambda reference: (GOOD % reference).encode() + b"x", 400, "malformed-json"),
    ("lone_surrogate", raw_with('"EUR"', '"EUR","description":"\\ud800"'), 400, "malformed-json"),
    ("nul", raw_with('"EUR"', '"EUR","description":"a\\u0000b"'), 400, "malformed-json"),
    (
        "card_number",
        raw_with('"EUR"', '"EUR","description":"4242 4242 4242 4242"'),
        422,
        "card-data-not-allowed",
    ),
    ("oversized_body", raw_with('"EUR"', '"EUR","description":"%s"' % ("a" * 70_000)), 413, "body-too-large"),
]


async def written(merchant: Any, reference: str) -> int:
    return len((await merchant.get("/v1/payments", reference=reference)).body["data"])


@pytest.mark.parametrize(
    ("make", "status", "problem"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
async def test_it_is_refused_in_words(merchant: Any, make: Any, status: int, problem: str) -> None:
    reference = secrets.token_hex(6)
    headers = {"Content-Type": "application/json", "Idempotency-Key": f"bad-{reference}"}
    reply = await merchant.send("POST", "/v1/payments", data=make(reference), headers=headers)

    assert (reply.status, reply.problem) == (status, problem)
    assert reply.headers["content-type"].startswith("application/problem+json")
    assert reply.body["title"]
    assert reply.body["status"] == status
    assert await written(merchant, reference) == 0
    assert (await merchant.get("/v1/events")).body["data"] == []


async def test_a_refused_key_can_be_used_for_the_corrected_request(merchant: Any) -> None:
    key, reference = secrets.token_hex(8), secrets.token_hex(6)
    assert (await merchant.post("/v1/payments", good(reference) | {"amount_minor": -1}, key)).status == 422
    assert (await merchant.post("/v1/payments", good(reference), key)).status == 201


@pytest.mark.parametrize("header", [None, "Bearer sk_test_wrong", "Basic c2s6", "Bearer", "bearer  "])
async def test_a_wrong_key_opens_nothing(
    merchant: Any, session: Any, platform: Any, header: str | None
) -> None:
    reference = secrets.token_hex(6)
    headers = {"Idempotency-Key": reference, **({"Authorization": header} if header else {})}
    async with session.post(
        f"{platform.gateway_url}/v1/payments", json=good(reference), headers=headers
    ) as reply:
        assert reply.status == 401
        assert reply.headers["WWW-Authenticate"] == "Bearer"
        assert (await reply.json(content_type=None))["type"].endswith("unauthenticated")
    assert await written(merchant, reference) == 0


async def test_money_does_not_move_without_an_idempotency_key(merchant: Any) -> None:
    reference = secrets.token_hex(6)
    reply = await merchant.send("POST", "/v1/payments", json=good(reference))
    assert (reply.status, reply.problem) == (400, "idempotency-key-missing")
    assert await written(merchant, reference) == 0


async def test_another_content_type_is_refused(merchant: Any) -> None:
    reference = secrets.token_hex(6)
    headers = {"Content-Type": "text/plain", "Idempotency-Key": reference}
    reply = await merchant.send("POST", "/v1/payments", data=(GOOD % reference).encode(), headers=headers)
    assert (reply.status, reply.problem) == (415, "unsupported-media-type")
    assert await written(merchant, reference) == 0


async def test_a_problem_never_repeats_the_value(merchant: Any) -> None:
    canary = "canary4711"
    headers = {"Content-Type": "application/json", "Idempotency-Key": secrets.token_hex(6)}
    body = (GOOD % "x").replace("EUR", canary).encode()
    reply = await merchant.send("POST", "/v1/payments", data=body, headers=headers)
    assert reply.status == 422
    assert canary.encode() not in reply.raw


async def test_the_admin_s_doors_need_the_admin_s_key(merchant: Any) -> None:
    assert (await merchant.post("/v1/merchants", {"name": "Mine", "country": "DE"})).status == 401
    assert (await merchant.get("/v1/ledger/verification")).status == 401
    assert (await merchant.get("/internal/events")).status == 401
