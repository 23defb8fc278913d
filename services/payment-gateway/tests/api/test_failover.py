"""A payment goes on to another acquirer only where the first provably did nothing; every choice is on record."""

from __future__ import annotations

import asyncio
from importlib.resources import files
from pathlib import Path

import pytest
from gateway_rig import RunningGateway, run_gateway
from prometheus_client import generate_latest
from sqlalchemy import text

from payment_gateway.operations.replay_routing import replay_routing
from platform_cli.embedded.testing import FreshDatabase

NOBODY = "http://127.0.0.1:9/card"  # the discard port: refused before a byte is sent


async def charged(gateway: RunningGateway, channel: str) -> int:
    return sum(line.get("charged_minor", 0) for line in await gateway.simulators.journal(channel))


async def decisions(gateway: RunningGateway, payment_id: str) -> list[tuple[str, list[str]]]:
    async with gateway.deps.engine.connect() as connection:
        found = await connection.execute(
            text(
                "SELECT route, facts FROM payments.routing_decision WHERE payment_id = :id ORDER BY attempt_id"
            ),
            {"id": payment_id},
        )
        return [(row.route["channel"], row.facts["tried"]) for row in found]


async def test_the_second_acquirer_is_paid_when_the_first_is_down(
    fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    database = await fresh_database("payments")
    async with run_gateway(database, tmp_path, card_channel_url=NOBODY) as gateway:
        reply = await gateway.pay(key="k")
        assert (reply.status, reply.body["status"], reply.body["channel"]) == (201, "captured", "card_sim_2")
        payment_id = reply.body["id"]
        assert (await charged(gateway, "card_sim"), await charged(gateway, "card_sim_2")) == (0, 1250)
        assert await gateway.simulators.journal("card_sim") == []
        assert await decisions(gateway, payment_id) == [("card_sim", []), ("card_sim_2", ["card_sim"])]
        assert (await gateway.pay(key="k")).raw == reply.raw
        refund = await gateway.post(f"/v1/payments/{payment_id}/refunds", {"amount_minor": 250})
        assert (refund.status, refund.body["status"]) == (201, "succeeded")
        assert (await gateway.verification())["balanced"]


async def test_a_stated_refusal_to_process_fails_over_and_the_story_is_told(gateway: RunningGateway) -> None:
    channel = gateway.deps.channels["card_sim"]
    send = channel.send

    async def unavailable(attempt: object, details: object) -> object:
        return await send(attempt, {**details, "fault": "unavailable"})  # type: ignore[arg-type, dict-item]

    channel.send = unavailable  # type: ignore[method-assign, assignment]
    reply = await gateway.pay()
    assert (reply.body["status"], reply.body["channel"]) == ("captured", "card_sim_2")
    async with gateway.deps.engine.connect() as connection:
        found = await connection.execute(
            text("SELECT type, data FROM payments.outbox_event WHERE merchant_id IS NOT NULL ORDER BY seq")
        )
        told = [(row.type, row.data.get("route"), row.data["attempt"]) for row in found]
    assert [kind for kind, *_ in told] == [
        "payment.created.v1",
        "payment.rerouted.v1",
        "payment.captured.v1",
    ]
    assert told[1][1]["channel"] == "card_sim_2"
    assert told[1][1]["candidates"][0]["reason"] == "did not process this payment"
    assert (told[1][2]["channel"], told[1][2]["outcome"]) == ("card_sim", "not_processed")


@pytest.mark.parametrize("fault", ["charge-then-hang", "charge-then-drop", "hang", "reset", "5xx"])
async def test_an_answer_that_never_came_is_never_asked_for_elsewhere(
    fresh_database: FreshDatabase, tmp_path: Path, fault: str
) -> None:
    """odoo PR #150102: the card was charged three times."""
    database = await fresh_database("payments")
    async with run_gateway(database, tmp_path, channel_timeout_s=2.0) as gateway:
        body = {"sandbox_fault": fault}
        replies = await asyncio.gather(*(gateway.pay(key="k", metadata=body) for _ in range(3)))
        assert "captured" not in {reply.body.get("status") for reply in replies}
        assert await gateway.simulators.journal("card_sim_2") == []
        assert await charged(gateway, "card_sim") == (1250 if fault.startswith("charge") else 0)


async def test_the_budget_ends_the_search(fresh_database: FreshDatabase, tmp_path: Path) -> None:
    database = await fresh_database("payments")
    changes = {"card_channel_url": NOBODY, "card2_channel_url": NOBODY}
    async with run_gateway(database, tmp_path, **changes) as gateway:
        reply = await gateway.pay()
        assert (reply.status, reply.body["status"], reply.body["decline_code"]) == (201, "failed", "not-sent")
        assert len(await decisions(gateway, reply.body["id"])) == 2


async def test_a_soft_decline_goes_on_where_a_rule_allows_it_and_nowhere_else(
    fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    rules = tmp_path / "routing.toml"
    default = (files("payment_gateway") / "routing.toml").read_text()
    rules.write_text(default.replace("soft_declines = []", 'soft_declines = ["processing_error"]'))
    database = await fresh_database("payments")
    async with run_gateway(database, tmp_path, routing_file=str(rules)) as gateway:
        soft = await gateway.pay("tok_processing_error")
        assert (soft.body["status"], soft.body["channel"]) == ("declined", "card_sim_2")
        hard = await gateway.pay("tok_stolen")
        assert (hard.body["status"], hard.body["channel"]) == ("declined", "card_sim")


async def test_every_decision_replays_to_the_same_choice_and_a_false_one_is_found(
    gateway: RunningGateway,
) -> None:
    for number in range(5):
        await gateway.pay(amount_minor=1000 + number)
    async with asyncio.timeout(30):
        while (await replay_routing(gateway.deps.engine)).differences:  # noqa: ASYNC110 - the rules are written beside
            await asyncio.sleep(0.05)
    found = await replay_routing(gateway.deps.engine)
    assert (found.decisions, found.differences) == (5, ())


async def test_nobody_edits_a_decision(gateway: RunningGateway) -> None:
    await gateway.pay()
    for statement in (
        "UPDATE payments.routing_decision SET facts = '{}'",
        "DELETE FROM payments.routing_decision",
    ):
        async with gateway.deps.engine.connect() as connection:
            with pytest.raises(Exception, match="permission denied"):
                await connection.execute(text(statement))


async def test_edited_rules_are_used_without_a_restart_and_wrong_ones_are_not(
    fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    rules = tmp_path / "routing.toml"
    packaged = (files("payment_gateway") / "routing.toml").read_text()
    both = 'channels = ["card_sim", "card_sim_2"]'
    assert both in packaged
    rules.write_text(packaged)
    database = await fresh_database("payments")
    async with run_gateway(
        database, tmp_path / "journals", routing_file=str(rules), routing_refresh_s=0.05
    ) as gateway:

        async def channel() -> str:
            return str((await gateway.pay()).body["channel"])

        async def becomes(wanted: str) -> None:
            async with asyncio.timeout(30):
                while await channel() != wanted:  # noqa: ASYNC110 - a file tells nobody
                    await asyncio.sleep(0.02)

        async def told(wanted: bytes) -> None:
            async with asyncio.timeout(30):
                while wanted not in generate_latest():  # noqa: ASYNC110
                    await asyncio.sleep(0.02)

        await becomes("card_sim")
        rules.write_text(packaged.replace(both, 'channels = ["card_sim_2", "card_sim"]'))
        await becomes("card_sim_2")
        rules.write_text(packaged.replace(both, 'channels = ["card_sim_3"]'))
        await told(b"routing_rules_refused 1.0")
        rules.write_bytes(b"\xff\xfe")
        await asyncio.sleep(0.2)
        rules.write_text(packaged.replace("budget = 1 ", "budget = 18446744073709551617 "))
        await asyncio.sleep(0.2)
        assert await channel() == "card_sim_2"
        rules.write_text(packaged)
        await becomes("card_sim")
        await told(b"routing_rules_refused 0.0")
        assert (await replay_routing(gateway.deps.engine)).differences == ()
        async with gateway.deps.engine.connect() as connection:
            kept = await connection.scalar(text("SELECT count(*) FROM payments.routing_rule_set"))
        assert kept == 2
