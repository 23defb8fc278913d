"""The table of reasons over HTTP, and the explanation inside an assessment."""

from risk_rig import Api, a_request

from risk_engine.domain.reason_codes import REASON_CODES


async def test_the_table_is_whole_and_only_for_who_may_read(api: Api) -> None:
    found = (await api.get("/v1/reason-codes")).body["data"]
    assert [one["code"] for one in found] == list(REASON_CODES)
    assert set(found[0]) == {"code", "object", "source", "reviewer", "merchant"}
    assert (await api.get("/v1/reason-codes", authorization="Bearer wrong")).status == 401


async def test_an_assessment_says_that_it_is_not_explained_yet(api: Api) -> None:
    made = (await api.post("/v1/assessments", a_request())).body
    assert (await api.get(f"/v1/assessments/{made['id']}")).body["explanation"] is None
