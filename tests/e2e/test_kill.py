"""kill -9 of any process while a shop pays: nothing is lost, nothing is doubled, the ledger balances, nothing is stuck.

One test per process. They need `make up` on this machine, since a process is killed by its pid.
"""

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from platform_cli.audit.compare import Finding, audit
from platform_cli.audit.shop import Shop
from platform_cli.audit.witnesses import Endpoints, Witnesses
from platform_cli.demo.drive import FRAUD, Journey, drive
from platform_cli.demo.orders import Order, read_orders
from platform_cli.stack.environment_file import read_environment_file
from platform_cli.stack.roles import ROLES
from platform_cli.stack.state import State, clone

ORDERS = 60
KILLED_AFTER = 15  # orders: by then every process has work in hand
BACK_WITHIN_S = 60.0
PROCESSES = [*(role.name for role in ROLES), "postgres", "redis"]

pytestmark = pytest.mark.timeout(240)


def some_orders(run: str) -> list[Order]:
    """A cut through the day without the scripted faults (the kill is the fault), by people nobody has seen before:
    the same cards in every test would be what risk is there to stop."""
    calm = [
        o for o in read_orders(clone() / "examples" / "orders.csv") if o.story not in {*FRAUD, "bad_line"}
    ]
    return [
        replace(
            order,
            card_token=f"{order.card_token}_{run}" if order.card_token else "",
            customer_id=f"{order.customer_id}_{run}",
            device_id=f"{order.device_id}_{run}",
            ip=f"2001:db8:{run[:4]}::{number}",
        )
        for number, order in enumerate(calm[:: len(calm) // ORDERS][:ORDERS])
    ]


def processes() -> dict[str, dict[str, Any]]:
    """`platform ps --json` by role; empty when nothing runs on this machine."""
    command = [str(Path(sys.executable).with_name("platform")), "ps", "--json"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    return {row["role"]: row for row in json.loads(shown.stdout or "[]")}


@pytest.fixture(scope="module", autouse=True)
def local_stack(platform: Any) -> None:
    known = read_environment_file(State.default().environment_file)
    if known.get("GATEWAY_URL") != platform.gateway_url:
        pytest.skip("GATEWAY_URL is not the stack of `make up` on this machine: there is no pid to kill")


@pytest.fixture
async def shop(merchant: Any, platform: Any) -> AsyncIterator[Shop]:
    async with Shop(platform.gateway_url, merchant.token) as opened:
        yield opened


@pytest.fixture
async def witnesses(platform: Any) -> AsyncIterator[Witnesses]:
    at = Endpoints(
        gateway_url=platform.gateway_url,
        pipeline_url=platform.pipeline_url,
        channels_url=platform.channels_url,
        internal_token=platform.internal_token,
        admin_api_key=platform.admin_api_key,
    )
    async with Witnesses(at) as opened:
        yield opened


@pytest.mark.parametrize("role", PROCESSES)
async def test_kill_9_loses_nothing(role: str, shop: Shop, witnesses: Witnesses) -> None:
    await witnesses.wait_for_warehouse()
    mark = await witnesses.mark()
    day = datetime.now(UTC).date()
    before = processes()[role]

    journeys = await drive_and_kill(shop, before["pid"])

    await back_again(role, before["restarts"])
    days = sorted({day, datetime.now(UTC).date()})
    findings: list[Finding] = audit(journeys, await witnesses.give_evidence(shop, days, mark))
    assert findings == []
    assert (await witnesses.ledger())["balanced"] is True
    assert sum(journey.status == "captured" for journey in journeys) > ORDERS // 5  # a dead channel takes few


async def back_again(role: str, restarts: int) -> None:
    """Return when the process was started anew and every process is ready."""
    deadline = time.monotonic() + BACK_WITHIN_S
    while True:
        now = processes()
        late = [
            f"{row['role']}: {row['state']}, {row['health']}"
            for row in now.values()
            if row["health"] != "ready"
        ]
        if now and not late and now[role]["restarts"] > restarts:
            return
        assert time.monotonic() < deadline, f"after {BACK_WITHIN_S} s: {late or now.get(role)}"
        await asyncio.sleep(0.5)


async def drive_and_kill(shop: Shop, pid: int) -> list[Journey]:
    """Drive the orders; the process dies when KILLED_AFTER of them are through."""
    run = secrets.token_hex(4)
    done = 0
    enough = asyncio.Event()

    def count(_: Journey) -> None:
        nonlocal done
        done += 1
        if done == KILLED_AFTER:
            enough.set()

    async with asyncio.TaskGroup() as group:
        driving = group.create_task(drive(shop, some_orders(run), f"kill-{run}", count))
        await enough.wait()
        os.kill(pid, signal.SIGKILL)
    return driving.result()
