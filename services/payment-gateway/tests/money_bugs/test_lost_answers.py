"""Money bugs of answers that never came."""

from __future__ import annotations

import asyncio

from gateway_rig import RunningGateway
from witnesses import (
    LosingChannel,
    agree,
    answer_of,
    attempt_of,
    lines_of,
    report,
    resolve,
    standing_in,
    time_passes,
)

from payment_gateway.operations.resolve_attempts import RESOLVE_MAX, resolve_attempts
from payment_gateway.operations.resolve_attempts import resolve as resolve_one
from payment_gateway.store import attempts


async def test_a_capture_does_not_succeed_again_while_the_first_is_unknown(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """Thread 11, killbill#639: a capture under the same key succeeded while the first one was UNKNOWN.

    The same key is told that it is not known, another key that an operation is in progress; one capture at the end.
    """
    payment_id = (await gateway.pay("tok_capture_timeout", capture="manual", amount_minor=10_000)).body["id"]
    path = f"/v1/payments/{payment_id}/capture"
    lost = await gateway.post(path, {"amount_minor": 4_000}, key="c")
    assert lost.status == 202
    again = await twin.post(path, {"amount_minor": 4_000}, key="c")
    assert (again.status, again.body["captured_minor"]) == (202, 0)
    other = await twin.post(path, {"amount_minor": 4_000}, key="d")
    assert (other.status, other.problem) == (409, "operation-in-progress")
    await resolve(gateway, twin)
    final = await twin.post(path, {"amount_minor": 4_000}, key="c")
    assert (final.status, final.body["captured_minor"]) == (200, 4_000)
    assert len(await lines_of(gateway, "capture")) == 1
    await agree(gateway, 4_000)


async def test_the_resolver_and_a_retry_that_race_charge_once(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """Thread 12, killbill#338: the janitor and a retry raced on an UNKNOWN payment.

    Two resolvers, the channel's own report and retries of the key on both replicas, all at once: one charge, one
    booking, one answer.
    """
    first = await gateway.pay("tok_reset", key="k")
    assert (first.status, first.body["status"]) == (202, "unknown")
    told = await answer_of(gateway, first.body["id"])
    await time_passes(gateway)
    await asyncio.gather(
        *(g.pay("tok_reset", key="k") for g in (gateway, twin) * 3),
        *(resolve_attempts(g.deps) for g in (gateway, twin) * 2),
        report(twin, told, "cev_race"),
    )
    await resolve(gateway, twin)
    answers = [await g.pay("tok_reset", key="k") for g in (gateway, twin)]
    assert len({reply.raw for reply in answers}) == 1
    assert answers[0].body["status"] == "captured"
    assert (await gateway.rows())["transfer"] == 1
    await agree(gateway, 1250)


async def test_a_question_that_arrives_after_the_resolver_gave_up_charges_nothing(
    gateway: RunningGateway,
) -> None:
    """Thread 13, killbill#660: the janitor failed a payment, then its completion arrived: two transactions.

    Before we call it failed, the channel has closed the key: the late question does nothing. A late report of success
    (which cannot be true) credits nobody: it is set aside as unclaimed, and the resolver gives it back.
    """
    lost = await gateway.pay("tok_dropped", key="k")
    payment_id = lost.body["id"]
    await resolve(gateway)
    assert await gateway.status(payment_id) == "failed"
    _, late = await gateway.simulators.authorise(attempt_of(payment_id), "tok_dropped")
    assert late["outcome"] == "not_processed"
    told = await answer_of(
        gateway, payment_id, outcome="succeeded", amount_minor=1250, currency="EUR", captured=True,
        channel_reference="ch_late",
    )  # fmt: skip
    assert (await report(gateway, told, "cev_late")).status == 200
    assert await gateway.status(payment_id) == "failed"
    assert (await gateway.pay("tok_dropped", key="k")).body["status"] == "failed"
    assert await gateway.simulators.charged_minor(attempt_of(payment_id)) == 0
    balances = (await gateway.call("GET", "/v1/balance")).body["balances"]
    assert not any(one[kind] for one in balances for kind in one if kind != "currency"), "it is owed nothing"
    assert (await gateway.verification())["balanced"]


async def test_a_refund_that_two_resolvers_find_out_about_is_booked_once(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """Beyond the threads: answers to refunds are lost, and several find them at the same moment."""
    payment_id = await gateway.captured(10_000)
    standing_in(gateway, LosingChannel)
    for _ in range(6):
        lost = await gateway.post(f"/v1/payments/{payment_id}/refunds", {"amount_minor": 500})
        assert (lost.status, lost.body["status"]) == (202, "pending")
        await time_passes(gateway)
        async with gateway.deps.engine.begin() as connection:
            ((attempt, tries),) = await attempts.claim_due(connection, RESOLVE_MAX)
        await asyncio.gather(*(resolve_one(g.deps, attempt, tries) for g in (gateway, twin)))
    await agree(gateway, 10_000, 3_000)


async def test_work_of_a_worker_that_died_is_taken_up_by_another(
    gateway: RunningGateway, twin: RunningGateway
) -> None:
    """Thread 20, blnk PR#254: a transaction stayed QUEUED for ever after its worker was lost.

    A resolver takes the work and dies. For the time of its lease nobody else has it; then another one finishes it.
    """
    payment_id = (await gateway.pay("tok_reset")).body["id"]
    await time_passes(gateway)
    async with gateway.deps.engine.begin() as connection:
        taken = await attempts.claim_due(connection, RESOLVE_MAX)
    assert len(taken) == 1, "and now the worker dies"
    assert await resolve_attempts(twin.deps) == 0
    await time_passes(gateway, seconds=16)
    assert await resolve_attempts(twin.deps) == 1
    assert await gateway.status(payment_id) == "captured"
    await agree(gateway, 1250)
