"""card_sim keeps its own count, does each key once, and goes wrong exactly as the token says."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from simulator_rig import RunningSimulators, eventually, run_hearer, run_simulators
from standardwebhooks import Webhook

from payment_gateway.clients.simulators.scripts import SCRIPTS

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.mark.parametrize(
    ("token", "status", "outcome", "code"),
    [
        ("tok_visa", 200, "succeeded", None),
        ("tok_visa_4711", 200, "succeeded", None),
        ("tok_mastercard", 200, "succeeded", None),
        ("tok_slow", 200, "succeeded", None),
        ("tok_3ds", 200, "action_required", None),
        ("tok_3ds_77", 200, "action_required", None),
        ("tok_declined", 402, "declined", "card_declined"),
        ("tok_insufficient_funds", 402, "declined", "insufficient_funds"),
        ("tok_insufficient_funds_9", 402, "declined", "insufficient_funds"),
        ("tok_expired", 402, "declined", "expired_card"),
        ("tok_lost", 402, "declined", "lost_card"),
        ("tok_stolen", 402, "declined", "stolen_card"),
        ("tok_visax", 402, "declined", "invalid_card"),
        ("4242", 402, "declined", "invalid_card"),
    ],
)
async def test_the_token_decides(
    simulators: RunningSimulators, token: str, status: int, outcome: str, code: str | None
) -> None:
    answered = await simulators.authorise("att_1", token)
    assert (answered[0], answered[1]["outcome"], answered[1]["code"]) == (status, outcome, code)
    assert await simulators.charged_minor("att_1") == (1250 if outcome == "succeeded" else 0)
    assert await simulators.operation("att_1") == answered[1]


async def test_an_error_is_stated_as_not_processed_and_charges_nothing(simulators: RunningSimulators) -> None:
    status, answer = await simulators.authorise("att_1", "tok_error")
    assert (status, answer["outcome"]) == (503, "not_processed")
    assert await simulators.operation("att_1") is None
    assert await simulators.journal() == []


@pytest.mark.parametrize(("token", "charged"), [("tok_timeout", 1250), ("tok_dropped", 0)])
async def test_a_hanging_answer_never_comes_whether_the_card_was_charged_or_not(
    simulators: RunningSimulators, token: str, charged: int
) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.0):
            await simulators.authorise("att_1", token)
    assert await simulators.charged_minor("att_1") == charged


async def test_a_reset_comes_after_the_charge_and_carries_no_answer(simulators: RunningSimulators) -> None:
    with pytest.raises((aiohttp.ClientOSError, ConnectionResetError)):
        await simulators.authorise("att_1", "tok_reset")
    assert await simulators.charged_minor("att_1") == 1250
    status, answer = await simulators.authorise("att_1", "tok_reset")
    assert (status, answer["outcome"]) == (200, "succeeded"), "the same key learns what became of it"


async def test_one_key_is_charged_once_however_often_and_at_once_it_comes(
    simulators: RunningSimulators,
) -> None:
    answers = await asyncio.gather(*(simulators.authorise("att_1", "tok_slow") for _ in range(20)))
    assert len({answer["channel_reference"] for _, answer in answers}) == 1
    assert await simulators.charged_minor("att_1") == 1250


@pytest.mark.parametrize("changes", [{"amount_minor": 1251}, {"capture": False}, {"token": "tok_mastercard"}])
async def test_a_key_is_not_used_for_two_things(
    simulators: RunningSimulators, changes: dict[str, Any]
) -> None:
    await simulators.authorise("att_1")
    status, answer = await simulators.post(
        "/card/authorisations",
        "att_1",
        **{"token": "tok_visa", "amount_minor": 1250, "currency": "EUR", "capture": True, "challenge": False}
        | changes,
    )
    assert (status, answer["type"]) == (409, "/problems/key-conflict")
    assert await simulators.charged_minor("att_1") == 1250


async def test_where_a_result_is_told_does_not_make_another_request(simulators: RunningSimulators) -> None:
    await simulators.authorise("att_1", callback_url="http://127.0.0.1:9/old")
    assert (await simulators.authorise("att_1", callback_url="http://127.0.0.1:9/new"))[0] == 200


async def test_a_key_of_an_authorisation_is_not_one_of_a_refund(simulators: RunningSimulators) -> None:
    await simulators.authorise("att_1")
    status, _ = await simulators.post(
        "/card/refunds", "att_1", original="att_1", amount_minor=1, currency="EUR"
    )
    assert status == 409


async def test_captures_never_exceed_the_hold(simulators: RunningSimulators) -> None:
    await simulators.hold("att_1", 1000)
    answers = await asyncio.gather(*(simulators.act("captures", f"cap_{n}", "att_1", 300) for n in range(10)))
    assert [a["outcome"] for a in answers].count("succeeded") == 3
    assert {a["code"] for a in answers if a["outcome"] == "declined"} == {"amount_exceeds_authorised"}
    assert sum([await simulators.charged_minor(f"cap_{n}") for n in range(10)]) == 900


async def test_refunds_never_exceed_the_captures(simulators: RunningSimulators) -> None:
    await simulators.authorise("att_1", amount_minor=1000)
    answers = await asyncio.gather(*(simulators.act("refunds", f"ref_{n}", "att_1", 300) for n in range(10)))
    assert [a["outcome"] for a in answers].count("succeeded") == 3
    refunded = sum(line.get("refunded_minor", 0) for line in await simulators.journal())
    assert refunded == 900


async def test_a_refund_may_name_the_capture_that_it_gives_back(simulators: RunningSimulators) -> None:
    await simulators.hold("att_1")
    await simulators.act("captures", "cap_1", "att_1", 500)
    assert (await simulators.act("refunds", "ref_1", "cap_1", 500))["outcome"] == "succeeded"
    assert (await simulators.act("refunds", "ref_2", "att_1", 1))["code"] == "amount_exceeds_captured"


async def test_a_void_gives_up_what_is_left_of_the_hold_once(simulators: RunningSimulators) -> None:
    await simulators.hold("att_1")
    await simulators.act("captures", "cap_1", "att_1", 500)
    void = await simulators.act("voids", "void_1", "att_1", 750)
    assert (void["outcome"], void["amount_minor"]) == ("succeeded", 750)
    assert (await simulators.act("captures", "cap_2", "att_1", 1))["code"] == "not_capturable"
    assert (await simulators.act("voids", "void_2", "att_1", 750))["code"] == "already_voided"
    assert (await simulators.act("refunds", "ref_1", "att_1", 500))["outcome"] == "succeeded"


async def test_what_is_taken_cannot_be_voided(simulators: RunningSimulators) -> None:
    await simulators.authorise("att_1")
    assert (await simulators.act("voids", "void_1", "att_1", 1250))["code"] == "not_voidable"


async def test_nothing_is_done_to_a_payment_that_is_not_there_or_in_another_currency(
    simulators: RunningSimulators,
) -> None:
    assert (await simulators.act("refunds", "ref_1", "att_0", 1))["code"] == "unknown_original"
    await simulators.authorise("att_1", currency="USD")
    assert (await simulators.act("refunds", "ref_2", "att_1", 1))["code"] == "currency_mismatch"


async def test_a_closed_key_refuses_what_arrives_late(simulators: RunningSimulators) -> None:
    _, closed = await simulators.post("/card/operations/att_1/close")
    assert (closed["outcome"], closed["code"]) == ("not_processed", "closed")
    _, late = await simulators.authorise("att_1")
    assert late["outcome"] == "not_processed"
    assert await simulators.charged_minor("att_1") == 0
    assert await simulators.operation("att_1") == closed


async def test_closing_a_key_that_was_used_tells_what_it_did(simulators: RunningSimulators) -> None:
    _, answer = await simulators.authorise("att_1")
    assert (await simulators.post("/card/operations/att_1/close"))[1] == answer


@pytest.mark.parametrize(
    "changes",
    [
        {"amount_minor": 0}, {"amount_minor": -1}, {"amount_minor": True}, {"amount_minor": 12.5},
        {"amount_minor": 10**12 + 1}, {"currency": "eur"}, {"currency": None}, {"token": ""}, {"token": 1},
        {"capture": "yes"},
    ],
)  # fmt: skip
async def test_nonsense_is_refused_and_uses_up_no_key(
    simulators: RunningSimulators, changes: dict[str, Any]
) -> None:
    status, _ = await simulators.authorise("att_1", **{"token": "tok_visa"} | changes)
    assert status == 422
    assert await simulators.operation("att_1") is None


@pytest.mark.parametrize("key", [None, "", "k" * 256, "schlüssel"])
async def test_a_question_needs_a_key(simulators: RunningSimulators, key: str | None) -> None:
    status, _ = await simulators.post(
        "/card/authorisations", key, token="tok_visa", amount_minor=1, currency="EUR"
    )
    assert status == 422


@pytest.mark.parametrize(
    ("word", "outcome", "code", "charged"),
    [
        ("passed", "succeeded", None, 1250),
        ("failed", "declined", "authentication_failed", 0),
        ("abandoned", "declined", "authentication_abandoned", 0),
    ],
)
async def test_a_challenge_is_decided_by_the_payer_and_reported(
    tmp_path: Path, word: str, outcome: str, code: str | None, charged: int
) -> None:
    async with run_hearer() as gateway, run_simulators(tmp_path) as simulators:
        _, asked = await simulators.authorise("att_1", "tok_3ds", callback_url=f"{gateway.url}/reports")
        assert asked["next_action"]["type"] == "three_ds"
        page = asked["next_action"]["url"].removeprefix(simulators.url)
        _, answer = await simulators.post(page, outcome=word)
        assert (answer["outcome"], answer["code"], answer["next_action"]) == (outcome, code, None)
        assert await simulators.charged_minor("att_1") == charged
        await eventually(lambda: gateway.heard)
        headers, body = gateway.heard[0]
        report = Webhook(SECRET).verify(body, headers)
        assert (report["type"], report["channel_key"]) == (f"authorisation.{outcome}", "att_1")
        assert (report["code"], report["captured"]) == (code, outcome == "succeeded")


@pytest.mark.parametrize("way", ["token", "amount", "header"])
@pytest.mark.parametrize("fault", ["duplicate", "shuffled"])
async def test_the_result_of_a_challenge_is_reported_wrongly_when_that_is_ordered(
    tmp_path: Path, fault: str, way: str
) -> None:
    token = f"tok_{fault}_callbacks" if way == "token" else "tok_3ds" if way == "header" else "tok_visa"
    amount = {"duplicate": 9_966_610, "shuffled": 9_966_611}[fault] if way == "amount" else 1250
    async with run_hearer() as gateway, run_simulators(tmp_path) as simulators:
        body = {"token": token, "amount_minor": amount, "currency": "EUR", "callback_url": f"{gateway.url}/r"}
        headers = {"Idempotency-Key": "att_1"}
        if way == "header":
            headers["Sandbox-Fault"] = f"{fault}-callbacks"
        url = f"{simulators.url}/card/authorisations"
        async with simulators.session.post(url, json=body, headers=headers) as asked:
            page = (await asked.json())["next_action"]["url"].removeprefix(simulators.url)
        await simulators.post(page, outcome="passed")
        await eventually(lambda: len(gateway.heard) == 2)
        ids = {headers["webhook-id"] for headers, _ in gateway.heard}
        outcomes = [body["outcome"] for body in gateway.bodies()]
        if fault == "duplicate":
            assert (len(ids), outcomes) == (1, ["succeeded", "succeeded"])
        else:
            assert (len(ids), outcomes) == (2, ["succeeded", "action_required"])


async def test_a_challenge_is_decided_once(simulators: RunningSimulators) -> None:
    _, asked = await simulators.authorise("att_1", "tok_3ds")
    page = asked["next_action"]["url"].removeprefix(simulators.url)
    assert (await simulators.post(page, outcome="later"))[0] == 422
    await simulators.post(page, outcome="passed")
    assert (await simulators.post(page, outcome="passed"))[0] == 200
    assert (await simulators.post(page, outcome="failed"))[0] == 409
    assert await simulators.charged_minor("att_1") == 1250


async def test_the_issuer_page_is_a_form_that_a_browser_can_send(simulators: RunningSimulators) -> None:
    _, asked = await simulators.authorise("att_1", "tok_3ds")
    url = asked["next_action"]["url"]
    async with simulators.session.get(url) as response:
        assert 'value="passed"' in await response.text()
    async with simulators.session.post(url, data={"outcome": "passed"}) as response:
        assert response.status == 200
    assert await simulators.charged_minor("att_1") == 1250


async def test_risk_can_ask_for_a_challenge_of_any_good_card(simulators: RunningSimulators) -> None:
    assert (await simulators.authorise("att_1", challenge=True))[1]["outcome"] == "action_required"
    assert (await simulators.authorise("att_2", "tok_lost", challenge=True))[1]["outcome"] == "declined"


async def test_a_voided_challenge_cannot_be_passed(simulators: RunningSimulators) -> None:
    _, asked = await simulators.authorise("att_1", "tok_3ds")
    assert (await simulators.act("voids", "void_1", "att_1", 0))["outcome"] == "succeeded"
    page = asked["next_action"]["url"].removeprefix(simulators.url)
    assert (await simulators.post(page, outcome="passed"))[0] == 409
    assert await simulators.charged_minor("att_1") == 0


async def test_the_books_are_for_the_platform_only(simulators: RunningSimulators) -> None:
    for path in ("/journal", "/settlement"):
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            async with simulators.session.get(simulators.url + path, headers=headers) as response:
                assert response.status == 401


@pytest.mark.parametrize(
    ("token", "path", "done"),
    [
        ("tok_capture_timeout", "captures", True),
        ("tok_void_timeout_7", "voids", True),
        ("tok_refund_timeout", "refunds", True),
        ("tok_refund_dropped", "refunds", False),
    ],
)
async def test_what_is_done_to_an_authorisation_can_get_lost_too(
    simulators: RunningSimulators, token: str, path: str, done: bool
) -> None:
    assert (await simulators.authorise("att_1", token, capture=path == "refunds"))[1][
        "outcome"
    ] == "succeeded"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.0):
            await simulators.act(path, "act_1", "att_1", 1250)
    found = await simulators.operation("act_1")
    assert (found is not None and found["outcome"] == "succeeded") == done


@pytest.mark.parametrize("act", ["capture", "refund"])
async def test_what_is_done_to_an_authorisation_can_be_refused_too(
    simulators: RunningSimulators, act: str
) -> None:
    await simulators.authorise("att_1", f"tok_{act}_declined", capture=act == "refund")
    assert (await simulators.act(f"{act}s", "act_1", "att_1", 1250))["code"] == f"{act}_declined"
    assert await simulators.charged_minor("act_1") == 0


def test_every_token_of_the_contract_has_a_script() -> None:
    wanted = (
        "visa mastercard amex discover declined insufficient_funds expired lost stolen wrong_cvc processing_error"
        " charge_declined"
        " 3ds 3ds_frictionless 3ds_declined 3ds_insufficient_funds 3ds_abandoned 3ds_timeout"
        " timeout dropped reset slow error reset_before 5xx duplicate_callbacks shuffled_callbacks"
    )
    assert {f"tok_{name}" for name in wanted.split()} == set(SCRIPTS)
