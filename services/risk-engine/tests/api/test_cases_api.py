"""The review queue over HTTP: from a reviewed payment to the verdict that the gateway is told."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from risk_rig import Answer, Api, a_document, a_request, a_rule
from sqlalchemy import text

from platform_kit.clock import FixedClock
from risk_engine.clients.cel import compile_rules
from risk_engine.domain.cases import LOCK_LASTS
from risk_engine.domain.rule_documents import parse_rule_set
from risk_engine.operations import metrics
from risk_engine.operations.watch_cases import watch_cases

PATH = "/v1/cases"
REVIEW_ALL = a_document(rules=[a_rule(when="method == 'card'", then="review")])
LARGE = 200_000  # above the amount from which two people decide


class Desk:
    """A person at the queue."""

    def __init__(self, api: Api, token: str) -> None:
        self._api, self._token = api, f"Bearer {token}"

    async def post(self, path: str, body: Any = None) -> Answer:
        return await self._api.post(PATH + path, {} if body is None else body, authorization=self._token)

    async def get(self, path: str) -> Answer:
        return await self._api.get(PATH + path, authorization=self._token)

    async def decide(self, case_id: str, verdict: str) -> Answer:
        return await self.post(f"/{case_id}/decide", {"verdict": verdict, "reason": "Called the payer."})


Hire = Callable[[str, str], Awaitable[Desk]]


@pytest.fixture
def hire(api: Api) -> Hire:
    """Admits a person: `await hire("ada", "analyst")`."""

    async def hire(name: str, role: str) -> Desk:
        made = await api.post("/v1/staff", {"name": name, "role": role})
        return Desk(api, made.body["token"])

    return hire


@pytest.fixture
def review_all(api: Api) -> None:
    """Every card payment is reviewed."""
    api.deps.rules.deployed = replace(api.deps.rules.deployed, live=compile_rules(parse_rule_set(REVIEW_ALL)))


async def reviewed(api: Api, number: int, **changes: Any) -> str:
    """A reviewed payment of a card and a customer of its own; its case."""
    request = a_request(number, card=f"tok_{number}", customer={"id": f"cus_{number}"}) | changes
    answer = (await api.post("/v1/assessments", request)).body
    assert answer["decision"] == "review"
    async with api.deps.engine.connect() as conn:
        found = text("SELECT case_id FROM risk.case_payment WHERE assessment_id = :id")
        return str(await conn.scalar(found, {"id": answer["id"]}))


def at(api: Api, now: datetime) -> FixedClock:
    """Stop the application's clock."""
    clock = FixedClock(now)
    api.app.state.deps = replace(api.deps, clock=clock)
    return clock


pytestmark = pytest.mark.usefixtures("review_all")


async def test_a_reviewed_payment_is_taken_up_looked_at_and_rejected(api: Api, hire: Hire) -> None:
    ada = await hire("ada", "analyst")
    case_id = await reviewed(api, 1)
    taken = (await ada.post("/next")).body["case"]
    assert (taken["id"], taken["status"], taken["locked_by"]) == (case_id, "in_progress", "ada")
    assert (await ada.post("/next")).body["case"]["id"] == case_id, "a lost answer costs nothing"
    noted = await ada.post(f"/{case_id}/notes", {"text": "No answer.\nTry again at noon."})
    assert noted.status == 200
    closed = (await ada.decide(case_id, "reject")).body
    assert (closed["status"], closed["verdict"], closed["closed_by"]) == ("closed", "reject", "ada")
    assert (await ada.post("/next")).body["case"] is None

    shown = (await ada.get(f"/{case_id}")).body
    assert [act["kind"] for act in shown["acts"]] == ["opened", "locked", "locked", "noted", "decided"]
    assert {act["actor"] for act in shown["acts"][1:]} == {"ada"}
    assert shown["acts"][0]["actor"] == "system:risk-engine"
    assert shown["acts"][-1]["text"] == "Called the payer."
    assert shown["acts"][-1]["after"]["verdict"] == "reject"
    (payment,) = shown["payments"]
    assert (payment["payment_id"], payment["status"]) == ("pay_1", "unknown")
    assert payment["effect"]["code"] == "pending"
    assert payment["reasons"] == [{"code": "code_1", "text": "A sentence."}]


async def test_the_verdict_is_told_once_with_every_payment_of_the_case(api: Api, hire: Hire) -> None:
    ada = await hire("ada", "analyst")
    case_id = await reviewed(api, 1)
    assert await reviewed(api, 2, card="tok_1", customer=None) == case_id
    first = await ada.decide(case_id, "approve")
    assert (await ada.decide(case_id, "approve")).body == first.body, (
        "the same verdict of the same person again"
    )
    assert (await ada.decide(case_id, "reject")).body["type"] == "/problems/case-closed"
    async with api.deps.engine.connect() as conn:
        events = (
            await conn.scalars(text("SELECT data FROM risk.outbox_event WHERE type = 'case.decided.v1'"))
        ).all()
    (told,) = [event["case"] for event in events]
    assert (told["id"], told["verdict"], told["decided_by"]) == (case_id, "approve", "ada")
    assert {one["payment_id"] for one in told["payments"]} == {"pay_1", "pay_2"}


async def test_a_large_case_takes_two_people(api: Api, hire: Hire) -> None:
    ada, bob = await hire("ada", "analyst"), await hire("bob", "analyst")
    case_id = await reviewed(api, 1, amount_minor=LARGE)
    await ada.post("/next")
    proposed = (await ada.decide(case_id, "approve")).body
    assert (proposed["status"], proposed["proposed"], proposed["proposed_by"]) == (
        "in_progress",
        "approve",
        "ada",
    )
    again = await ada.decide(case_id, "approve")
    assert (again.status, again.body["type"]) == (409, "/problems/second-person-needed")
    assert (await ada.post("/next")).body["case"] is None, "it waits for somebody else"
    assert (await bob.post("/next")).body["case"]["id"] == case_id
    assert (await bob.decide(case_id, "approve")).body["status"] == "closed"
    kinds = [act["kind"] for act in (await ada.get(f"/{case_id}")).body["acts"]]
    assert kinds == ["opened", "locked", "proposed", "locked", "decided"]


async def test_the_most_urgent_comes_first_and_a_lock_ends(api: Api, hire: Hire) -> None:
    ada, bob = await hire("ada", "analyst"), await hire("bob", "analyst")
    small, large = await reviewed(api, 1), await reviewed(api, 2, amount_minor=LARGE)
    clock = at(api, datetime.now(UTC) + timedelta(minutes=1))
    assert (await ada.post("/next")).body["case"]["id"] == large
    assert (await bob.post("/next")).body["case"]["id"] == small
    held = await bob.decide(large, "approve")
    assert (held.status, held.body["type"]) == (409, "/problems/case-held")
    clock.advance(LOCK_LASTS)
    assert (await ada.get(f"/{large}")).body["locked_by"] is None
    await ada.post(f"/{large}/release")
    await bob.post(f"/{small}/release")
    assert (await bob.post("/next")).body["case"]["id"] == large


async def test_cases_are_listed_by_urgency_filtered_and_paged(api: Api, hire: Hire) -> None:
    ada = await hire("ada", "analyst")
    made = [await reviewed(api, n) for n in range(5)]
    urgent = await reviewed(api, 9, amount_minor=LARGE)
    await ada.post(f"/{made[0]}/assign", {"assignee": "ada"})
    seen, cursor = [], ""
    while True:
        page = (await ada.get(f"?limit=2{cursor}")).body
        seen += [case["id"] for case in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == [urgent, *made]
    assert [one["id"] for one in (await ada.get("?assignee=ada")).body["data"]] == [made[0]]
    assert [one["id"] for one in (await ada.get("?status=in_progress")).body["data"]] == [made[0]]
    assert (await ada.get("?overdue=true")).body["data"] == []
    at(api, datetime.now(UTC) + timedelta(hours=2))
    overdue = (await ada.get("?overdue=true")).body["data"]
    assert [(one["id"], one["overdue"]) for one in overdue] == [(urgent, True)]
    await watch_cases(api.app.state.deps)
    shown = {sample.labels["state"]: sample.value for sample in next(iter(metrics.cases.collect())).samples}
    assert shown == {"waiting": 6, "overdue": 1}
    for case_id in made[:3]:
        await ada.decide(case_id, "approve")
    closed = (await ada.get("?status=closed&limit=2")).body
    assert [one["id"] for one in closed["data"]] == [made[2], made[1]]
    rest = (await ada.get(f"?status=closed&limit=2&cursor={closed['next_cursor']}")).body
    assert ([one["id"] for one in rest["data"]], rest["next_cursor"]) == ([made[0]], None)
    unknown = "cas_" + "0" * 26
    assert (await ada.get(f"?cursor={unknown}")).status == 422


async def test_a_lead_decides_for_many_and_each_has_an_answer_of_its_own(api: Api, hire: Hire) -> None:
    lea, ada = await hire("lea", "lead"), await hire("ada", "analyst")
    done, held, large = (
        await reviewed(api, 1),
        await reviewed(api, 2),
        await reviewed(api, 3, amount_minor=LARGE),
    )
    await ada.post(f"/{held}/assign", {"assignee": "ada"})
    gone = "cas_" + "0" * 26
    body = {"ids": [done, gone, held, large], "verdict": "reject", "reason": "One ring of stolen cards."}
    answers = (await lea.post("/decide", body)).body["data"]
    assert [(one["id"], one["status"]) for one in answers] == [
        (done, 200),
        (gone, 404),
        (held, 200),
        (large, 200),
    ]
    assert answers[1]["problem"]["type"] == "/problems/not-found"
    assert answers[3]["case"]["proposed_by"] == "lea", "two people also when many are decided at once"
    again = (await lea.post("/decide", body)).body["data"]
    assert [one["status"] for one in again] == [200, 404, 200, 409]


async def test_each_role_does_what_it_may(api: Api, hire: Hire) -> None:
    ada, lea, eve = await hire("ada", "analyst"), await hire("lea", "lead"), await hire("eve", "auditor")
    case_id = await reviewed(api, 1)
    assert (await eve.get("")).status == 200
    assert (await eve.get(f"/{case_id}")).status == 200
    decision = {"verdict": "approve", "reason": "Known payer."}
    for path, body in (
        ("/next", {}),
        (f"/{case_id}/assign", {"assignee": "eve"}),
        (f"/{case_id}/release", {}),
        (f"/{case_id}/notes", {"text": "x"}),
        (f"/{case_id}/decide", decision),
        ("/decide", decision | {"ids": [case_id]}),
    ):
        assert (await eve.post(path, body)).status == 403, path
    assert (await ada.post("/decide", decision | {"ids": [case_id]})).status == 403
    assert (await ada.post(f"/{case_id}/assign", {"assignee": "lea"})).body[
        "type"
    ] == "/problems/not-your-case"
    assert (await lea.post(f"/{case_id}/assign", {"assignee": "eve"})).body[
        "type"
    ] == "/problems/unknown-assignee"
    assert (await lea.post(f"/{case_id}/assign", {"assignee": "ada"})).body["assignee"] == "ada"
    assert (await api.post(f"{PATH}/next", {})).status == 401, "the services' token is no person"
    assert (await api.get(f"{PATH}/{case_id}")).status == 200, "but it may read"


@pytest.mark.parametrize(
    "body",
    [
        {"verdict": "perhaps", "reason": "x"},
        {"verdict": "approve"},
        {"verdict": "approve", "reason": ""},
        {"verdict": "approve", "reason": "card 4111 1111 1111 1111"},
        {"verdict": "approve", "reason": "x", "more": 1},
    ],
)
async def test_a_decision_needs_a_verdict_and_a_reason(api: Api, hire: Hire, body: dict[str, Any]) -> None:
    ada = await hire("ada", "analyst")
    case_id = await reviewed(api, 1)
    assert (await ada.post(f"/{case_id}/decide", body)).status == 422
    assert (await ada.get(f"/{case_id}")).body["status"] == "open"


async def test_a_case_that_is_not_there_is_not_found(api: Api, hire: Hire) -> None:
    ada = await hire("ada", "analyst")
    for answer in (
        await ada.get("/cas_x"),
        await ada.post("/cas_x/notes", {"text": "x"}),
        await ada.post("/cas_x/release"),
        await ada.decide("cas_x", "approve"),
    ):
        assert answer.status == 404
