"""What every channel must do, whoever it is: one suite over each adapter and its simulator, by real HTTP.

A new channel joins by one line in CHANNELS; its claims (`capabilities`) choose what it is held to.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from factories import a_payment, an_attempt
from simulator_rig import SECRET, Hearer, RunningSimulators, eventually, run_hearer, run_simulators

from payment_gateway.clients.callbacks import verify_callback
from payment_gateway.clients.channel_answers import outcome_of
from payment_gateway.clients.channels import BankChannel, CardChannel, HttpChannel, WalletChannel
from payment_gateway.domain.attempt import (
    ActionRequired,
    Attempt,
    Declined,
    NotProcessed,
    Operation,
    Succeeded,
    Unknown,
)
from payment_gateway.settings import Settings

pytestmark = pytest.mark.timing


@dataclass(frozen=True)
class Example:
    """An adapter and the words that make its simulator agree or refuse."""

    name: str
    adapter: type[HttpChannel]
    path: str
    good: dict[str, Any]
    refused: dict[str, Any]
    returned: dict[str, Any] | None = None


GOOD_CARD = {"type": "card", "token": "tok_visa"}
CHANNELS = [
    Example(
        "card_sim", CardChannel, "/card",
        good=GOOD_CARD, refused={"type": "card", "token": "tok_declined"},
    ),
    Example(
        "card_sim_2", CardChannel, "/card2",
        good=GOOD_CARD, refused={"type": "card", "token": "tok_declined"},
    ),
    Example(
        "wallet_sim", WalletChannel, "/wallet",
        good={"type": "wallet", "provider": "qr"}, refused={"type": "wallet", "provider": "qr_declined"},
    ),
    Example(
        "bank_sim", BankChannel, "/bank",
        good={"type": "bank", "scheme": "sepa"}, refused={"type": "bank", "scheme": "sepa_rejected"},
        returned={"type": "bank", "scheme": "sepa_returned"},
    ),
]  # fmt: skip


@dataclass(frozen=True)
class Rig:
    example: Example
    channel: HttpChannel
    simulators: RunningSimulators
    gateway: Hearer

    def attempt(self, operation: Operation = Operation.AUTHORISE, **changes: Any) -> Attempt:
        return an_attempt(
            a_payment(), operation, **{"channel": self.example.name, "amount_minor": 1250} | changes
        )

    async def authorise(self, attempt: Attempt, method: dict[str, Any] | None = None, **details: Any) -> Any:
        """The outcome once the payer has done what there was to do."""
        wanted = {"method": method or self.example.good, "capture": True, "challenge": False} | details
        outcome = await self.channel.send(attempt, wanted)
        if isinstance(outcome, ActionRequired):
            heard = len(self.gateway.heard)
            await eventually(lambda: len(self.gateway.heard) > heard)
            return await self.channel.ask(attempt)
        return outcome

    async def charged_minor(self) -> int:
        return sum(line.get("charged_minor", 0) for line in await self.simulators.journal(self.example.name))


@asynccontextmanager
async def run_rig(example: Example, journals: Path) -> AsyncIterator[Rig]:
    async with run_hearer() as gateway, run_simulators(journals) as simulators:
        settings = Settings(public_url=gateway.url, channel_timeout_s=5)
        async with example.adapter.open(example.name, simulators.url + example.path, settings) as channel:
            yield Rig(example, channel, simulators, gateway)


@pytest.fixture(params=CHANNELS, ids=lambda example: example.name)
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    async with run_rig(request.param, tmp_path) as running:
        yield running


async def test_a_sale_takes_the_amount_and_names_it(rig: Rig) -> None:
    outcome = await rig.authorise(rig.attempt())
    assert isinstance(outcome, Succeeded)
    assert (outcome.amount_minor, outcome.currency, outcome.is_captured) == (1250, "EUR", True)
    assert outcome.reference
    assert await rig.charged_minor() == 1250


async def test_a_refusal_is_a_value_with_a_code(rig: Rig) -> None:
    outcome = await rig.authorise(rig.attempt(), rig.example.refused)
    assert isinstance(outcome, Declined)
    assert outcome.code
    assert await rig.charged_minor() == 0


async def test_it_does_a_key_once_however_often_it_is_asked(rig: Rig) -> None:
    assert rig.channel.capabilities.is_idempotent
    attempt = rig.attempt()
    outcomes = await asyncio.gather(*(rig.authorise(attempt) for _ in range(5)))
    assert len({outcome.reference for outcome in outcomes}) == 1
    assert await rig.charged_minor() == 1250


async def test_asking_tells_what_sending_told(rig: Rig) -> None:
    assert rig.channel.capabilities.can_be_asked
    attempt = rig.attempt()
    assert await rig.authorise(attempt) == await rig.channel.ask(attempt)


async def test_it_says_so_when_it_never_heard_of_a_key(rig: Rig) -> None:
    assert await rig.channel.ask(rig.attempt()) == Unknown("not-found-yet")


async def test_a_closed_key_does_nothing_for_a_latecomer(rig: Rig) -> None:
    attempt = rig.attempt()
    assert isinstance(await rig.channel.close(attempt), NotProcessed)
    details = {"method": rig.example.good, "capture": True, "challenge": False}
    assert isinstance(await rig.channel.send(attempt, details), NotProcessed)
    assert await rig.charged_minor() == 0


async def test_closing_a_key_that_was_done_tells_so(rig: Rig) -> None:
    attempt = rig.attempt()
    done = await rig.authorise(attempt)
    assert await rig.channel.close(attempt) == done


async def test_it_refunds_what_it_took_in_parts_and_no_more(rig: Rig) -> None:
    sale = rig.attempt()
    await rig.authorise(sale)

    async def refund(amount_minor: int) -> object:
        attempt = rig.attempt(Operation.REFUND, original=sale.channel_key, amount_minor=amount_minor)
        return await rig.channel.send(attempt, {})

    assert isinstance(await refund(1000), Succeeded)
    assert isinstance(await refund(251), Declined)
    assert isinstance(await refund(250), Succeeded)


async def test_a_hold_is_captured_in_parts_and_no_more_where_holds_exist(rig: Rig) -> None:
    hold = rig.attempt()
    held = await rig.authorise(hold, capture=False)
    claims = rig.channel.capabilities
    if claims.hold_lifetime_s is None:
        assert isinstance(held, Declined)
        assert not claims.partial_captures
        return
    assert claims.partial_captures
    assert isinstance(held, Succeeded)
    assert not held.is_captured

    async def capture(amount_minor: int) -> object:
        attempt = rig.attempt(Operation.CAPTURE, original=hold.channel_key, amount_minor=amount_minor)
        return await rig.channel.send(attempt, {})

    assert isinstance(await capture(1000), Succeeded)
    assert claims.several_captures == isinstance(await capture(100), Succeeded)
    assert isinstance(await capture(1250), Declined)
    assert await rig.charged_minor() == 1100


async def test_a_hold_is_voided_once_where_holds_exist(rig: Rig) -> None:
    if rig.channel.capabilities.hold_lifetime_s is None:
        return  # the test above has seen that it refuses to hold
    hold = rig.attempt()
    await rig.authorise(hold, capture=False)
    first, second = (rig.attempt(Operation.VOID, original=hold.channel_key) for _ in range(2))
    assert isinstance(await rig.channel.send(first, {}), Succeeded)
    assert isinstance(await rig.channel.send(second, {}), Declined)
    assert await rig.charged_minor() == 0


async def test_what_it_reports_by_itself_is_signed_and_tells_what_asking_tells(rig: Rig) -> None:
    assert rig.channel.capabilities.reports_by_itself
    attempt = rig.attempt()
    details = {"method": rig.example.good, "capture": True, "challenge": True}
    outcome = await rig.channel.send(attempt, details)
    assert isinstance(outcome, ActionRequired)
    if outcome.next_action["type"] == "three_ds":
        page = outcome.next_action["url"].removeprefix(rig.simulators.url)
        await rig.simulators.post(page, outcome="passed")
    await eventually(lambda: rig.gateway.heard)
    event_id, body = verify_callback(SECRET, *rig.gateway.heard[0])
    assert event_id
    assert body["channel_key"] == attempt.channel_key
    assert outcome_of(body) == await rig.channel.ask(attempt)


async def test_a_challenge_names_a_page_and_holds_until_it_is_passed(rig: Rig) -> None:
    attempt = rig.attempt()
    details = {"method": rig.example.good, "capture": True, "challenge": True}
    outcome = await rig.channel.send(attempt, details)
    assert isinstance(outcome, ActionRequired)
    assert outcome.next_action["url"].startswith("http")
    assert await rig.channel.send(replace(attempt), details) in (outcome, await rig.channel.ask(attempt))


async def test_the_payer_always_acts_first_exactly_where_it_says_so(rig: Rig) -> None:
    details = {"method": rig.example.good, "capture": True, "challenge": False}
    outcome = await rig.channel.send(rig.attempt(), details)
    assert isinstance(outcome, ActionRequired) == rig.channel.capabilities.is_asynchronous


async def test_what_the_payer_has_not_done_yet_can_be_voided(rig: Rig) -> None:
    assert rig.channel.capabilities.voids
    attempt = rig.attempt()
    details = {"method": rig.example.good, "capture": True, "challenge": True}
    assert isinstance(await rig.channel.send(attempt, details), ActionRequired)
    void = rig.attempt(Operation.VOID, original=attempt.channel_key)
    assert isinstance(await rig.channel.send(void, {}), Succeeded)
    assert isinstance(await rig.channel.ask(attempt), Declined)
    await asyncio.sleep(0.1)  # longer than any payer of this rig waits
    assert await rig.charged_minor() == 0


async def test_money_comes_back_unasked_exactly_where_it_says_so(rig: Rig) -> None:
    assert rig.channel.capabilities.returns == (rig.example.returned is not None)
    if rig.example.returned is None:
        return
    attempt = rig.attempt()
    await rig.authorise(attempt, rig.example.returned)
    await eventually(lambda: len(rig.gateway.heard) == 2)
    _, body = verify_callback(SECRET, *rig.gateway.heard[1])
    assert (body["type"], body["outcome"], body["amount_minor"]) == ("return.returned", "returned", 1250)
    assert body["original"] == attempt.channel_key
    assert await rig.charged_minor() == 1250


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ("unavailable", NotProcessed("temporarily_unavailable")),
        ("5xx", Unknown("status-500")),
        ("reset", Unknown("connection-lost")),
    ],
)
async def test_the_sandbox_gets_it_wrong_as_ordered_and_takes_nothing(
    rig: Rig, fault: str, outcome: object
) -> None:
    details = {"method": rig.example.good, "capture": True, "challenge": False, "fault": fault}
    attempt = rig.attempt()
    told = await rig.channel.send(attempt, details)
    assert type(told) is type(outcome)
    assert await rig.channel.ask(attempt) == Unknown("not-found-yet")
    assert await rig.charged_minor() == 0


async def test_a_duplicate_report_is_the_same_message_twice(rig: Rig) -> None:
    details = {"method": rig.example.good, "capture": True, "challenge": True, "fault": "duplicate-callbacks"}
    outcome = await rig.channel.send(rig.attempt(), details)
    await pass_challenge(rig, outcome)
    await eventually(lambda: len(rig.gateway.heard) == 2)
    (first, first_body), (second, second_body) = rig.gateway.heard
    assert (first["webhook-id"], first_body) == (second["webhook-id"], second_body)


async def test_a_shuffled_report_tells_an_outdated_state_after_the_final_one(rig: Rig) -> None:
    details = {"method": rig.example.good, "capture": True, "challenge": True, "fault": "shuffled-callbacks"}
    outcome = await rig.channel.send(rig.attempt(), details)
    await pass_challenge(rig, outcome)
    await eventually(lambda: len(rig.gateway.heard) == 2)
    assert [body["outcome"] for body in rig.gateway.bodies()] == ["succeeded", "action_required"]


async def pass_challenge(rig: Rig, outcome: object) -> None:
    assert isinstance(outcome, ActionRequired)
    if outcome.next_action["type"] == "three_ds":
        page = outcome.next_action["url"].removeprefix(rig.simulators.url)
        await rig.simulators.post(page, outcome="passed")
