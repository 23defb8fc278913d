"""The assessments API: what it answers, and everything it refuses in words without writing a row."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from risk_rig import Api, a_document, a_request, a_rule
from sqlalchemy import text

from risk_engine.api.schemas.assessments import AssessmentAnswer
from risk_engine.clients.cel import compile_rules
from risk_engine.domain.rule_documents import parse_rule_set
from risk_engine.operations import find_assessments

PATH = "/v1/assessments"


async def count_of(api: Api) -> int:
    async with api.deps.engine.connect() as conn:
        return int(await conn.scalar(text("SELECT count(*) FROM risk.assessment")) or 0)


async def test_an_assessment_has_the_members_of_the_contract(api: Api) -> None:
    answer = await api.post(PATH, a_request())
    assert answer.status == 200
    body = answer.body
    AssessmentAnswer.model_validate(body)
    assert body["id"].startswith("asm_")
    assert body["decision"] == "allow"
    assert 0 <= body["score"] <= 100
    assert body["score"] == int(body["probability_ppm"] / 10_000 + 0.5)
    assert body["probability_ppm"] % 10_000, "no finer than the score"
    assert (body["reasons"], body["degraded"]) == ([], [])
    assert len(body["rule_set"]) == len(body["model"]) == 64
    assert datetime.fromisoformat(body["expires_at"]) > datetime.now(UTC)
    assert answer.headers["x-app-version"] == "dev"


async def test_what_the_gateway_sends_for_a_wallet_and_an_unknown_payer_is_taken(api: Api) -> None:
    nobody = {"id": None, "country": None, "ip": None, "device_id": None}
    for number, customer in enumerate((nobody, {}, None)):
        body = a_request(number, method="wallet", card=None, customer=customer)
        assert (await api.post(PATH, body)).status == 200
    body = a_request(9)
    del body["customer"], body["card"]
    assert (await api.post(PATH, body)).status == 200


async def test_the_same_key_gets_the_same_bytes(api: Api) -> None:
    first = await api.post(PATH, a_request(1))
    again = await api.post(PATH, a_request(1, payment_id="pay_other", occurred_at="2026-11-23T02:00:01Z"))
    assert again.body == first.body
    assert await count_of(api) == 1


async def test_another_request_under_the_key_is_refused(api: Api) -> None:
    await api.post(PATH, a_request(1))
    answer = await api.post(PATH, a_request(1, amount_minor=1))
    assert (answer.status, answer.body["type"]) == (422, "/problems/idempotency-key-reuse")


async def test_many_at_once_under_one_key_get_one_decision(api: Api) -> None:
    answers = await asyncio.gather(*(api.post(PATH, a_request(1)) for _ in range(16)))
    assert len({answer.content for answer in answers}) == 1
    assert await count_of(api) == 1


async def test_an_assessment_is_read_back_whole(api: Api) -> None:
    made = (await api.post(PATH, a_request())).body
    read = (await api.get(f"{PATH}/{made['id']}")).body
    assert {name: read[name] for name in made} == made
    assert read["request"]["amount_minor"] == 1250
    assert read["trace"]["hits"] == []
    text_of_it = orjson.dumps(read).decode()
    assert not any(
        raw in text_of_it for raw in ("tok_visa_4711", "192.0.2.1", "device-1")
    )  # fingerprints only
    assert (await api.get(f"{PATH}/asm_unknown")).status == 404


async def test_the_list_is_newest_first_and_filtered_by_decision(api: Api) -> None:
    for number in range(6):
        await api.post(PATH, a_request(number, customer=None))
    page = (await api.get(f"{PATH}?limit=4")).body
    assert [one["payment_id"] for one in page["data"]] == ["pay_5", "pay_4", "pay_3", "pay_2"]
    rest = (await api.get(f"{PATH}?limit=4&cursor={page['next_cursor']}")).body
    assert [one["payment_id"] for one in rest["data"]] == ["pay_1", "pay_0"]
    assert rest["next_cursor"] is None
    challenged = (await api.get(f"{PATH}?decision=challenge")).body["data"]
    assert [one["payment_id"] for one in challenged] == [
        "pay_5",
        "pay_4",
    ]  # the fifth use of the card and the next


async def test_a_bad_query_is_refused(api: Api, subtests: pytest.Subtests) -> None:
    for query in ("limit=0", "limit=101", "limit=x", "decision=maybe", "cursor=1", "cursor=asm_x"):
        with subtests.test(query=query):
            assert (await api.get(f"{PATH}?{query}")).status == 422


async def test_a_caller_in_a_hurry_gets_the_policy(api: Api) -> None:
    answer = await api.post(PATH, a_request(amount_minor=500_000), x_deadline_ms="1")
    assert "deadline" in answer.body["degraded"]
    assert answer.body["decision"] == "block"
    assert answer.body["reasons"][0]["code"] == "degraded_deadline"


STRANGERS = ("", "Bearer", "Bearer wrong", "Basic aW50ZXJuYWwtdGVzdA==", "internal-test")


async def test_without_the_internal_token_nothing_is_answered(api: Api, subtests: pytest.Subtests) -> None:
    for header in STRANGERS:
        for path in (PATH, "/v1/rule-sets", "/v1/alerts", "/internal/events"):
            with subtests.test(header=header, path=path):
                answer = await api.get(path, authorization=header)
                assert (answer.status, answer.body["type"]) == (401, "/problems/unauthenticated")
        assert (await api.post(PATH, a_request(), authorization=header)).status == 401
    assert await count_of(api) == 0


LATER = (datetime.now(UTC) + timedelta(days=1)).isoformat()  # however long the run takes to come to it

BAD_BODIES: list[tuple[dict[str, Any], str, str]] = [
    ({"surprise": 1}, "unknown-field", "/surprise"),
    ({"amount_minor": 0}, "invalid-amount", "/amount_minor"),
    ({"amount_minor": -1}, "invalid-amount", "/amount_minor"),
    ({"amount_minor": 12.5}, "invalid-amount", "/amount_minor"),
    ({"amount_minor": "1250"}, "invalid-amount", "/amount_minor"),
    ({"amount_minor": True}, "invalid-amount", "/amount_minor"),
    ({"amount_minor": 10**12 + 1}, "invalid-amount", "/amount_minor"),
    ({"amount_minor": None}, "invalid-amount", "/amount_minor"),
    ({"currency": "XXX"}, "unsupported-currency", "/currency"),
    ({"currency": "eur"}, "unsupported-currency", "/currency"),
    ({"currency": 978}, "invalid-request", "/currency"),
    ({"method": "cheque"}, "invalid-request", "/method"),
    ({"merchant_id": ""}, "invalid-request", "/merchant_id"),
    ({"merchant_id": "m" * 65}, "invalid-request", "/merchant_id"),
    ({"merchant_id": "mer 1"}, "invalid-request", "/merchant_id"),
    ({"payment_id": "pay|1"}, "invalid-request", "/payment_id"),
    ({"idempotency_key": ""}, "invalid-request", "/idempotency_key"),
    ({"idempotency_key": "k" * 256}, "invalid-request", "/idempotency_key"),
    ({"idempotency_key": "ключ"}, "invalid-request", "/idempotency_key"),
    ({"card": "4242 4242 4242 4242"}, "invalid-request", "/card"),
    ({"card": "4242424242424242"}, "card-data-not-allowed", "/card"),
    ({"card": "tok_4242-4242-4242-4242"}, "card-data-not-allowed", "/card"),
    ({"customer": {"id": "4242 4242 4242 4242"}}, "card-data-not-allowed", "/customer/id"),
    ({"customer": {"country": "Germany"}}, "invalid-request", "/customer/country"),
    ({"customer": {"country": "de"}}, "invalid-request", "/customer/country"),
    ({"customer": {"age": 7}}, "unknown-field", "/customer/age"),
    ({"customer": {"device_id": "a\u0001b"}}, "invalid-request", "/customer/device_id"),
    ({"customer": "cus_1"}, "invalid-request", "/customer"),
    ({"occurred_at": "yesterday"}, "invalid-time", "/occurred_at"),
    ({"occurred_at": "2026-11-23T02:00:00"}, "invalid-time", "/occurred_at"),  # no offset
    ({"occurred_at": 1795435200}, "invalid-time", "/occurred_at"),
    ({"occurred_at": None}, "invalid-time", "/occurred_at"),
]


async def test_a_bad_member_is_named_and_nothing_is_written(api: Api, subtests: pytest.Subtests) -> None:
    for changes, code, pointer in BAD_BODIES:
        with subtests.test(changes=changes):
            answer = await api.post(PATH, a_request(**changes))
            assert (answer.status, answer.body["type"]) == (422, f"/problems/{code}")
            assert answer.body["errors"][0]["pointer"] == pointer
            assert answer.headers["content-type"] == "application/problem+json"
            assert "4242" not in answer.content.decode()  # what was sent is never repeated
    assert await count_of(api) == 0


async def test_a_payment_of_the_future_is_refused(api: Api) -> None:
    """It would push the payments of the present out of every window."""
    answer = await api.post(PATH, a_request(occurred_at=LATER))
    assert (answer.status, answer.body["type"]) == (422, "/problems/invalid-time")
    assert await count_of(api) == 0


async def test_a_missing_member_is_named(api: Api, subtests: pytest.Subtests) -> None:
    for member in set(a_request()) - {"card", "customer"}:
        with subtests.test(member=member):
            body = a_request()
            del body[member]
            answer = await api.post(PATH, body)
            assert (answer.status, answer.body["type"]) == (422, "/problems/missing-field")
            assert answer.body["errors"][0]["pointer"] == f"/{member}"


RAW = orjson.dumps(a_request())


BAD_TEXTS: list[tuple[bytes, int, str]] = [
    (b"", 422, "missing-field"),
    (b"{", 400, "malformed-json"),
    (b"\xff", 400, "malformed-json"),
    (RAW.replace(b"1250", b"NaN"), 400, "malformed-json"),
    (RAW.replace(b'"amount_minor"', b'"amount_minor":1,"amount_minor"'), 400, "duplicate-key"),
    (b"[" * 100 + b"]" * 100, 400, "malformed-json"),
    (b'"' + b"x" * 300_000 + b'"', 413, "body-too-large"),
    (b"[]", 422, "invalid-request"),
]


async def test_a_body_that_is_no_such_json_is_refused(api: Api, subtests: pytest.Subtests) -> None:
    for raw, status, code in BAD_TEXTS:
        with subtests.test(raw=raw[:60]):
            answer = await api.post(PATH, raw)
            assert (answer.status, answer.body["type"]) == (status, f"/problems/{code}")
    assert await count_of(api) == 0


async def test_another_media_type_is_refused(api: Api) -> None:
    assert (await api.post(PATH, RAW, content_type="text/plain")).status == 415
    assert (await api.post(PATH, RAW, content_encoding="gzip")).status == 415


async def test_the_documented_schema_names_the_answer_and_the_request(api: Api) -> None:
    schema = (await api.get("/openapi.json")).body
    route = schema["paths"][PATH]["post"]
    assert route["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith(
        "/AssessmentAnswer"
    )
    assert route["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith(
        "/AssessmentRequest"
    )


async def test_events_can_be_read_for_gap_repair(api: Api) -> None:
    made = (await api.post(PATH, a_request())).body
    async with api.deps.engine.begin() as conn:
        await conn.execute(text("UPDATE risk.outbox_event SET position = 1"))
    page = (await api.get("/internal/events?after=0&limit=10")).body
    (event,) = page["data"]
    assert (event["type"], event["position"], event["aggregate_id"]) == ("assessment.made.v1", 1, made["id"])
    assert {name: event["data"]["assessment"][name] for name in made} == made
    assert event["data"]["assessment"]["request"]["currency"] == "EUR"


BATCH = f"{PATH}/batch"


def a_batch(*requests: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"data": [{"assessment": request} | members for request in requests]}


async def test_a_batch_is_answered_like_its_requests_by_themselves_and_in_their_order(api: Api) -> None:
    alone = [(await api.post(PATH, a_request(n))).body for n in range(3)]
    together = await api.post(BATCH, a_batch(*(a_request(n) for n in (2, 0, 1, 3))))
    assert together.status == 200
    *known, new = together.body["data"]
    assert known == [{"status": 200, "assessment": alone[n]} for n in (2, 0, 1)]
    AssessmentAnswer.model_validate(new["assessment"])
    assert await count_of(api) == 4


async def test_what_is_wrong_with_one_of_a_batch_is_its_own_answer(api: Api) -> None:
    await api.post(PATH, a_request(1))
    requests = [
        a_request(1, amount_minor=1),  # another payment under the key
        a_request(2, amount_minor=0),
        a_request(3, occurred_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat()),
        {},
        a_request(4),
    ]
    answers = (await api.post(BATCH, a_batch(*requests, request_id="req_of_the_caller"))).body["data"]
    assert [(one["status"], one.get("problem", {}).get("type")) for one in answers] == [
        (422, "/problems/idempotency-key-reuse"),
        (422, "/problems/invalid-amount"),
        (422, "/problems/invalid-time"),
        (422, "/problems/missing-field"),
        (200, None),
    ]
    assert {one["problem"]["request_id"] for one in answers[:4]} == {"req_of_the_caller"}
    assert await count_of(api) == 2


async def test_one_of_a_batch_whose_time_is_up_is_decided_without_its_rules(api: Api) -> None:
    late, patient = (
        await api.post(
            BATCH,
            {
                "data": [
                    {"assessment": a_request(1), "deadline_ms": 1},
                    {"assessment": a_request(2), "deadline_ms": 90_000},
                ]
            },
        )
    ).body["data"]
    assert "deadline" in late["assessment"]["degraded"]
    assert "deadline" not in patient["assessment"]["degraded"]


async def test_each_of_a_batch_keeps_the_trace_of_its_own_request(api: Api) -> None:
    traces = [f"00-{n:032x}-00f067aa0ba902b7-01" for n in (1, 2)]
    questions = [
        {"assessment": a_request(n), "traceparent": trace} for n, trace in zip((1, 2), traces, strict=True)
    ]
    await api.post(BATCH, {"data": questions})
    async with api.deps.engine.connect() as conn:
        found = await conn.scalars(text("SELECT traceparent FROM risk.outbox_event ORDER BY traceparent"))
        assert [trace[:35] for trace in found] == [trace[:35] for trace in traces]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"data": []}, "/data"),
        ({"data": [{"assessment": {}}] * 65}, "/data"),
        ({"data": [{"assessment": []}]}, "/data/0/assessment"),
        ({"data": [{"assessment": {}, "deadline_ms": -1}]}, "/data/0/deadline_ms"),
        ({"data": [{"assessment": {}, "traceparent": "00-0-0-0"}]}, "/data/0/traceparent"),
        ({"data": [{"assessment": {}, "patience": 1}]}, "/data/0/patience"),
    ],
)
async def test_a_batch_that_is_none_is_refused_whole(api: Api, body: dict[str, Any], pointer: str) -> None:
    answer = await api.post(BATCH, body)
    assert (answer.status, answer.body["errors"][0]["pointer"]) == (422, pointer)
    assert await count_of(api) == 0


async def test_a_terminal_is_one_merchants_and_its_name_is_not_kept(api: Api) -> None:
    for number, merchant in enumerate(("mer_1", "mer_1", "mer_2")):
        made = await api.post(
            "/v1/assessments", a_request(number, merchant_id=merchant, terminal_id="till-7")
        )
        assert made.status == 200
    stored = [
        (await api.get(f"/v1/assessments/{one['id']}")).body["request"]
        for one in (await api.get("/v1/assessments")).body["data"]
    ]
    assert len({one["terminal"] for one in stored}) == 2
    assert "till-7" not in str(stored)
    assert "terminal" not in (await api.post("/v1/assessments", a_request(9))).body


async def test_a_list_is_filtered_by_merchant_score_rule_and_time(api: Api) -> None:
    rules = [a_rule(1, when="amount_minor >= 5000"), a_rule(2, when="amount_minor >= 9000", then="block")]
    document = a_document(rules=rules)
    api.deps.rules.deployed = replace(api.deps.rules.deployed, live=compile_rules(parse_rule_set(document)))
    made = [
        (await api.post(PATH, a_request(n, merchant_id=f"mer_{n % 2}", amount_minor=n * 1000))).body
        for n in range(1, 11)
    ]

    async def found(query: str) -> list[str]:
        page = (await api.get(f"{PATH}?{query}")).body
        assert page["searched_to"] is None
        return [one["payment_id"] for one in page["data"]]

    assert await found("rule=rule_1&merchant=mer_1") == ["pay_9", "pay_7", "pay_5"]
    assert await found("decision=block&rule=rule_1") == ["pay_10", "pay_9"]
    score = made[0]["score"]
    assert await found(f"score_from={score}&score_to={score}&decision=block") == [
        one["payment_id"] for one in reversed(made) if (one["score"], one["decision"]) == (score, "block")
    ]
    assert (await api.get(f"{PATH}?rule=rule_2")).body["data"][0]["hits"] == ["rule_1", "rule_2"]
    records = [(await api.get(f"{PATH}/{one['id']}")).body for one in made]
    cut = datetime.fromisoformat(records[5]["created_at"])
    later = [one["payment_id"] for one in records if datetime.fromisoformat(one["created_at"]) >= cut]
    until = quote((cut + timedelta(hours=1)).isoformat())
    since = quote((cut - timedelta(seconds=1)).isoformat())
    assert set(later) <= set(await found(f"made_from={since}&made_before={until}"))
    assert await found(f"made_from={until}") == []
    assert len(await found(f"made_before={until}")) == 10


async def test_a_search_of_rows_ends_and_says_where(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row fits once when the pages are followed, whatever the bound is."""
    monkeypatch.setattr(find_assessments, "SEARCHED_MAX", 3)
    for n in range(1, 11):
        await api.post(PATH, a_request(n, merchant_id=f"mer_{n % 5}"))
    seen, cursor, pages = [], "", 0
    while True:
        page = (await api.get(f"{PATH}?merchant=mer_2{cursor}")).body
        seen += [one["payment_id"] for one in page["data"]]
        pages += 1
        assert (page["searched_to"] is None) == (page["next_cursor"] is None)
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == ["pay_7", "pay_2"]
    assert pages == 4
