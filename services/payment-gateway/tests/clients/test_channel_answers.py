"""What an answer means for the money, when the channel lies, dies or drips: never a guess.

The table is payments.md 4.2. `Unknown` is the only safe word for what we do not understand.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from factories import a_payment, an_attempt
from lying_server import (
    LyingServer,
    Say,
    answer,
    drip,
    endless,
    half_a_body,
    hang_up,
    raw,
    reset,
    run_lying_server,
    silence,
)

from payment_gateway.clients.channel_answers import outcome_of
from payment_gateway.clients.channels import CardChannel
from payment_gateway.domain.attempt import (
    ActionRequired,
    Declined,
    NotProcessed,
    Operation,
    Succeeded,
    Unknown,
)
from payment_gateway.settings import Settings
from platform_kit import canonical, telemetry

ATTEMPT = an_attempt(a_payment(), id="att_1", amount_minor=1250)
DETAILS = {"method": {"type": "card", "token": "tok_visa"}, "capture": True, "challenge": False}
DONE = {
    "channel_key": "att_1", "channel_reference": "ch_1", "outcome": "succeeded", "code": None,
    "amount_minor": 1250, "currency": "EUR", "captured": True, "next_action": None,
}  # fmt: skip
ACTION = {"type": "three_ds", "url": "https://acs.example.com/1"}
ASKED = DONE | {"outcome": "action_required", "next_action": ACTION}


@asynccontextmanager
async def a_channel(say: Say, timeout_s: float = 1.0) -> AsyncIterator[tuple[CardChannel, LyingServer]]:
    async with run_lying_server(say) as server:
        settings = Settings(channel_timeout_s=timeout_s)
        async with CardChannel.open("card_sim", server.url, settings) as channel:
            yield channel, server


async def sent(say: Say) -> Any:
    """The outcome of a sale; whatever goes wrong, it is asked for once."""
    async with a_channel(say) as (channel, server):
        outcome = await channel.send(ATTEMPT, DETAILS)
        assert len(server.requests) == 1
        return outcome


@pytest.mark.parametrize(
    ("say", "outcome"),
    [
        (answer(DONE), Succeeded("ch_1", 1250, "EUR", is_captured=True)),
        (answer(DONE | {"captured": False}), Succeeded("ch_1", 1250, "EUR")),
        (answer(DONE | {"captured": "yes"}), Succeeded("ch_1", 1250, "EUR")),
        (answer(ASKED), ActionRequired("ch_1", ACTION)),
        (answer(DONE | {"outcome": "declined", "code": "lost_card"}, 402), Declined("lost_card", "ch_1")),
        (answer(DONE | {"outcome": "declined", "code": "<script>"}, 402), Declined("declined", "ch_1")),
        (answer(DONE | {"outcome": "not_processed", "code": "closed"}), NotProcessed("closed")),
    ],
)
async def test_a_good_answer_is_understood(say: Say, outcome: object) -> None:
    assert await sent(say) == outcome


@pytest.mark.parametrize(
    ("say", "code"),
    [
        (answer({"outcome": "not_processed", "code": "busy"}, 503), "busy"),
        (answer({"outcome": "not_processed"}, 503), "not-processed"),
        (answer(b"slow down", 429), "rate-limited"),
        *[(answer(b"{}", status), f"refused-{status}") for status in (400, 401, 403, 404, 413, 415, 422)],
    ],
)
async def test_what_the_channel_says_it_did_not_do_was_not_done(say: Say, code: str) -> None:
    assert await sent(say) == NotProcessed(code)


@pytest.mark.parametrize(
    ("say", "code"),
    [
        (silence, "timeout"),
        (drip, "timeout"),
        (reset, "reset"),
        (hang_up, "disconnected"),
        (half_a_body, "body-cut"),
        (endless, "body-too-large"),
        (answer(b" " * 20_000), "body-too-large"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), "unreadable-head"),
        (raw(b"SSH-2.0-OpenSSH_9.6\r\n"), "unreadable-head"),
    ],
)
async def test_an_answer_that_does_not_arrive_whole_is_unknown(say: Say, code: str) -> None:
    assert await sent(say) == Unknown(code)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"OK", b"<html>", b"null", b"[]", b"\xff\xfe", b"{" * 100, b'{"outcome":"succeeded"}',
        b'{"outcome":"succeeded","outcome":"declined","code":"x","channel_key":"att_1"}',
        DONE | {"outcome": "SUCCEEDED"}, DONE | {"outcome": None}, DONE | {"channel_reference": None},
        DONE | {"channel_reference": ""}, DONE | {"channel_reference": "a b"}, DONE | {"channel_reference": "=1+1"},
        DONE | {"amount_minor": "1250"}, DONE | {"amount_minor": 1250.0}, DONE | {"amount_minor": True},
        DONE | {"outcome": "declined", "code": None}, ASKED | {"next_action": None}, ASKED | {"next_action": []},
        ASKED | {"next_action": {"type": "pigeon"}}, ASKED | {"next_action": {"type": ["three_ds"]}},
        ASKED | {"next_action": ACTION | {"url": "javascript:alert(1)"}}, ASKED | {"next_action": ACTION | {"url": ""}},
        ASKED | {"next_action": ACTION | {"url": "https://" + "a" * 3000}},
        ASKED | {"next_action": {"type": "qr", "payload": "x", "url": "https://a"}},
    ],
    ids=str,
)  # fmt: skip
async def test_an_answer_that_is_not_as_agreed_is_unknown(body: object) -> None:
    assert await sent(answer(body)) == Unknown("answer-not-understood")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"amount_minor": 1249}, "answer-differs-from-request"),
        ({"amount_minor": 125_000}, "answer-differs-from-request"),
        ({"currency": "USD"}, "answer-differs-from-request"),
        ({"currency": None}, "answer-differs-from-request"),
        ({"channel_key": "att_2"}, "answer-for-another-key"),
        ({"channel_key": None}, "answer-for-another-key"),
    ],
)
@pytest.mark.parametrize("told", [DONE, ASKED], ids=["done", "asked"])
async def test_an_answer_about_something_else_is_unknown(
    told: dict[str, Any], changes: dict[str, Any], code: str
) -> None:
    assert await sent(answer(told | changes)) == Unknown(code)


@pytest.mark.parametrize("status", [201, 202, 206, 301, 302, 307, 408, 409, 418, 451, 500, 502, 503, 504])
async def test_a_status_that_was_not_agreed_is_unknown_whatever_the_body_claims(status: int) -> None:
    assert await sent(answer(DONE, status, Location="http://127.0.0.1:1/")) == Unknown(f"status-{status}")


async def test_nothing_was_done_when_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    async with CardChannel.open("card_sim", f"http://127.0.0.1:{port}", Settings()) as channel:
        assert await channel.send(ATTEMPT, DETAILS) == NotProcessed("not-sent")
        assert await channel.ask(ATTEMPT) == Unknown("refused"), "of the first question that says nothing"
        assert await channel.close(ATTEMPT) == Unknown("refused")


async def test_a_channel_that_keeps_failing_is_left_alone_for_a_while() -> None:
    async with a_channel(answer(b"", 500)) as (channel, server):
        for _ in range(19):
            assert await channel.send(ATTEMPT, DETAILS) == Unknown("status-500")
        assert channel.is_open, "a handful of failures is not an outage"
        await channel.send(ATTEMPT, DETAILS)
        assert not channel.is_open
        assert await channel.send(ATTEMPT, DETAILS) == NotProcessed("not-sent")
        assert await channel.ask(ATTEMPT) == Unknown("breaker-open")
        assert len(server.requests) == 20


async def test_looking_up_believes_nothing_but_a_good_answer() -> None:
    async with a_channel(answer(DONE)) as (channel, _):
        assert await channel.ask(ATTEMPT) == Succeeded("ch_1", 1250, "EUR", is_captured=True)
    for say, code in [
        (answer(b"", 404), "not-found-yet"),
        (answer({"outcome": "not_processed"}, 503), "status-503"),
        (answer(b"", 401), "status-401"),
        (answer(DONE | {"amount_minor": 1}), "answer-differs-from-request"),
        (silence, "timeout"),
    ]:
        async with a_channel(say) as (channel, _):
            assert await channel.ask(ATTEMPT) == Unknown(code)
            assert await channel.close(ATTEMPT) == Unknown(code)


async def test_the_question_carries_our_key_and_nothing_of_our_inside() -> None:
    token = telemetry.enter_traceparent(telemetry.new_traceparent())
    try:
        with canonical.line("request", request_id="req_of_a_merchant"):
            async with a_channel(answer(DONE)) as (channel, server):
                await channel.send(ATTEMPT, DETAILS)
    finally:
        telemetry.leave_traceparent(token)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert b"idempotency-key: att_1" in head.lower()
    assert b"traceparent" not in head.lower()
    assert b"req_of_a_merchant" not in head
    assert b"mer_" not in body


async def test_a_key_cannot_leave_its_place_in_the_path() -> None:
    hostile = an_attempt(a_payment(), Operation.REFUND, id="../card/authorisations?x#y")
    async with a_channel(answer(b"", 404)) as (channel, server):
        await channel.ask(hostile)
    assert server.requests[0].startswith(b"GET /operations/..%2Fcard%2Fauthorisations%3Fx%23y HTTP")


def test_only_known_members_of_an_action_reach_a_merchant() -> None:
    outcome = outcome_of(ASKED | {"next_action": ACTION | {"onload": "x"}})
    assert outcome == ActionRequired("ch_1", ACTION)
