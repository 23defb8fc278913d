"""With receivers of every mood, each delivery ends: taken note of, or visibly given up (reliability.md P11)."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

import pytest
from aiohttp import web
from webhook_rig import WebhookRig, cut, status

from payment_gateway.domain.webhook import SCHEDULE
from payment_gateway.operations.deliver_webhooks import deliver_webhooks
from payment_gateway.operations.fan_out_webhooks import fan_out_webhooks

EVENTS = 25


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_every_delivery_ends_delivered_or_dead_and_nobody_suffers_for_another(
    rig: WebhookRig, seed: int
) -> None:
    mood = random.Random(seed)
    merchant = await rig.a_merchant()

    async def moody(request: web.Request) -> web.StreamResponse:
        answer = mood.choice([status(200), status(200), status(500), status(429, Retry_After="60"), cut])
        return await answer(request)

    patience = iter(
        [200] * (EVENTS // 2)
    )  # counted here: what was heard may be several that wait for an answer

    async def patient_then_gone(request: web.Request) -> web.StreamResponse:
        return await status(next(patience, 410))(request)

    moods = {"/good": status(204), "/moody": moody, "/broken": status(500), "/leaving": patient_then_gone}
    endpoints = {path: (await rig.an_endpoint(merchant, path))["id"] for path in moods}
    rig.receiver.answers = dict(moods)
    events = await rig.happen(merchant, EVENTS)
    await fan_out_webhooks(rig.deps)
    for _ in SCHEDULE:
        await deliver_webhooks(rig.deps)
        await rig.let_pass(timedelta(hours=27))  # longer than the longest pause with its jitter

    ended = {path: Counter(row.status for row in await rig.deliveries(id)) for path, id in endpoints.items()}
    assert ended["/good"] == {"delivered": EVENTS}
    assert ended["/broken"] == {"dead": EVENTS}
    assert ended["/leaving"] == {"delivered": EVENTS // 2, "dead": EVENTS - EVENTS // 2}
    assert set(ended["/moody"]) <= {"delivered", "dead"}

    heard = {path: Counter(h["webhook-id"] for h, _ in rig.receiver.heard[path]) for path in moods}
    assert heard["/good"] == dict.fromkeys(events, 1)
    assert heard["/broken"] == dict.fromkeys(events, len(SCHEDULE))
    for row in await rig.deliveries(endpoints["/moody"]):
        assert heard["/moody"][row.event_id] == row.attempts, "what is recorded is what was sent"
        assert row.status == "delivered" or row.attempts == len(SCHEDULE)
