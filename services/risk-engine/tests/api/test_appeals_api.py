"""Appeals over HTTP: from what a merchant asks to the label, and what is told on the way."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from risk_rig import Answer, Api, a_document, a_request, a_rule
from sqlalchemy import text

from risk_engine.clients.cel import compile_rules
from risk_engine.domain.appeals import UNDECIDED_MAX
from risk_engine.domain.rule_documents import parse_rule_set

APPEALS, CASES = "/v1/appeals", "/v1/cases"

As = Callable[..., Awaitable[Answer]]


def decide_all(api: Api, then: str) -> None:
    """From now on every card payment is decided so."""
    document = parse_rule_set(a_document(rules=[a_rule(when="method == 'card'", then=then)]))
    api.deps.rules.deployed = replace(api.deps.rules.deployed, live=compile_rules(document))


async def assessed(api: Api, number: int, **changes: Any) -> dict[str, Any]:
    request = a_request(number, card=f"tok_{number}", customer={"id": f"cus_{number}"}) | changes
    made: dict[str, Any] = (await api.post("/v1/assessments", request)).body
    return made


def an_appeal(made: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "merchant_id": made["merchant_id"],
        "assessment_id": made["id"],
        "by": "cardholder",
        "reason": "A customer of ten years, abroad for a week.",
    } | changes


@pytest.fixture
def person(api: Api) -> Callable[[str, str], Awaitable[As]]:
    """Admits a person: `ada = await person("ada", "analyst")`, `await ada("/v1/cases/next", {})`."""

    async def admit(name: str, role: str) -> As:
        token = (await api.post("/v1/staff", {"name": name, "role": role})).body["token"]

        async def ask(path: str, body: Any = None) -> Answer:
            if body is None:
                return await api.get(path, authorization=f"Bearer {token}")
            return await api.post(path, body, authorization=f"Bearer {token}")

        return ask

    return admit


async def told(api: Api, prefix: str) -> list[tuple[str, dict[str, Any]]]:
    query = text("SELECT type, data FROM risk.outbox_event WHERE type LIKE :prefix ORDER BY id")
    async with api.deps.engine.connect() as conn:
        return [(row.type, row.data) for row in await conn.execute(query, {"prefix": f"{prefix}.%"})]


Person = Callable[[str, str], Awaitable[As]]
GRANT = {"verdict": "approve", "reason": "Known to the merchant."}


async def test_a_blocked_payment_is_appealed_looked_at_and_becomes_a_label(api: Api, person: Person) -> None:
    ada = await person("ada", "analyst")
    decide_all(api, "block")
    made = await assessed(api, 1)
    asked = await api.post(APPEALS, an_appeal(made))
    assert asked.status == 201
    appeal = asked.body
    assert (appeal["status"], appeal["decision"], appeal["payment_id"]) == ("open", "block", "pay_1")

    taken = (await ada(f"{CASES}/next", {})).body["case"]
    assert (taken["id"], taken["kind"]) == (appeal["case_id"], "appeal")
    shown = (await ada(f"{CASES}/{taken['id']}")).body
    assert shown["appeal"]["reason"] == "A customer of ten years, abroad for a week."
    (payment,) = shown["payments"]
    assert (payment["assessment_id"], payment["status"], payment["effect"]) == (made["id"], "refused", None)
    assert payment["reasons"] == [{"code": "code_1", "text": "A sentence."}]
    assert (await ada(f"{CASES}/{taken['id']}/decide", GRANT)).body["status"] == "closed"

    answered = (await api.get(f"{APPEALS}/{appeal['id']}")).body
    assert answered["status"] == "granted"
    assert "try anew" in answered["text"]
    (label,) = (await api.get("/v1/labels?payment_id=pay_1")).body["data"]
    assert (label["kind"], label["source"], label["actor"], label["assessment_id"]) == (
        "legitimate",
        "case",
        "ada",
        made["id"],
    )
    effect = (await ada(f"{CASES}/{taken['id']}")).body["payments"][0]["effect"]
    assert effect["code"] == "granted"


async def test_it_is_told_as_an_appeal_and_not_as_a_case_that_the_gateway_acts_upon(
    api: Api, person: Person
) -> None:
    ada = await person("ada", "analyst")
    decide_all(api, "block")
    appeal = (await api.post(APPEALS, an_appeal(await assessed(api, 1)))).body
    await ada(f"{CASES}/{appeal['case_id']}/decide", GRANT | {"verdict": "reject"})
    assert await told(api, "case") == []
    events = await told(api, "appeal")
    assert [(kind, data["appeal"]["status"]) for kind, data in events] == [
        ("appeal.made.v1", "open"),
        ("appeal.decided.v1", "denied"),
    ]
    assert all("reason" not in data["appeal"] for _, data in events), "people write names into reasons"


async def test_asked_twice_there_is_one_appeal_and_its_answer_is_final(api: Api, person: Person) -> None:
    ada = await person("ada", "analyst")
    decide_all(api, "challenge")
    made = await assessed(api, 1)
    first = await api.post(APPEALS, an_appeal(made))
    again = await api.post(APPEALS, an_appeal(made, by="merchant", reason="Once more."))
    assert (again.status, again.body) == (200, first.body)
    await ada(f"{CASES}/{first.body['case_id']}/decide", GRANT | {"verdict": "reject"})
    final = await api.post(APPEALS, an_appeal(made))
    assert (final.status, final.body["id"], final.body["status"]) == (200, first.body["id"], "denied")


async def test_a_rejected_review_is_appealed_to_somebody_else(api: Api, person: Person) -> None:
    ada, bob = await person("ada", "analyst"), await person("bob", "analyst")
    decide_all(api, "review")
    made = await assessed(api, 1)
    early = await api.post(APPEALS, an_appeal(made))
    assert (early.status, early.body["type"]) == (409, "/problems/still-in-review")
    first = (await ada(f"{CASES}/next", {})).body["case"]
    await ada(f"{CASES}/{first['id']}/decide", GRANT | {"verdict": "reject"})

    appeal = (await api.post(APPEALS, an_appeal(made))).body
    assert (await ada(f"{CASES}/next", {})).body["case"] is None, "ada rejected it"
    own = await ada(f"{CASES}/{appeal['case_id']}/decide", GRANT)
    assert (own.status, own.body["type"]) == (409, "/problems/second-person-needed")
    assert (await bob(f"{CASES}/next", {})).body["case"]["id"] == appeal["case_id"]
    assert (await bob(f"{CASES}/{appeal['case_id']}/decide", GRANT)).status == 200
    known = (await api.get("/v1/labels?payment_id=pay_1")).body["data"]
    assert [(label["kind"], label["actor"]) for label in known] == [("legitimate", "bob")]


async def test_what_was_not_stopped_or_is_not_the_merchants_is_refused(api: Api, person: Person) -> None:
    ada, eve = await person("ada", "analyst"), await person("eve", "auditor")
    decide_all(api, "allow")
    made = await assessed(api, 1)
    allowed = await api.post(APPEALS, an_appeal(made))
    assert (allowed.status, allowed.body["type"]) == (409, "/problems/nothing-to-appeal")
    for changes in ({"merchant_id": "mer_2"}, {"assessment_id": "asm_none"}):
        refused = await api.post(APPEALS, an_appeal(made, **changes))
        assert (refused.status, refused.body["type"]) == (422, "/problems/unknown-assessment")
    decide_all(api, "block")
    blocked = await assessed(api, 2)
    assert (await eve(APPEALS, an_appeal(blocked))).status == 403
    assert (await ada(APPEALS, an_appeal(blocked))).body["recorded_by"] == "ada"


async def test_one_merchant_does_not_fill_the_queue(api: Api) -> None:
    decide_all(api, "block")
    made = [await assessed(api, number) for number in range(1, UNDECIDED_MAX + 2)]
    answers = [await api.post(APPEALS, an_appeal(one)) for one in made]
    assert [one.status for one in answers] == [201] * UNDECIDED_MAX + [409]
    assert answers[-1].body["type"] == "/problems/too-many-appeals"


async def test_appeals_are_listed_by_merchant_and_status(api: Api, person: Person) -> None:
    ada = await person("ada", "analyst")
    decide_all(api, "block")
    made = [await assessed(api, number) for number in (1, 2, 3)]
    appeals = [(await api.post(APPEALS, an_appeal(one))).body for one in made]
    await ada(f"{CASES}/{appeals[0]['case_id']}/decide", GRANT)
    newest = [one["id"] for one in reversed(appeals)]

    async def listed(query: str) -> list[str]:
        return [one["id"] for one in (await api.get(f"{APPEALS}?{query}")).body["data"]]

    assert await listed("merchant_id=mer_1") == newest
    assert await listed("merchant_id=mer_2") == []
    assert await listed("status=open") == newest[:2]
    assert await listed("status=granted") == newest[2:]
    page = (await api.get(f"{APPEALS}?limit=2")).body
    assert await listed(f"limit=2&cursor={page['next_cursor']}") == newest[2:]
    kinds = [len((await ada(f"{CASES}?kind={kind}")).body["data"]) for kind in ("appeal", "review")]
    assert kinds == [2, 0]
