"""A proposal over HTTP."""

from risk_rig import Api

PATH = "/v1/threshold-proposals"


async def test_costs_have_defaults_and_a_list_must_be_there(api: Api) -> None:
    bob = await api.token_of("bob", "analyst")
    found = (await api.post(PATH, {"costs": {"review_minor": 500}, "silent_days": 45}, **bob)).body
    assert found["costs"] == {
        "fraud_loss_bp": 10_000,
        "dispute_fee_minor": 1_500,
        "margin_bp": 1_000,
        "review_minor": 500,
        "review_misses_bp": 1_000,
        "challenge_abandons_bp": 1_000,
        "challenge_passes_bp": 500,
    }
    assert (found["payments"], found["thresholds"], found["score_bands"]) == (0, {}, [])
    assert (await api.post(PATH, {"merchants": "nope"}, **bob)).status == 404
    assert (await api.post(PATH, {"costs": {"margin_bp": 10_001}}, **bob)).status == 422
    assert (
        await api.post(PATH, {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, **bob)
    ).status == 422
    assert (await api.post(PATH, {})).status == 401
