"""The public test cards, the magic amounts and the 3DS scripts, alike at both acquirers; no number is ever written."""

import pytest
from simulator_rig import QUICK, RunningSimulators, eventually, run_simulators

from payment_gateway.clients.simulators.faults import Delays
from payment_gateway.domain.cards import TEST_CARDS as CARDS


async def charge(
    simulators: RunningSimulators, number: str, place: str = "card", **changes: object
) -> dict[str, object]:
    card = {"number": number, "exp_month": 12, "exp_year": 2030}
    body = {"card": card, "amount_minor": 1250, "currency": "EUR", "capture": True, "challenge": False}
    return (await simulators.post(f"/{place}/authorisations", f"att_{number[-6:]}", **body | changes))[1]


@pytest.mark.parametrize("place", ["card", "card2"])
@pytest.mark.parametrize(
    ("number", "outcome", "code"),
    [
        ("4242424242424242", "succeeded", None),
        ("5555555555554444", "succeeded", None),
        ("378282246310005", "succeeded", None),
        ("6011111111111117", "succeeded", None),
        ("5105105105105100", "succeeded", None),
        ("4000000000000002", "declined", "card_declined"),
        ("4000000000009995", "declined", "insufficient_funds"),
        ("4000000000009987", "declined", "lost_card"),
        ("4000000000009979", "declined", "stolen_card"),
        ("4000000000000069", "declined", "expired_card"),
        ("4000000000000127", "declined", "incorrect_cvc"),
        ("4000000000000119", "declined", "processing_error"),
        ("4000000000000341", "declined", "card_declined"),
        ("4000002500003155", "action_required", None),
        ("4000000000003220", "action_required", None),
        ("4111111111111111", "declined", "invalid_card"),
    ],
)
async def test_a_public_number_does_what_it_does_everywhere(
    simulators: RunningSimulators, place: str, number: str, outcome: str, code: str | None
) -> None:
    answer = await charge(simulators, number, place)
    assert (answer["outcome"], answer["code"]) == (outcome, code)


async def test_no_journal_holds_a_card_number_only_what_it_is_and_its_last_digits(
    simulators: RunningSimulators,
) -> None:
    for place in ("card", "card2"):
        for number in (*CARDS, "4111111111111111"):
            await charge(simulators, number, place)
    written = b"".join(path.read_bytes() for path in simulators.journals.iterdir())
    assert not [number for number in (*CARDS, "4111111111111111") if number.encode() in written]
    assert b'"token":"tok_visa_4242"' in written


@pytest.mark.parametrize(
    "card", [None, "4242424242424242", {}, {"number": 4242424242424242}, {"number": "42"}]
)
async def test_a_card_that_is_none_is_refused(simulators: RunningSimulators, card: object) -> None:
    body = {"card": card, "amount_minor": 1250, "currency": "EUR"}
    assert (await simulators.post("/card/authorisations", "k", **body))[0] == 422


@pytest.mark.parametrize(
    ("token", "said", "code"),
    [
        ("tok_3ds", "passed", None),
        ("tok_3ds", "failed", "authentication_failed"),
        ("tok_3ds", "abandoned", "authentication_abandoned"),
        ("tok_3ds_declined", "passed", "card_declined"),
        ("tok_3ds_insufficient_funds", "passed", "insufficient_funds"),
    ],
)
async def test_a_challenge_ends_as_the_payer_and_then_the_issuer_say(
    simulators: RunningSimulators, token: str, said: str, code: str | None
) -> None:
    _, answer = await simulators.authorise("att_1", token)
    page = answer["next_action"]["url"].removeprefix(simulators.url)
    _, decided = await simulators.post(page, outcome=said)
    assert (decided["outcome"], decided["code"]) == ("declined" if code else "succeeded", code)
    assert await simulators.charged_minor("att_1") == (0 if code else 1250)


async def test_an_issuer_who_knows_the_payer_asks_for_nothing(simulators: RunningSimulators) -> None:
    _, answer = await simulators.authorise("att_1", "tok_3ds_frictionless", challenge=True)
    assert (answer["outcome"], answer["next_action"]) == ("succeeded", None)


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("tok_3ds_abandoned", "authentication_abandoned"),
        ("tok_3ds_timeout", "authentication_timed_out"),
    ],
)
async def test_a_challenge_may_end_by_itself(simulators: RunningSimulators, token: str, code: str) -> None:
    await simulators.authorise("att_1", token)
    path = simulators.journals / "card_sim.jsonl"
    await eventually(lambda: code.encode() in path.read_bytes())
    assert await simulators.charged_minor("att_1") == 0


async def test_a_challenge_that_nobody_answers_runs_out_also_after_a_restart(tmp_path: object) -> None:
    slow, quick = QUICK, Delays(challenge_s=0.05)
    async with run_simulators(tmp_path, slow) as simulators:  # type: ignore[arg-type]
        await simulators.authorise("att_1", "tok_3ds")
    async with run_simulators(tmp_path, quick) as simulators:  # type: ignore[arg-type]
        path = simulators.journals / "card_sim.jsonl"
        await eventually(lambda: b"authentication_timed_out" in path.read_bytes())


@pytest.mark.parametrize(
    ("amount_minor", "status", "code"),
    [
        (9_966_601, 402, "card_declined"),
        (9_966_602, 402, "insufficient_funds"),
        (9_966_607, 503, "temporarily_unavailable"),
    ],
)
async def test_an_amount_decides_for_a_good_card(
    simulators: RunningSimulators, amount_minor: int, status: int, code: str
) -> None:
    answered, answer = await simulators.authorise("att_1", amount_minor=amount_minor)
    assert (answered, answer["code"]) == (status, code)
