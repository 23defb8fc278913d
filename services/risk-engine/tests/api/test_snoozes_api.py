"""A rule that does not count for one payer for a while; and the share of blocks that is let through."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from risk_rig import Answer, Api, a_document, a_request, a_rule
from sqlalchemy import text

from platform_kit.clock import FixedClock, isoformat
from risk_engine.clients.cel import compile_rules
from risk_engine.domain import snoozes as domain
from risk_engine.domain.rule_documents import parse_rule_set
from risk_engine.operations import snooze_rules
from risk_engine.operations.replay_decisions import replay_decisions
from risk_engine.operations.snooze_rules import follow_snoozes

PATH = "/v1/snoozes"
RULES = a_document(
    rules=[
        a_rule(1, when="method == 'card'", then="block", code="no_cards"),
        a_rule(2, when="customer_country == 'DE'", then="review", code="look"),
    ]
)


@pytest.fixture
async def lead(api: Api) -> str:
    api.deps.rules.deployed = replace(api.deps.rules.deployed, live=compile_rules(parse_rule_set(RULES)))
    return str((await api.post("/v1/staff", {"name": "lea", "role": "lead"})).body["token"])


async def snooze(api: Api, token: str, of: str, **changes: Any) -> Answer:
    body = {
        "rule": "rule_1",
        "by": "customer",
        "assessment_id": of,
        "until": isoformat(datetime.now(UTC) + timedelta(days=1)),
        "reason": "Known to travel.",
    }
    return await api.post(PATH, body | changes, authorization=f"Bearer {token}")


async def assessed(api: Api, number: int, **changes: Any) -> dict[str, Any]:
    made = (await api.post("/v1/assessments", a_request(number, **changes))).body
    return dict((await api.get(f"/v1/assessments/{made['id']}")).body)


async def test_a_snoozed_rule_does_not_count_for_that_customer_and_the_record_says_so(
    api: Api, lead: str
) -> None:
    first = await assessed(api, 1)
    assert (first["decision"], first["trace"]["snoozed"]) == ("block", [])
    made = await snooze(api, lead, first["id"])
    assert (made.status, made.body["made_by"], made.body["ended_at"]) == (201, "lea", None)
    await follow_snoozes(api.deps)
    second = await assessed(api, 2)
    assert (second["decision"], second["trace"]["hits"]) == ("review", ["rule_2"])
    assert second["trace"]["snoozed"] == ["rule_1"]
    other = await assessed(api, 3, customer={"id": "cus_2", "country": "DE"})
    assert other["decision"] == "block", "another customer with the same card"
    elsewhere = await assessed(api, 4, merchant_id="mer_2")
    assert elsewhere["decision"] == "block", "a customer is one merchant's"

    await api.post(f"{PATH}/{made.body['id']}/end", b"", authorization=f"Bearer {lead}")
    await follow_snoozes(api.deps)
    assert (await assessed(api, 5))["decision"] == "block"
    listed = (await api.get(PATH)).body["data"]
    assert [(one["id"], one["ended_by"]) for one in listed] == [(made.body["id"], "lea")]
    replayed = await replay_decisions(api.deps, None, 100)
    assert (replayed["replayed"], replayed["differing"]) == (5, 0), replayed["differences"]


async def test_all_processes_follow_by_themselves_and_a_snooze_ends_at_its_time(api: Api, lead: str) -> None:
    first = await assessed(api, 1)
    until = datetime.now(UTC) + timedelta(hours=1)
    await snooze(api, lead, first["id"], by="card", until=isoformat(until))
    await follow_snoozes(api.deps)
    assert not await follow_snoozes(api.deps), "nothing has changed since"
    assert (await assessed(api, 2))["decision"] == "review"
    api.app.state.deps = replace(api.deps, clock=FixedClock(until))
    assert (await assessed(api, 3))["decision"] == "block", "nobody had to end it"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"rule": "rule_9"}, "unknown-rule"),
        ({"by": "device"}, "nothing-to-snooze"),
        ({"until": "2020-01-01T00:00:00Z"}, "invalid-until"),
        ({"until": "2999-01-01T00:00:00Z"}, "invalid-until"),
        ({"assessment_id": "asm_x"}, "unknown-assessment"),
        ({"by": "name"}, "invalid-request"),
    ],
)
async def test_what_cannot_be_snoozed_is_refused(
    api: Api, lead: str, changes: dict[str, Any], problem: str
) -> None:
    first = await assessed(api, 1, customer={"id": "cus_1"})
    refused = await snooze(api, lead, first["id"], **changes)
    assert refused.body["type"] == f"/problems/{problem}"


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for one."""
    monkeypatch.setattr(snooze_rules, "SNOOZES_MAX", 1)


@pytest.mark.usefixtures("few")
async def test_there_are_not_too_many_of_them(api: Api, lead: str) -> None:
    assert domain.SNOOZES_MAX == 1_000
    first = await assessed(api, 1)
    made = await snooze(api, lead, first["id"])
    assert (await snooze(api, lead, first["id"], by="card")).body["type"] == "/problems/too-many-snoozes"
    await api.post(f"{PATH}/{made.body['id']}/end", b"", authorization=f"Bearer {lead}")
    assert (await snooze(api, lead, first["id"], by="card")).status == 201


async def test_only_a_lead_snoozes(api: Api, lead: str) -> None:
    first = await assessed(api, 1)
    analyst = (await api.post("/v1/staff", {"name": "ada", "role": "analyst"})).body["token"]
    assert (await snooze(api, analyst, first["id"])).status == 403
    made = (await snooze(api, lead, first["id"])).body
    assert (await api.post(f"{PATH}/{made['id']}/end", b"", authorization=f"Bearer {analyst}")).status == 403
    assert (await api.post(f"{PATH}/snz_x/end", b"", authorization=f"Bearer {lead}")).status == 404
    assert (await api.get(PATH, authorization=f"Bearer {analyst}")).status == 200


async def test_a_share_of_small_blocks_is_let_through_and_recorded(api: Api, lead: str) -> None:
    settings = api.deps.settings.model_copy(update={"let_through_bp": 10_000, "let_through_max_minor": 5_000})
    api.app.state.deps = replace(api.deps, settings=settings)
    other = {"card": "tok_other", "customer": {"id": "other"}}
    small, large = await assessed(api, 1), await assessed(api, 2, amount_minor=5_001, **other)
    assert (small["decision"], small["trace"]["let_through"]) == ("allow", True)
    assert small["trace"]["hits"] == ["rule_1", "rule_2"], "what would have blocked it stays on record"
    assert (large["decision"], large["trace"]["let_through"]) == ("block", False)
    replayed = await replay_decisions(api.deps, None, 100)
    assert (replayed["replayed"], replayed["differing"]) == (2, 0), replayed["differences"]
    async with api.deps.engine.connect() as conn:
        assert await conn.scalar(text("SELECT count(*) FROM risk.case_payment")) == 0
