"""Rule sets over HTTP, from a document to the decision that it makes."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from risk_rig import Api, a_document, a_request, a_rule, codes, eventually

from platform_kit.contract import ref
from risk_engine.api.answers import CONTRACT
from risk_engine.operations.backtest_rule_set import run_backtests

PATH = "/v1/rule-sets"
STRICT = a_document(name="strict", rules=[a_rule(when="method == 'card'", then="block", code="no_cards")])


@pytest.mark.timing  # within two seconds
async def test_a_document_is_saved_published_and_decides_within_two_seconds(api: Api) -> None:
    ada, bob = await api.token_of("ada", "lead"), await api.token_of("bob", "analyst")
    checked = await api.post("/v1/rule-checks", STRICT, **bob)
    saved = await api.post(PATH, STRICT, **bob)
    assert (saved.status, saved.body["status"], saved.body["hash"]) == (201, "checked", checked.body["hash"])
    rule_set = saved.body["hash"]
    assert (await api.post("/v1/assessments", a_request(1))).body[
        "decision"
    ] == "allow"  # saved is not published
    assert (await api.post(f"{PATH}/{rule_set}/publish", b"", **ada)).body["type"] == "/problems/not-approved"
    assert (await api.post(f"{PATH}/{rule_set}/approve", {}, **bob)).status == 403
    refused = await api.post(f"{PATH}/{rule_set}/approve", {"note": "fine"}, **ada)
    assert refused.body["type"] == "/problems/not-backtested"
    asked = await api.post("/v1/backtests", {"rule_set": rule_set}, **bob)
    assert (asked.status, asked.body["status"], asked.body["asked_by"]) == (202, "queued", "bob")
    await run_backtests(api.deps)
    done = (await api.get(f"/v1/backtests/{asked.body['id']}")).body
    assert (done["status"], done["report"]["changed"]) == (
        "done", [{"was": "allow", "would": "block", "number": 1}],
    )  # fmt: skip
    assert done["report"]["curve"]["points"][0]["stopped"]["number"] == 1
    Draft202012Validator(ref("Backtest") | {"components": {"schemas": dict(CONTRACT.schemas)}}).validate(done)
    assert (await api.get(f"/v1/backtests?rule_set={rule_set}")).body["data"] == [done]
    assert (await api.post(f"{PATH}/{rule_set}/approve", {"note": "fine"}, **ada)).status == 200
    published = await api.post(f"{PATH}/{rule_set}/publish", b"", **ada)
    assert (published.status, published.body["hash"]) == (200, rule_set)

    async def decides() -> bool:
        return bool(api.deps.rules.compiled.rule_set.hash == rule_set)

    assert await eventually(decides) < 2
    answer = (await api.post("/v1/assessments", a_request(2))).body
    assert (answer["decision"], codes(answer), answer["rule_set"]) == ("block", ["no_cards"], rule_set)
    back = await api.post("/v1/deployment/rollback", b"", **ada)
    assert (back.body["act"], back.body["acted_by"]) == ("rollback", "ada")
    history = (await api.get("/v1/deployment/history")).body["data"]
    assert [(one["act"], one["acted_by"]) for one in history] == [
        ("rollback", "ada"), ("publish", "ada"), ("publish", "system:platform"),
    ]  # fmt: skip


async def test_sets_are_listed_and_read(api: Api) -> None:
    bob = await api.token_of("bob", "analyst")
    rule_set = (await api.post(PATH, STRICT, **bob)).body["hash"]
    listed = (await api.get(PATH)).body["data"]
    assert [(one["name"], one["status"]) for one in listed] == [("strict", "checked"), ("default", "live")]
    assert (await api.get(f"{PATH}/{rule_set}")).body["document"] == STRICT
    assert (await api.get(f"{PATH}/{'0' * 64}")).status == 404
    assert (await api.get(f"{PATH}/short")).status == 422
    ada = await api.token_of("ada", "lead")
    assert (await api.post(f"{PATH}/{'0' * 64}/publish", b"", **ada)).status == 404
    assert (await api.post(PATH, STRICT)).status == 401, "the services' token is no person"


@pytest.mark.parametrize(
    ("document", "rule", "why"),
    [
        (
            a_document(rules=[a_rule(7, when="amount > 1")]),
            "rule_7",
            "at 1:1: unknown fact or function 'amount'",
        ),
        (
            a_document(rules=[a_rule(7, when="exec('rm')")]),
            "rule_7",
            "at 1:5: unknown fact or function 'exec'",
        ),
        (a_document(rules=[a_rule(7, when="amount_minor")]), "rule_7", "not a boolean"),
        (a_document(rules=[a_rule(7, when=5)]), "rule_7", "`when`"),
        ({"rules": []}, "name", "printable"),
        (a_document(rules={}), "rules", "list"),
    ],
)
async def test_a_bad_rule_is_named_with_the_reason_and_not_saved(
    api: Api, document: dict[str, Any], rule: str, why: str
) -> None:
    answer = await api.post(PATH, document, **await api.token_of("bob", "analyst"))
    assert (answer.status, answer.body["type"]) == (422, "/problems/invalid-rule")
    named = {error["rule"]: error["detail"] for error in reversed(answer.body["errors"])}
    assert why in named[rule]
    assert len((await api.get(PATH)).body["data"]) == 1


async def test_an_unknown_member_is_refused_at_the_door(api: Api) -> None:
    bob = await api.token_of("bob", "analyst")
    assert (await api.post(PATH, STRICT | {"extra": 1}, **bob)).body["type"] == "/problems/unknown-field"
    assert (await api.post(PATH, [STRICT], **bob)).status == 422
