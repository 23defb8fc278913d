"""What the channels answered outlives a kill -9 of their process: the judge loses no evidence."""

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

import aiohttp
import pytest

ROUNDS = 3
CLIENTS = 8
ANSWERED_MIN = 50  # before each kill, so that it meets a process at work


def a_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def start(port: int, journals: Path) -> asyncio.subprocess.Process:
    """The process as it is deployed: `payment-gateway channels`."""
    environment = os.environ | {
        "PORT": str(port), "CHANNEL_JOURNAL_DIR": str(journals), "LOG_LEVEL": "ERROR", "INTERNAL_TOKEN": "t",
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "payment_gateway.commands",
        "channels",
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
    )
    async with aiohttp.ClientSession() as session, asyncio.timeout(30):
        while True:
            try:
                async with session.get(f"http://127.0.0.1:{port}/health/ready") as response:
                    if response.status == 200:
                        return process
            except aiohttp.ClientError:
                assert process.returncode is None, "the channels did not start"
            await asyncio.sleep(0.05)


async def authorise_until_killed(url: str, client: str, answered: dict[str, str]) -> None:
    async with aiohttp.ClientSession() as session:
        for number in range(100_000):
            key = f"{client}-{number}"
            body = {"token": "tok_visa", "amount_minor": 100, "currency": "EUR", "capture": True}
            try:
                async with session.post(url, json=body, headers={"Idempotency-Key": key}) as response:
                    answered[key] = (await response.json())["channel_reference"]
            except (aiohttp.ClientError, ConnectionError):
                return


@pytest.mark.timeout(120)
async def test_every_answered_charge_is_in_the_journal_after_kills(tmp_path: Path) -> None:
    port = a_free_port()
    url = f"http://127.0.0.1:{port}/card/authorisations"
    answered: dict[str, str] = {}
    for round_number in range(ROUNDS):
        process = await start(port, tmp_path)
        clients = [
            asyncio.create_task(authorise_until_killed(url, f"{round_number}-{n}", answered))
            for n in range(CLIENTS)
        ]
        async with asyncio.timeout(30):
            while len(answered) < (round_number + 1) * ANSWERED_MIN:  # noqa: ASYNC110 - other tasks' doing
                await asyncio.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        await asyncio.gather(*clients)
    lines = [json.loads(line) for line in (tmp_path / "card_sim.jsonl").read_text().splitlines()]
    charged = {line["key"]: line["channel_reference"] for line in lines}
    assert len(charged) == len(lines), "no key was charged twice"
    assert answered.items() <= charged.items()

    process = await start(port, tmp_path)  # and it knows them all again
    async with aiohttp.ClientSession() as session:
        key = next(iter(answered))
        async with session.get(f"http://127.0.0.1:{port}/card/operations/{key}") as response:
            assert (await response.json())["channel_reference"] == answered[key]
    process.terminate()
    assert await process.wait() in (0, -signal.SIGTERM)
