"""The shop's receiver: a signature decides whether it listens, an id whether there is an effect."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from standardwebhooks import Webhook

from loadtests.audit import read_lines
from loadtests.receiver import application

SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
OTHER = "whsec_" + base64.b64encode(b"x" * 32).decode()


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    runner = web.AppRunner(application(SECRET, tmp_path / "webhooks.jsonl"), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def deliver(url: str, event_id: str, secret: str = SECRET, kind: str = "payment.captured.v1") -> int:
    body = json.dumps({"id": event_id, "type": kind, "aggregate_id": "pay_1"})
    at = datetime.now(UTC)
    headers = {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(event_id, at, body),
    }
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/hooks", data=body, headers=headers) as reply,
    ):
        return reply.status


async def seen(url: str, within_s: float) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{url}/seen/pay_1?within_s={within_s}") as reply,
    ):
        return reply.status


async def test_a_second_delivery_is_taken_and_has_no_effect(url: str, tmp_path: Path) -> None:
    assert [await deliver(url, "evt_1"), await deliver(url, "evt_1"), await deliver(url, "evt_2")] == [
        204,
        204,
        204,
    ]
    lines: list[dict[str, Any]] = read_lines(tmp_path / "webhooks.jsonl")
    assert [(line["event_id"], line["first"]) for line in lines] == [
        ("evt_1", True),
        ("evt_1", False),
        ("evt_2", True),
    ]


async def test_what_is_not_signed_by_the_platform_is_refused_and_noted(url: str, tmp_path: Path) -> None:
    assert await deliver(url, "evt_1", secret=OTHER) == 401
    (line,) = read_lines(tmp_path / "webhooks.jsonl")
    assert line["forged"]
    assert await seen(url, 0.05) == 408


async def test_a_journey_learns_of_its_capture_and_of_nothing_else(url: str) -> None:
    await deliver(url, "evt_1", kind="payment.created.v1")
    assert await seen(url, 0.05) == 408
    await deliver(url, "evt_2")
    assert await seen(url, 5) == 200
