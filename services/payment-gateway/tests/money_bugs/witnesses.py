"""The judges of the money bugs, who share no code: the channel's journal, the ledger, and what clients were told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from gateway_rig import Reply, RunningGateway, told_by_channel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from payment_gateway.domain.attempt import Attempt, Outcome, Unknown
from payment_gateway.operations.resolve_attempts import resolve_attempts

QUEUED = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def attempt_of(payment_id: str) -> str:
    """Our key of a payment's authorisation at the channel."""
    return "att_" + payment_id.removeprefix("pay_")


async def charged_and_refunded(gateway: RunningGateway, channel: str = "card_sim") -> tuple[int, int]:
    """What the channel says, by its own journal, that it took and gave back in all."""
    lines = await gateway.simulators.journal(channel)
    charged = sum(line.get("charged_minor", 0) for line in lines)
    return charged, sum(line.get("refunded_minor", 0) for line in lines)


async def lines_of(gateway: RunningGateway, kind: str, channel: str = "card_sim") -> list[dict[str, Any]]:
    """The journal's lines of one kind that the channel carried out."""
    lines = await gateway.simulators.journal(channel)
    return [line for line in lines if line["type"] == kind and line.get("outcome") == "succeeded"]


async def owed_minor(gateway: RunningGateway, channel: str = "card_sim") -> int:
    """What the ledger says that the channel owes us."""
    statement = text(
        "SELECT COALESCE(sum(debits_posted - credits_posted), 0) FROM payments.account"
        " WHERE owner = :owner AND kind = 'receivable'"
    )
    async with gateway.deps.engine.connect() as connection:
        return int(await connection.scalar(statement, {"owner": f"channel:{channel}"}) or 0)


async def agree(
    gateway: RunningGateway, charged_minor: int, refunded_minor: int = 0, channel: str = "card_sim"
) -> None:
    """Channel and ledger tell the same story, and the ledger's counters are the sum of its rows."""
    assert await charged_and_refunded(gateway, channel) == (charged_minor, refunded_minor)
    assert await owed_minor(gateway, channel) == charged_minor - refunded_minor
    found = await gateway.verification()
    assert found["balanced"], found


async def time_passes(gateway: RunningGateway, seconds: int = 3600) -> None:
    """What is due within `seconds` is due now."""
    statement = text("UPDATE payments.attempt SET due_at = due_at - make_interval(secs => :seconds)")
    async with gateway.deps.engine.begin() as connection:
        await connection.execute(statement, {"seconds": seconds})


async def until_queued(watcher: AsyncConnection, length: int) -> None:
    """Wait until so many connections of the database stand in the queue of a lock."""
    async with asyncio.timeout(30):
        while (await watcher.execute(QUEUED)).scalar_one() < length:
            await watcher.rollback()  # a transaction sees one snapshot of the activity
            await asyncio.sleep(0.002)


async def resolve(*gateways: RunningGateway, rounds: int = 3) -> None:
    """Let the resolvers of all these gateways run at once, until what can be known is known."""
    for _ in range(rounds):
        await time_passes(gateways[0])
        await asyncio.gather(*(resolve_attempts(gateway.deps) for gateway in gateways))


async def report(
    gateway: RunningGateway, answer: Mapping[str, Any], event_id: str, channel: str = "card_sim"
) -> Reply:
    """The channel's signed report of `answer`, delivered to one gateway."""
    told = {name: value for name, value in answer.items() if name != "next_action"}
    body = {"type": f"authorisation.{answer['outcome']}", **told}
    return await told_by_channel(gateway, channel, event_id, body)


async def answer_of(
    gateway: RunningGateway, payment_id: str, channel: str = "card", **changes: Any
) -> dict[str, Any]:
    """What the channel says about a payment's authorisation, with `changes`."""
    answer = await gateway.simulators.operation(attempt_of(payment_id), channel)
    assert answer is not None
    return answer | changes


async def available_minor(gateway: RunningGateway) -> int:
    """What the merchant may use, over all its accounts of payments, in minor units."""
    accounts = (await gateway.call("GET", "/v1/ledger/accounts")).body["data"]
    return sum(a["available_minor"] for a in accounts if a["book"] == "payments")


class ChannelDouble:
    """A channel in front of the real one, put in its place by `standing_in`."""

    def __init__(self, real: Any) -> None:
        self.real, self.name, self.sent = real, real.name, 0

    @property
    def is_open(self) -> bool:
        return bool(self.real.is_open)

    async def send(self, attempt: Attempt, details: Mapping[str, Any]) -> Outcome:
        self.sent += 1
        outcome: Outcome = await self.real.send(attempt, details)
        return outcome

    async def ask(self, attempt: Attempt) -> Outcome:
        outcome: Outcome = await self.real.ask(attempt)
        return outcome

    async def close(self, attempt: Attempt) -> Outcome:
        outcome: Outcome = await self.real.close(attempt)
        return outcome


class DyingChannel(ChannelDouble):
    """The question reaches the channel, and the process dies before it sees the answer."""

    async def send(self, attempt: Attempt, details: Mapping[str, Any]) -> Outcome:
        await super().send(attempt, details)
        raise RuntimeError("kill -9")


class LosingChannel(ChannelDouble):
    """The question is answered, and the answer lost on its way."""

    async def send(self, attempt: Attempt, details: Mapping[str, Any]) -> Outcome:
        await super().send(attempt, details)
        return Unknown("timeout")


def standing_in(gateway: RunningGateway, double: type[ChannelDouble]) -> Any:
    """Put a double in front of the card channel of this gateway; returns it."""
    channels: Any = gateway.deps.channels
    channels["card_sim"] = double(channels["card_sim"])
    return channels["card_sim"]
