"""Any history of payments and of their money, against a small model: Hypothesis thinks of what nobody thought of.

Two gateways on one database; answers of the channel get lost, reports come twice and late, requests are repeated and
race; captures are settled, a share of them kept in reserve, disputed, paid out. After every step a payment stands as
the model says, and after a step of money so do the balances; at the end channel, ledger and events agree with it.
PROOF_SCALE=50 makes the nightly run of it. A red run prints the steps as a program that can be pasted.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from gateway_rig import Reply, RunningGateway, a_sale, run_gateway
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    multiple,
    rule,
    run_state_machine_as_test,
)
from money_rig import operate, ready, set_terms, until
from sqlalchemy import text
from twin import run_twin
from witnesses import ChannelDouble, answer_of, attempt_of, available_minor, report, resolve, standing_in

from payment_gateway.domain.attempt import Attempt, Outcome, Unknown
from payment_gateway.domain.payment import TRANSITIONS
from payment_gateway.operations.deps import Deps
from payment_gateway.operations.expire_holds import expire_holds
from payment_gateway.operations.follow_disputes import send_dispute_answers
from payment_gateway.operations.release_reserves import release_reserves
from payment_gateway.operations.send_payouts import send_payouts
from payment_gateway.operations.settle_captures import settle_captures
from platform_cli.embedded.event_witness import EventWitness
from platform_cli.embedded.testing import DatabaseFactory

RESERVE = {"basis_points": 1_250, "days": 30}
SCALE = int(os.environ.get("PROOF_SCALE", "1"))
HELD = ("authorised", "partially_captured")
TAKEN = ("captured", "partially_captured")
STEPS = {(str(a), str(b)) for (a, _), ends in TRANSITIONS.items() for b in ends}


def a_payout(amount_minor: int) -> dict[str, Any]:
    return {"amount_minor": amount_minor, "currency": "EUR", "destination": "ba_pays"}


class LosingChannel(ChannelDouble):
    """Does what it is asked, and loses the next answer when `loses` is set."""

    loses = False
    has_lost = False
    """Whether something is still to be found out."""

    async def send(self, attempt: Attempt, details: Mapping[str, Any]) -> Outcome:
        outcome = await super().send(attempt, details)
        if not LosingChannel.loses:
            return outcome
        LosingChannel.loses, LosingChannel.has_lost = False, True
        return Unknown("timeout")


@dataclass
class Intent:
    """What the model knows of one payment, in minor units. `hidden` is what the channel did and we do not know yet."""

    id: str
    amount: int
    status: str
    captured: int = 0
    refunded: int = 0
    lost: int = 0
    """What disputes have taken back."""
    dispute: tuple[str, str, int] | None = None
    """The open one: its id, its name at the channel, and the sum that it sets aside."""
    hidden: tuple[str, int] | None = None
    challenge: str = ""

    @property
    def path(self) -> str:
        return f"/v1/payments/{self.id}"

    @property
    def held(self) -> int:
        return self.amount - self.captured if self.status in HELD else 0

    @property
    def disputed(self) -> int:
        return self.dispute[2] if self.dispute else 0

    @property
    def refundable(self) -> int:
        return self.captured - self.refunded - self.disputed - self.lost

    def become(self, status: str, captured: int = 0) -> None:
        self.captured += captured
        self.status = status
        self.hidden = None

    def capture(self, amount: int) -> tuple[str, int]:
        return ("captured" if amount == self.held else "partially_captured"), amount

    def give_up(self, word: str) -> tuple[str, int]:
        return ("captured" if self.captured else word), 0


@dataclass
class Purse:
    """What the model knows of a merchant's money beside its payments, in minor units."""

    settled: int = 0
    reserve: int = 0
    in_transit: int = 0
    paid: int = 0

    def settle(self, captured: int, available: int) -> None:
        """What is pending becomes available, less its share: an eighth, but nothing of what pays a debt."""
        came, self.settled = captured - self.settled, captured
        share = round(Fraction(came * int(RESERVE["basis_points"]), 10_000))
        self.reserve += min(share, max(0, available + came))


@dataclass
class Stage:
    """The platform that all examples of a run share."""

    runner: asyncio.Runner
    gateways: tuple[RunningGateway, RunningGateway]
    keys: int = 0
    sent: list[tuple[str, Any, str, Reply]] = field(default_factory=list)


STAGE: Stage


class Lifecycle(RuleBasedStateMachine):
    intents = Bundle("intents")

    def __init__(self) -> None:
        super().__init__()
        self.known: list[Intent] = []
        merchant_id, key = self.do(STAGE.gateways[0].new_merchant())
        self.gateways = [replace(g, merchant_id=merchant_id, key=key) for g in STAGE.gateways]
        self.do(set_terms(self.gateways[0], settlement_delay_days=0, reserve=RESERVE))
        self.purse = Purse()
        self.sent: list[tuple[str, Any, str, Reply]] = []
        self.seen = len(self.do(self.journal()))
        LosingChannel.loses = False

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return STAGE.runner.run(work)

    async def journal(self) -> list[dict[str, Any]]:
        lines: list[dict[str, Any]] = []
        while page := await self.gateways[0].simulators.journal(after=len(lines)):
            lines += page
        return lines

    def post(self, path: str, body: Any, replica: int = 0) -> Reply:
        STAGE.keys += 1
        key = f"step-{STAGE.keys}"
        reply: Reply = self.do(self.gateways[replica].post(path, body, key=key))
        self.sent.append((path, body, key, reply))
        return reply

    def stands(self, intent: Intent) -> None:
        """The payment is as the model says: the invariants of a single one."""
        payment = self.do(self.gateways[1].payment(intent.id))
        assert (payment["status"], payment["captured_minor"], payment["refunded_minor"]) == (
            intent.status,
            intent.captured,
            intent.refunded,
        )
        assert payment["disputed_minor"] == intent.disputed + intent.lost
        taken = payment["refunded_minor"] + payment["disputed_minor"]
        assert 0 <= taken <= payment["captured_minor"] <= payment["amount_minor"]

    def outcome(self, intent: Intent, reply: Reply, lost: bool, then: tuple[str, int]) -> None:
        """What was asked of the channel was done; whether we know depends on the wire."""
        if lost:
            assert reply.status == 202, reply.raw
            intent.hidden = then
        else:
            assert reply.status in (200, 201), reply.raw
            intent.become(*then)
        self.stands(intent)

    @initialize(target=intents, amounts=st.lists(st.integers(1_000, 9_999), min_size=2, max_size=2))
    def a_day_was_settled(self, amounts: list[int]) -> Any:
        """Money to dispute and to pay out, which few histories would come to by themselves."""
        sold = [self.create("tok_visa", amount, manual=False, replica=0) for amount in amounts]
        self.captures_are_settled()
        return multiple(*sold)

    @rule(
        target=intents,
        token=st.sampled_from(["tok_visa", "tok_visa", "tok_mastercard", "tok_declined", "tok_3ds"]),
        amount=st.integers(1, 9_999),
        manual=st.booleans(),
        replica=st.integers(0, 1),
    )
    def create(self, token: str, amount: int, manual: bool, replica: int) -> Any:
        lost = LosingChannel.loses
        capture = "manual" if manual else "automatic"
        reply = self.post("/v1/payments", a_sale(token, amount_minor=amount, capture=capture), replica)
        intent = Intent(reply.body["id"], amount, "unknown" if lost else "processing")
        self.known.append(intent)
        ends = {"tok_declined": ("declined", 0), "tok_3ds": ("requires_action", 0)}
        good = ("authorised", 0) if manual else ("captured", amount)
        self.outcome(intent, reply, lost, ends.get(token, good))
        return intent

    @rule(intent=intents, share=st.integers(1, 120), replica=st.integers(0, 1))
    def capture(self, intent: Intent, share: int, replica: int) -> None:
        amount, lost = max(1, intent.amount * share // 100), LosingChannel.loses
        may = intent.status in HELD and intent.hidden is None
        reply = self.post(f"{intent.path}/capture", {"amount_minor": amount}, replica)
        if may and amount <= intent.held:
            return self.outcome(intent, reply, lost, intent.capture(amount))
        assert reply.status in ((422,) if may else (409, 422)), reply.raw
        self.stands(intent)

    @rule(intent=intents, word=st.sampled_from(["void", "cancel"]), replica=st.integers(0, 1))
    def give_up(self, intent: Intent, word: str, replica: int) -> None:
        if intent.status in HELD and intent.hidden is None:
            lost = LosingChannel.loses
            reply = self.post(f"{intent.path}/{word}", {}, replica)
            return self.outcome(intent, reply, lost, intent.give_up("voided"))
        LosingChannel.loses = False
        reply = self.post(f"{intent.path}/{word}", {}, replica)
        if word == "cancel" and intent.status in ("requires_action", "declined"):
            intent.become("cancelled")
            assert reply.status == 200, reply.raw
        else:
            assert reply.status == 409, reply.raw
        self.stands(intent)

    @rule(intent=intents, share=st.integers(1, 120), replica=st.integers(0, 1))
    def refund(self, intent: Intent, share: int, replica: int) -> None:
        amount, lost = max(1, intent.amount * share // 100), LosingChannel.loses
        reply = self.post(f"{intent.path}/refunds", {"amount_minor": amount}, replica)
        if intent.status not in TAKEN:
            assert reply.status == 409, reply.raw
        elif amount > intent.refundable:
            assert reply.status == 422, reply.raw
        else:
            assert reply.status == (202 if lost else 201), reply.raw
            intent.refunded += amount
        self.stands(intent)

    @rule(intent=intents, share=st.integers(1, 100))
    def refund_twice_at_once(self, intent: Intent, share: int) -> None:
        LosingChannel.loses = False
        amount = max(1, intent.amount * share // 100)
        fit = intent.refundable // amount if intent.status in TAKEN else 0

        async def both() -> list[Reply]:
            calls = (g.post(f"{intent.path}/refunds", {"amount_minor": amount}) for g in self.gateways)
            return await asyncio.gather(*calls)

        assert sum(reply.status == 201 for reply in self.do(both())) == min(2, fit)
        intent.refunded += amount * min(2, fit)
        self.stands(intent)

    @rule(intent=intents)
    def capture_and_void_at_once(self, intent: Intent) -> None:
        LosingChannel.loses = False

        async def both() -> list[Reply]:
            first, second = self.gateways
            return await asyncio.gather(
                first.post(f"{intent.path}/capture"), second.post(f"{intent.path}/void")
            )

        captured, voided = self.do(both())
        may = intent.status in HELD and intent.hidden is None
        assert sorted((captured.status, voided.status)) == ([200, 409] if may else [409, 409])
        if may:
            intent.become(
                *(intent.capture(intent.held) if captured.status == 200 else intent.give_up("voided"))
            )
        self.stands(intent)

    @rule(intent=intents, passes=st.booleans())
    def the_payer_acts(self, intent: Intent, passes: bool) -> None:
        if intent.status != "requires_action":
            return

        async def act() -> None:
            payment = await self.gateways[0].payment(intent.id)
            body = {"outcome": "passed" if passes else "failed"}
            await self.gateways[0].session.post(payment["next_action"]["url"], json=body)
            async with asyncio.timeout(30):
                while (await self.gateways[0].status(intent.id)) == "requires_action":  # noqa: ASYNC110 - HTTP
                    await asyncio.sleep(0.01)

        self.do(act())
        payment = self.do(self.gateways[0].payment(intent.id))
        good = ("authorised", 0) if payment["capture"] == "manual" else ("captured", intent.amount)
        intent.become(*(good if passes else ("declined", 0)))
        self.stands(intent)

    @rule(intent=intents, copies=st.integers(1, 3))
    def the_channel_reports_again(self, intent: Intent, copies: int) -> None:
        if "requires_action" in (intent.status, (intent.hidden or ("",))[0]):
            return  # nothing that a channel would report

        async def tell() -> None:
            answer = await answer_of(self.gateways[0], intent.id)
            STAGE.keys += 1
            replies = await asyncio.gather(
                *(report(g, answer, f"cev_{STAGE.keys}") for g in self.gateways for _ in range(copies))
            )
            assert {reply.status for reply in replies} <= {200, 202}

        self.do(tell())
        if intent.status == "unknown" and intent.hidden:
            intent.become(*intent.hidden)
        self.stands(intent)

    @rule()
    def the_next_answer_gets_lost(self) -> None:
        LosingChannel.loses = True

    def all_is_known(self) -> None:
        if LosingChannel.has_lost:
            self.the_resolvers_run()

    @rule()
    def the_resolvers_run(self) -> None:
        self.do(resolve(*self.gateways))
        LosingChannel.has_lost = False
        for intent in self.known:
            if intent.hidden:
                intent.become(*intent.hidden)
            self.stands(intent)

    @rule()
    def a_month_passes(self) -> None:
        LosingChannel.loses = False

        async def expire() -> None:
            async with self.gateways[0].deps.engine.begin() as connection:
                await connection.execute(
                    text("UPDATE payments.payment SET created_at = created_at - interval '30 days'"
                         " WHERE merchant_id = :merchant_id"), {"merchant_id": self.gateways[0].merchant_id},
                )  # fmt: skip
            await asyncio.gather(*(expire_holds(g.deps) for g in self.gateways))

        self.do(expire())
        for intent in self.known:
            if (intent.status in HELD and intent.hidden is None) or intent.status == "requires_action":
                intent.become(*intent.give_up("expired"))
            self.stands(intent)

    @property
    def available(self) -> int:
        """By the model, once nothing is on its way: what was settled, less what left and what is set aside."""
        gone = sum(intent.refunded + intent.disputed + intent.lost for intent in self.known)
        return self.purse.settled - gone - self.purse.reserve - self.purse.in_transit - self.purse.paid

    def the_purse_stands(self) -> None:
        """Each balance is the model's, so that all of them together are what was captured less what left."""
        reply = self.do(self.gateways[1].call("GET", "/v1/balance"))
        (found,) = reply.body["balances"] or [{}]
        shown = {kind: amount for kind, amount in found.items() if kind != "currency" and amount}
        wanted = {
            "available_minor": self.available,
            "pending_minor": sum(intent.captured for intent in self.known) - self.purse.settled,
            "reserve_minor": self.purse.reserve,
            "disputed_minor": sum(intent.disputed for intent in self.known),
            "payouts_in_transit_minor": self.purse.in_transit,
        }
        assert shown == {kind: amount for kind, amount in wanted.items() if amount}

    def on_both(self, job: Callable[[Deps], Coroutine[Any, Any, Any]]) -> list[Any]:
        """The workers of both replicas do it at once."""

        async def both() -> list[Any]:
            return await asyncio.gather(*(job(g.deps) for g in self.gateways))

        found: list[Any] = self.do(both())
        return found

    @rule(intent=intents, share=st.integers(1, 100))
    def the_payer_disputes(self, intent: Intent, share: int) -> None:
        self.all_is_known()
        if intent.status not in TAKEN or intent.dispute or not intent.refundable:
            return
        amount = max(1, intent.refundable * share // 100)

        async def dispute() -> tuple[str, str, int]:
            gateway, path = self.gateways[0], f"/v1/disputes?payment_id={intent.id}"
            before = (await gateway.call("GET", path)).body["data"]
            key = await ready(gateway, intent.id)
            opened = await operate(gateway, channel_key=key, amount_minor=amount, reason="fraudulent")
            async with asyncio.timeout(30):
                while len(shown := (await gateway.call("GET", path)).body["data"]) == len(before):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            (new,) = (one for one in shown if one["id"] not in {old["id"] for old in before})
            return new["id"], str(opened["dispute"]), int(new["reserved_minor"])

        intent.dispute = self.do(dispute())
        assert intent.disputed == amount
        self.stands(intent)
        self.the_purse_stands()

    @rule(ends=st.sampled_from(["won", "lost", "accepted"]), replica=st.integers(0, 1))
    def a_dispute_ends(self, ends: str, replica: int) -> None:
        self.all_is_known()
        intent = next((one for one in self.known if one.dispute), None)
        if intent is None or intent.dispute is None:
            return
        dispute_id, name, amount = intent.dispute
        if ends == "accepted":
            assert self.post(f"/v1/disputes/{dispute_id}/accept", {}, replica).status == 200
            self.on_both(send_dispute_answers)
        else:
            self.do(operate(self.gateways[0], dispute=name, outcome=ends))
        self.do(until(self.gateways[0], dispute_id, "won" if ends == "won" else "lost"))
        intent.dispute = None
        intent.lost += 0 if ends == "won" else amount
        self.stands(intent)
        self.the_purse_stands()

    @rule()
    def captures_are_settled(self) -> None:
        self.all_is_known()
        captured = sum(intent.captured for intent in self.known)
        self.on_both(settle_captures)
        if captured > self.purse.settled:
            self.purse.settle(captured, self.available)
        self.the_purse_stands()

    @rule()
    def the_reserve_is_released(self) -> None:
        """Its days pass, and a moment later those of what a later settlement keeps do not."""
        earlier = "created_at = created_at - interval '31 days', release_at = release_at - interval '31 days'"

        async def days_pass() -> None:
            async with self.gateways[0].deps.engine.begin() as connection:
                await connection.execute(
                    text(f"UPDATE payments.reserve SET {earlier} WHERE merchant_id = :merchant_id"
                         " AND released_at IS NULL"), {"merchant_id": self.gateways[0].merchant_id},
                )  # fmt: skip

        self.do(days_pass())
        self.on_both(release_reserves)
        self.purse.reserve = 0
        self.all_is_known()
        self.the_purse_stands()

    @rule(share=st.integers(1, 130), replica=st.integers(0, 1), is_sent=st.booleans())
    def pay_out(self, share: int, replica: int, is_sent: bool) -> None:
        self.all_is_known()
        amount = max(1, self.available * share // 100)
        reply = self.post("/v1/payouts", a_payout(amount), replica)
        assert reply.status == (201 if amount <= self.available else 422), reply.raw
        if reply.status == 201:
            self.purse.in_transit += amount
        self.the_purse_stands()
        if is_sent:
            self.the_bank_pays()

    @rule(share=st.integers(1, 100))
    def pay_out_twice_at_once(self, share: int) -> None:
        self.all_is_known()
        amount = max(1, self.available * share // 100)
        fit = min(2, max(0, self.available) // amount)

        async def both() -> list[Reply]:
            return await asyncio.gather(*(g.post("/v1/payouts", a_payout(amount)) for g in self.gateways))

        assert sum(reply.status == 201 for reply in self.do(both())) == fit
        self.purse.in_transit += amount * fit
        self.the_purse_stands()

    @rule()
    def the_bank_pays(self) -> None:
        self.on_both(send_payouts)
        self.purse.paid += self.purse.in_transit
        self.purse.in_transit = 0
        self.all_is_known()
        self.the_purse_stands()

    @rule(n=st.integers(0, 99), replica=st.integers(0, 1))
    def an_old_request_is_repeated(self, n: int, replica: int) -> None:
        if not self.sent:
            return
        path, body, key, first = self.sent[n % len(self.sent)]
        if first.status in (200, 201, 422) or (first.status == 409 and first.problem == "invalid-state"):
            again = self.do(self.gateways[replica].post(path, body, key=key))
            assert (again.status, again.raw) == (first.status, first.raw)
        elif first.status == 202:
            assert self.do(self.gateways[replica].post(path, body, key=key)).status in (200, 201, 202)
        for intent in self.known:
            self.stands(intent)

    def teardown(self) -> None:
        LosingChannel.loses = False
        self.the_resolvers_run()
        lines = self.do(self.journal())[self.seen :]
        for intent in self.known:
            own = [line for line in lines if attempt_of(intent.id) in (line["key"], line.get("original"))]
            assert sum(line.get("charged_minor", 0) for line in own) == intent.captured
            assert sum(line.get("refunded_minor", 0) for line in own) == intent.refunded + intent.lost
            assert sum(line["type"] == "authorisation" for line in own) == 1, "asked once, whoever asked"
        self.the_purse_stands()
        usable = sum(intent.captured - intent.refunded - intent.lost for intent in self.known)
        assert self.do(available_minor(self.gateways[0])) == usable - self.purse.paid
        found = self.do(self.gateways[0].verification())
        assert found["balanced"], found
        self.do(self.the_events_tell_allowed_steps())

    async def the_events_tell_allowed_steps(self) -> None:
        statement = text(
            "SELECT data->'payment'->>'id' AS id, data->'payment'->>'status' AS status FROM payments.outbox_event"
            " WHERE merchant_id = :merchant_id AND data ? 'payment' ORDER BY seq"
        )
        async with self.gateways[0].deps.engine.connect() as connection:
            rows = (await connection.execute(statement, {"merchant_id": self.gateways[0].merchant_id})).all()
        last: dict[str, str] = {}
        for row in rows:
            assert row.id not in last or row.status == last[row.id] or (last[row.id], row.status) in STEPS
            last[row.id] = row.status
        told = {intent.id: intent.status for intent in self.known}
        assert last == told


@pytest.fixture(scope="module")
def stage(
    database_factory: DatabaseFactory, tmp_path_factory: pytest.TempPathFactory, event_witness: EventWitness
) -> Any:
    """One platform for all examples: each has a merchant of its own."""
    journals: Path = tmp_path_factory.mktemp("lifecycle") / "journals"
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        database = runner.run(database_factory.create("payments"))

        async def start() -> tuple[RunningGateway, RunningGateway]:
            gateway = await stack.enter_async_context(run_gateway(database, journals))
            twin = await stack.enter_async_context(run_twin(gateway))
            for running in (gateway, twin):
                standing_in(running, LosingChannel)
            return gateway, twin

        yield Stage(runner, runner.run(start()))
        runner.run(stack.aclose())
        assert runner.run(event_witness.faults_in(database.admin_url, "payments")) == []


def test_no_history_of_a_payment_breaks_a_promise(stage: Stage) -> None:
    """I2, I3, I4, I5, I8 of reliability.md after any sequence of steps."""
    global STAGE
    STAGE = stage
    run_state_machine_as_test(
        Lifecycle,
        settings=settings(
            max_examples=16 * SCALE,
            stateful_step_count=20,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
