"""Lists over HTTP, from an entry to a refusal within two seconds."""

import pytest
from risk_rig import Api, a_document, a_request, a_rule, codes, eventually

from risk_engine.operations.backtest_rule_set import run_backtests


@pytest.mark.timing  # within two seconds
async def test_a_listed_address_is_blocked_within_two_seconds(api: Api) -> None:
    ada, bob = await api.token_of("ada", "lead"), await api.token_of("bob", "analyst")
    made = await api.post("/v1/lists", {"name": "bad_mail", "type": "email", "note": "Seen before."}, **bob)
    assert (made.status, made.body["fact"]) == (201, "list_bad_mail")
    document = a_document(rules=[a_rule(1, when="list_bad_mail && has_email", then="block", code="bad_mail")])
    rule_set = (await api.post("/v1/rule-sets", document, **bob)).body["hash"]
    await api.post("/v1/backtests", {"rule_set": rule_set}, **bob)
    await run_backtests(api.deps)
    await api.post(f"/v1/rule-sets/{rule_set}/approve", {}, **ada)
    await api.post(f"/v1/rule-sets/{rule_set}/publish", b"", **ada)
    added = await api.post(
        "/v1/lists/bad_mail/entries",
        {"data": [{"value": "eve@example.com", "reason": "Fraud."}, {"value": "no address", "reason": "x"}]},
        **bob,
    )
    assert [one["result"] for one in added.body["data"]] == ["added", "refused"]

    number = 0

    async def is_blocked() -> bool:
        nonlocal number
        number += 1
        request = a_request(number, customer={"email": "Eve@example.com"})
        return codes((await api.post("/v1/assessments", request)).body) == ["bad_mail"]

    assert await eventually(is_blocked) < 2
    hits = await api.get("/v1/lists/bad_mail/hits")
    assert len(hits.body["data"]) == 1
    entry = added.body["data"][0]["id"]
    off = await api.post(f"/v1/lists/bad_mail/entries/{entry}/remove", b"", **bob)
    assert off.body["removed_by"] == "bob"
    assert off.body["warning"] is None
    assert (await api.get("/v1/lists/bad_mail/entries")).body["data"] == []
    assert len((await api.get("/v1/lists/bad_mail/entries?with_removed=true")).body["data"]) == 1
    assert (await api.get("/v1/lists")).body["data"][0]["entry_count"] == 0


async def test_a_reader_changes_nothing(api: Api) -> None:
    eve = await api.token_of("eve", "auditor")
    assert (await api.post("/v1/lists", {"name": "mine", "type": "ip"}, **eve)).status == 403
    assert (await api.get("/v1/lists", **eve)).status == 200
