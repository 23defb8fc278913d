"""Our ledger and a second one with TigerBeetle's rules are told the same history: they say the same of every step.

Ours over HTTP and Postgres, through two gateways; the other in memory (`reference_ledger.py`, which also says where
we differ on purpose). After each step the result codes and all counters of all accounts are compared.
PROOF_SCALE=50 makes the nightly run of it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from gateway_rig import Reply, RunningGateway, run_gateway
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from reference_ledger import Account, Move, Pending, ReferenceLedger
from sqlalchemy import text
from twin import run_twin

from payment_gateway.operations.settle_ledger_holds import expire_ledger_holds
from platform_cli.embedded.event_witness import EventWitness
from platform_cli.embedded.testing import DatabaseFactory

SCALE = int(os.environ.get("PROOF_SCALE", "1"))
NAMES = ("till", "bank", "fees", "tips")

# Result codes of create_transfers in our words: (problem, state of the hold that it names).
SAID = {
    "exceeds_credits": ("insufficient-funds", None),
    "exceeds_debits": ("above-ceiling", None),
    "debit_account_not_found": ("unknown-account", None),
    "credit_account_not_found": ("unknown-account", None),
    "exceeds_pending_transfer_amount": ("amount-exceeds-remaining", None),
    "pending_transfer_already_posted": ("hold-closed", "posted"),
    "pending_transfer_already_voided": ("hold-closed", "voided"),
    "pending_transfer_expired": ("hold-closed", "expired"),
}

amounts = st.integers(1, 60)
moves = st.builds(
    lambda ends, amount: Move(*ends, amount),
    st.lists(st.sampled_from([*NAMES, *NAMES, "nowhere"]), min_size=2, max_size=2, unique=True),
    amounts,
)
replicas = st.integers(0, 1)
# Thousands of seconds: what the test itself takes never decides whether a hold is over.
timeouts = st.sampled_from([None, 1_000, 2_000, 3_000])


@dataclass
class Stage:
    """The platform that all examples of a run share."""

    runner: asyncio.Runner
    gateways: tuple[RunningGateway, RunningGateway]
    keys: int = 0


STAGE: Stage


def as_line(move: Move) -> dict[str, Any]:
    return {
        "debit_account": move.debit,
        "credit_account": move.credit,
        "amount_minor": move.amount,
        "currency": "EUR",
    }


class TwoLedgers(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.reference = ReferenceLedger()
        self.holds: list[tuple[str, Pending]] = []
        self.journals: list[tuple[str, list[Move]]] = []
        self.reversed: set[str] = set()
        self.sent: list[tuple[str, Any, str, Reply]] = []
        merchant_id, key = self.do(STAGE.gateways[0].new_merchant())
        self.gateways = [replace(g, merchant_id=merchant_id, key=key) for g in STAGE.gateways]

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return STAGE.runner.run(work)

    def post(self, path: str, body: Any, replica: int = 0) -> Reply:
        STAGE.keys += 1
        key = f"step-{STAGE.keys}"
        reply: Reply = self.do(self.gateways[replica].post(path, body, key=key))
        self.sent.append((path, body, key, reply))
        return reply

    def agree(self, code: str, reply: Reply) -> bool:
        """Both said the same, and their books are the same; whether it was done."""
        if code == "ok":
            assert reply.status == 201, (code, reply.raw)
        else:
            assert (reply.problem, reply.body.get("state")) == SAID[code], (code, reply.raw)
        self.books_agree()
        return code == "ok"

    def books_agree(self) -> None:
        rows = self.do(self.gateways[1].call("GET", "/v1/ledger/accounts")).body["data"]
        ours = {
            row["name"]: Account(
                row["floor_minor"],
                row["ceiling_minor"],
                row["debits_posted_minor"],
                row["debits_pending_minor"],
                row["credits_posted_minor"],
                row["credits_pending_minor"],
            )
            for row in rows
        }
        assert ours == self.reference.accounts

    @initialize(
        floors=st.tuples(*[st.sampled_from([None, None, 0, -50])] * len(NAMES)),
        ceilings=st.tuples(*[st.sampled_from([None, None, None, 0, 80])] * len(NAMES)),
    )
    def accounts_are_opened(self, floors: tuple[int | None, ...], ceilings: tuple[int | None, ...]) -> None:
        for name, floor, ceiling in zip(NAMES, floors, ceilings, strict=True):
            body = {"name": name, "currency": "EUR", "floor_minor": floor, "ceiling_minor": ceiling}
            assert self.do(self.gateways[0].post("/v1/ledger/accounts", body)).status == 201
            self.reference.accounts[name] = Account(floor, ceiling)

    @rule(move=moves, replica=replicas)
    def transfer(self, move: Move, replica: int) -> None:
        reply = self.post("/v1/ledger/transfers", as_line(move), replica)
        if self.agree(self.reference.transfer(move), reply):
            self.journals.append((reply.body["id"], [move]))

    @rule(chain=st.lists(moves, min_size=1, max_size=5), replica=replicas)
    def linked(self, chain: list[Move], replica: int) -> None:
        reply = self.post("/v1/ledger/transfers", {"transfers": [as_line(move) for move in chain]}, replica)
        if self.agree(self.reference.linked(chain), reply):
            self.journals.append((reply.body["id"], chain))

    @rule(batch=st.lists(moves, min_size=1, max_size=6), replica=replicas)
    def unlinked(self, batch: list[Move], replica: int) -> None:
        body = {"linked": False, "transfers": [as_line(move) for move in batch]}
        reply = self.post("/v1/ledger/transfers", body, replica)
        codes = self.reference.unlinked(batch)
        assert (reply.status, reply.body["done"]) == (200, codes.count("ok")), reply.raw
        for move, code, result in zip(batch, codes, reply.body["results"], strict=True):
            if code == "ok":
                assert result["status"] == "done"
                self.journals.append((result["transfer"]["id"], [move]))
            else:
                assert result["problem"]["type"] == f"/problems/{SAID[code][0]}"
        self.books_agree()

    @rule(move=moves, timeout=timeouts, replica=replicas)
    def pend(self, move: Move, timeout: int | None, replica: int) -> None:
        body = as_line(move) | {"pending": True} | ({"expires_after_s": timeout} if timeout else {})
        reply = self.post("/v1/ledger/transfers", body, replica)
        code, pending = self.reference.pend(move, timeout)
        if self.agree(code, reply):
            assert pending is not None
            self.holds.append((reply.body["hold"]["id"], pending))

    @precondition(lambda self: self.holds)
    @rule(n=st.integers(0, 99), amount=st.none() | amounts, replica=replicas)
    def post_pending(self, n: int, amount: int | None, replica: int) -> None:
        hold_id, pending = self.holds[n % len(self.holds)]
        reply = self.post(f"/v1/ledger/holds/{hold_id}/post", {"amount_minor": amount}, replica)
        self.settled(self.reference.post_pending(pending, amount), reply, pending)

    @precondition(lambda self: self.holds)
    @rule(n=st.integers(0, 99), replica=replicas)
    def void_pending(self, n: int, replica: int) -> None:
        hold_id, pending = self.holds[n % len(self.holds)]
        reply = self.post(f"/v1/ledger/holds/{hold_id}/void", {}, replica)
        self.settled(self.reference.void_pending(pending), reply, pending)

    def settled(self, code: str, reply: Reply, pending: Pending) -> None:
        if self.agree(code, reply):
            assert (reply.body["state"], reply.body["posted_minor"]) == (pending.state, pending.posted)

    @rule(seconds=st.sampled_from([1_000, 2_000]))
    def time_passes(self, seconds: int) -> None:
        async def pass_() -> None:
            async with self.gateways[0].deps.engine.begin() as connection:
                await connection.execute(
                    text("UPDATE payments.hold SET expires_at = expires_at - make_interval(secs => :seconds)"
                         " WHERE debit_account_id IN (SELECT id FROM payments.account WHERE owner = :owner)"),
                    {"seconds": seconds, "owner": f"ledger:{self.gateways[0].merchant_id}"},
                )  # fmt: skip

        self.do(pass_())
        self.reference.clock += seconds
        self.books_agree()

    @rule()
    def the_jobs_run(self) -> None:
        async def both() -> int:
            return sum(await asyncio.gather(*(expire_ledger_holds(g.deps) for g in self.gateways)))

        assert self.do(both()) == self.reference.expire([pending for _, pending in self.holds])
        self.books_agree()

    @precondition(lambda self: self.journals)
    @rule(n=st.integers(0, 99), replica=replicas)
    def reverse(self, n: int, replica: int) -> None:
        """TigerBeetle has correcting transfers: the same the other way, linked. That it is done once is ours."""
        journal_id, chain = self.journals[n % len(self.journals)]
        reply = self.post(f"/v1/ledger/journals/{journal_id}/reverse", {"reason": "wrong"}, replica)
        if journal_id in self.reversed:
            assert (reply.status, reply.problem) == (409, "already-reversed")
            return self.books_agree()
        back = [Move(move.credit, move.debit, move.amount) for move in reversed(chain)]
        if self.agree(self.reference.linked(back), reply):
            self.reversed.add(journal_id)

    @precondition(lambda self: self.sent)
    @rule(n=st.integers(0, 99), replica=replicas)
    def an_old_request_is_repeated(self, n: int, replica: int) -> None:
        """`exists` is told as the first answer, byte for byte."""
        path, body, key, first = self.sent[n % len(self.sent)]
        again = self.do(self.gateways[replica].post(path, body, key=key))
        assert (again.status, again.raw) == (first.status, first.raw)
        self.books_agree()

    def teardown(self) -> None:
        self.the_jobs_run()  # and leaves nothing that the jobs of the next example would find


@pytest.fixture(scope="module")
def stage(
    database_factory: DatabaseFactory, tmp_path_factory: pytest.TempPathFactory, event_witness: EventWitness
) -> Any:
    """One platform for all examples: each has a merchant of its own."""
    journals: Path = tmp_path_factory.mktemp("oracle") / "journals"
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        database = runner.run(database_factory.create("payments"))

        async def start() -> tuple[RunningGateway, RunningGateway]:
            gateway = await stack.enter_async_context(run_gateway(database, journals))
            return gateway, await stack.enter_async_context(run_twin(gateway))

        yield Stage(runner, runner.run(start()))
        runner.run(stack.aclose())
        assert runner.run(event_witness.faults_in(database.admin_url, "payments")) == []


def test_our_ledger_and_the_reference_tell_the_same_of_any_history(stage: Stage) -> None:
    """Result codes and balances, step by step."""
    global STAGE
    STAGE = stage
    run_state_machine_as_test(
        TwoLedgers,
        settings=settings(
            max_examples=15 * SCALE,
            stateful_step_count=25,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    # Once, for it reads every row: after each example a long run would spend its time here.
    found = stage.runner.run(stage.gateways[0].verification())
    assert found["balanced"], found
