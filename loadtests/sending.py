"""The processes of a run: the generator, the webhook receiver, and who kills what while they work."""

import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from loadtests import faults
from loadtests.run_file import Order, to_json
from loadtests.target import Target
from platform_cli.stack.state import write_private

READY_WITHIN_S = 20.0
Say = Callable[[str], None]


async def send(order: Order, target: Target, directory: Path, workers: int, port: int, say: Say) -> None:
    """Run the generator to its end, with the faults of the profile and the cluster's timeline beside it."""
    file = directory / "run.json"
    write_private(file, to_json(order))
    timeline = target.cluster.watch(directory / "cluster.jsonl") if target.cluster else None
    try:
        await _generate(order, target, directory, workers, port, say)
    finally:
        if timeline:
            timeline.end()
        file.write_text(
            file.read_text(encoding="utf-8").replace(order.api_key, "(not kept)"), encoding="utf-8"
        )


async def _generate(order: Order, target: Target, directory: Path, workers: int, port: int, say: Say) -> None:
    command = [sys.executable, "-m", "loadtests.generator", str(directory)]
    if workers:
        command += ["--workers", str(workers), "--port", str(port)]
        say(f"waiting for {workers} workers on port {port}")
    with (directory / "generator.log").open("w", encoding="utf-8") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
    try:
        begin_at = await _begin_at(directory / "begin", process)
        inflicting = None
        if begin_at and order.profile.faults:
            made = faults.inflict(order.profile, target, begin_at, directory / "faults.jsonl", say)
            inflicting = asyncio.create_task(made)
        await process.wait()
        if inflicting:
            await inflicting
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    if process.returncode:
        say(f"the generator ended with {process.returncode}; see {directory / 'generator.log'}")


async def _begin_at(file: Path, process: asyncio.subprocess.Process) -> float | None:
    """time.time() of the generator's start, as it writes it down; None when it ended before."""
    while process.returncode is None:
        if (begin_at := _written(file)) is not None:
            return begin_at
        await asyncio.sleep(0.05)
    return None


def _written(file: Path) -> float | None:
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    return float(text) if text.endswith("\n") else None


@asynccontextmanager
async def webhook_receiver(
    target: Target, api_key: str, journal: Path, *, from_elsewhere: bool
) -> AsyncIterator[str | None]:
    """The shop's receiver in a process of its own, known to the platform; yields where journeys ask it (those of
    generators elsewhere by its name), None when the platform cannot reach this machine."""
    if target.receiver_host is None:
        yield None
        return
    port = target.receiver_port or free_port()
    secret = await _register(target.gateway_url, api_key, f"http://{target.receiver_host}:{port}/hooks")
    host = "127.0.0.1" if target.receiver_host == "127.0.0.1" else "0.0.0.0"  # noqa: S104 - a cluster's way in
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "loadtests.receiver", "--host", host, "--port", str(port)),
        *("--journal", str(journal)),
        env=os.environ | {"RECEIVER_SECRET": secret},
    )
    try:
        await _until_open(port, process)
        yield f"http://{target.receiver_host if from_elsewhere else '127.0.0.1'}:{port}"
    finally:
        process.terminate()
        await process.wait()


async def _register(gateway_url: str, api_key: str, url: str) -> str:
    headers = {"Authorization": f"Bearer {api_key}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{gateway_url}/v1/webhook-endpoints", json={"url": url}) as reply,
    ):
        made = await reply.json(content_type=None)
        if reply.status != 201:
            raise RuntimeError(f"the platform refused the webhook receiver {url}: {reply.status} {made}")
        return str(made["secret"])


async def _until_open(port: int, process: asyncio.subprocess.Process) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while process.returncode is None and time.monotonic() < deadline:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise RuntimeError("the webhook receiver did not start")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
