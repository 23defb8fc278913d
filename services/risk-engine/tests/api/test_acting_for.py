"""A service of the platform asks for a person: the token vouches for the name, the engine knows the role."""

from dataclasses import replace
from typing import Any

import pytest
from risk_rig import Answer, Api, a_document, a_request, a_rule

from risk_engine.clients.cel import compile_rules
from risk_engine.domain.rule_documents import parse_rule_set

REVIEW_ALL = a_document(rules=[a_rule(when="method == 'card'", then="review")])
LARGE = 200_000  # above the amount from which two people decide


@pytest.fixture(autouse=True)
def review_all(api: Api) -> None:
    """Every card payment is reviewed."""
    api.deps.rules.deployed = replace(api.deps.rules.deployed, live=compile_rules(parse_rule_set(REVIEW_ALL)))


async def admitted(api: Api, name: str, role: str) -> dict[str, Any]:
    return dict((await api.post("/v1/staff", {"name": name, "role": role})).body)


async def case_of(api: Api, number: int, **changes: Any) -> str:
    """The case of a reviewed payment."""
    request = a_request(number, card=f"tok_{number}", customer={"id": f"cus_{number}"}) | changes
    await api.post("/v1/assessments", request)
    return str((await api.get("/v1/cases")).body["data"][-1]["id"])


async def decide(api: Api, case: str, name: str, verdict: str = "reject") -> Answer:
    body = {"verdict": verdict, "reason": "Called the payer."}
    return await api.post(f"/v1/cases/{case}/decide", body, acting_for=name)


async def test_an_act_of_the_console_carries_the_person_s_name_and_the_engine_s_role(api: Api) -> None:
    await admitted(api, "ada", "analyst")
    case = await case_of(api, 1)
    taken = await api.post("/v1/cases/next", {}, acting_for="ada")
    assert (taken.status, taken.body["case"]["id"], taken.body["case"]["locked_by"]) == (200, case, "ada")
    decided = await decide(api, case, "ada")
    assert (decided.status, decided.body["closed_by"]) == (200, "ada")
    acts = (await api.get(f"/v1/cases/{case}")).body["acts"]
    assert {act["actor"] for act in acts} == {"system:risk-engine", "ada"}


async def test_nobody_acts_for_a_stranger_or_for_who_has_left(api: Api) -> None:
    case = await case_of(api, 1)
    eve = await admitted(api, "eve", "lead")
    await api.post(f"/v1/staff/{eve['id']}/end", b"")
    for name in ("mallory", "eve", ""):
        refused = await decide(api, case, name)
        # An empty header is not sent by this client: the internal token alone is no person.
        expected = (403, "/problems/not-staff") if name else (401, "/problems/unauthenticated")
        assert (refused.status, refused.body["type"]) == expected, name
    assert (await api.get(f"/v1/cases/{case}")).body["status"] == "open"


async def test_only_the_internal_token_vouches(api: Api) -> None:
    case = await case_of(api, 1)
    await admitted(api, "ada", "lead")
    bob = (await admitted(api, "bob", "analyst"))["token"]
    body = {"verdict": "reject", "reason": "Called the payer."}
    for token in (bob, "rsk_guessed", "guessed"):
        refused = await api.post(
            f"/v1/cases/{case}/decide", body, acting_for="ada", authorization=f"Bearer {token}"
        )
        assert refused.status == 401, token
    assert (await api.get(f"/v1/cases/{case}")).body["status"] == "open"


async def test_the_role_is_the_engine_s_own(api: Api) -> None:
    await admitted(api, "ann", "analyst")
    await admitted(api, "ina", "auditor")
    case = await case_of(api, 1)
    read_only = await decide(api, case, "ina")
    assert (read_only.status, read_only.body["type"]) == (403, "/problems/not-permitted")
    not_a_lead = await api.post("/v1/deployment/rollback", b"", acting_for="ann")
    assert (not_a_lead.status, not_a_lead.body["type"]) == (403, "/problems/not-permitted")


async def test_two_pairs_of_eyes_are_two_names_also_through_the_console(api: Api) -> None:
    await admitted(api, "ada", "lead")
    await admitted(api, "bob", "analyst")
    case = await case_of(api, 1, amount_minor=LARGE)
    first = await decide(api, case, "ada")
    assert (first.status, first.body["proposed_by"], first.body["verdict"]) == (200, "ada", None)
    alone = await decide(api, case, "ada")
    assert (alone.status, alone.body["type"]) == (409, "/problems/second-person-needed")
    second = await decide(api, case, "bob")
    assert (second.body["verdict"], second.body["closed_by"]) == ("reject", "bob")
